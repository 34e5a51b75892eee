"""What a model's description says about its maps: levels, anchors of a cell, ranking, refinement, reach."""

from __future__ import annotations

from dataclasses import dataclass

from objectness.calibration import Calibration
from objectness.engines.dense import Geometry, Refinement
from objectness.engines.description import ModelDescription
from objectness.errors import InputError
from objectness.rpn.settings import RPNSettings
from objectness.settings import from_dict

REACH_KEY = "reach"
"""Of a description: as ``Geometry.reach``; absent in files of earlier versions."""
_MOST_REACH = 1 << 20


@dataclass(frozen=True)
class MapsOf:
    """What a network's raw outputs mean.

    Attributes:
        geometry: What tiles must know.
        settings: All settings.
        per_cell: k, the anchors of a cell.
        read_levels: Levels whose refinement maps are read, the finest ones; 0 without a refinement head.
    """

    geometry: Geometry
    settings: RPNSettings
    per_cell: int
    read_levels: int


def maps_of(description: ModelDescription, where: str) -> MapsOf:
    """The meaning of the raw outputs of a model with this description.

    Raises:
        InputError: It holds no settings, or some that this version does not know.
    """
    data = description.details.get("settings")
    if data is None:
        raise InputError(f"{where}: its description has no settings of a network, so its maps cannot be read.")
    try:
        settings = from_dict(RPNSettings, data)
        settings.anchors.sizes_per_level(len(settings.backbone.level_strides))
    except InputError as error:
        raise InputError(f"{where}: its maps cannot be read: {error}") from None
    return maps_of_settings(settings, description, where)


def maps_of_settings(settings: RPNSettings, description: ModelDescription, where: str) -> MapsOf:
    """The same, where the settings of the network are known to fit together."""
    strides, own = settings.backbone.level_strides, settings.refinement
    sizes = settings.anchors.sizes_per_level(len(strides))[0]
    reach, refinement = _reach(description, where), None
    if own.grid:
        refinement = Refinement(own.grid, own.margin, min(own.finer, len(strides)), own.boxes)
    geometry = Geometry(
        strides=strides,
        reach=reach,
        why_no_reach=_why_no_reach(description) if reach is None else "",
        pre_nms_top_n=settings.select.pre_nms_top_n,
        min_size=settings.select.min_size,
        delta_clamp=settings.head.delta_clamp,
        refinement=refinement,
        calibration=_calibration(description, where),
    )
    read_levels = 0 if refinement is None else max(1, len(strides) - refinement.finer)
    return MapsOf(geometry, settings, len(sizes) * len(settings.anchors.ratios_height_over_width), read_levels)


def _reach(description: ModelDescription, where: str) -> int | None:
    reach = description.details.get(REACH_KEY)
    if reach is None:
        return None
    if not isinstance(reach, int) or isinstance(reach, bool) or not 0 <= reach <= _MOST_REACH:
        raise InputError(
            f"{where}: its description is damaged (reach is {str(reach)[:50]!a}, expected a whole number of pixels "
            "or none); export it again."
        )
    return reach


def _why_no_reach(description: ModelDescription) -> str:
    if REACH_KEY in description.details:
        return (
            "The network looks at the whole image at once, so tiles give other maps than the whole, whatever their "
            "overlap: choose an overlap."
        )
    return (
        "The model's file does not say how far the network sees, as files of earlier versions do not: choose an "
        "overlap, or export it again."
    )


def _calibration(description: ModelDescription, where: str) -> Calibration | None:
    data = description.details.get("calibration")
    if data is None:
        return None
    try:
        return Calibration.from_json(data)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{where}: its description is damaged (calibration: {str(error)[:200]!a}); export it again."
        ) from None
