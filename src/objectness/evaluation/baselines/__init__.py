"""Classic ways to propose, to compare with: they see nothing but pixels, and learn nothing.

A baseline is a function from ``uint8 (H, W, 3)`` RGB pixels to proposals, best first.
"""

from __future__ import annotations

from pathlib import Path

from objectness.errors import InputError
from objectness.evaluation.baselines.ranked import Baseline

NAMES = ("edge-boxes", "selective-search", "sliding-window", "uniform")
_MODEL_SIGN = ":"


def is_baseline(word: str) -> bool:
    """Whether ``word`` names a baseline: ``uniform``, or ``edge-boxes:MODEL``."""
    return word.split(_MODEL_SIGN, 1)[0] in NAMES


def baseline(word: str, top: int, *, seed: int = 0, threads: int | None = None) -> Baseline:
    """The baseline of this name.

    Args:
        word: One of ``NAMES``; EdgeBoxes names its model, too: ``edge-boxes:model.yml.gz``.
        top: Proposals an image, at most.
        seed: Of what is drawn by chance (uniform, and the order of Selective Search).
        threads: Processor threads that OpenCV may use; None for all.

    Raises:
        InputError: No such baseline, a model where there is none to give or none where one is needed, OpenCV
            is missing.
    """
    name, sign, model = word.partition(_MODEL_SIGN)
    if name not in NAMES:
        raise InputError(f"There is no baseline {word!r}: known are {', '.join(NAMES)}.")
    if name == "edge-boxes":
        if not model:
            raise InputError(
                "EdgeBoxes needs the model of its edge detector: name it as edge-boxes:model.yml.gz "
                "(OpenCV's opencv_extra holds one, testdata/cv/ximgproc/model.yml.gz)."
            )
        from objectness.evaluation.baselines.edge_boxes import edge_boxes

        return edge_boxes(Path(model), top, threads)
    if sign:
        raise InputError(f"{name} needs no model, so write it without {sign + model!r}.")
    if name == "selective-search":
        from objectness.evaluation.baselines.selective_search import selective_search

        return selective_search(top, seed, threads)
    if name == "sliding-window":
        from objectness.evaluation.baselines.sliding_window import sliding_window

        return lambda image: sliding_window((image.shape[0], image.shape[1]), top)
    from objectness.evaluation.baselines.uniform import uniform

    return lambda image: uniform(image, top, seed)
