"""Does the exported graph say what PyTorch says? On several sizes, and on a batch.

N candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness import boxes
from objectness.calibration import Calibration
from objectness.engines import Candidates, GraphEngine, ProposalEngine
from objectness.errors import InputError
from objectness.inference.torch_engine import TorchEngine

TOLERANCE_PIXELS = 0.5
TOLERANCE_SCORE = 1e-3
_CHECKED_SIZES_HW = ((224, 320), (361, 257))
_HALF_TOLERANCE_SCORE = 0.02
_BATCH = 2
_LOST_PHOTOS, _LOST_BEST, _LOST_AMONG, _LOST_IOU = 20, 100, 300, 0.5
_NEARLY_ALL = 0.9
_COMPARED = 300  # of the best boxes: the worst may change places among equals


@dataclass(frozen=True)
class Agreement:
    """Disagreement of two engines: largest differences over the candidates that both give.

    Attributes:
        size_hw: (height, width) of the images.
        images: How many went in together.
        candidates: How many the first engine gave.
        pixels: Largest distance of one of the best boxes from its nearest counterpart.
        score: Largest difference between sorted scores.
    """

    size_hw: tuple[int, int]
    images: int
    candidates: int
    pixels: float
    score: float


def compare(reference: TorchEngine, exported: GraphEngine, seed: int = 0) -> list[Agreement]:
    """Run both on random images of several sizes, one of them as a batch, and pair their candidates."""
    generator = np.random.default_rng(seed)
    agreements = []
    for images, size_hw in zip((1, _BATCH), _CHECKED_SIZES_HW, strict=True):
        pixels = np.stack([_textured(size_hw, generator) for _ in range(images)])
        found = exported.candidates(pixels)
        pairs = [agreement(size_hw, reference.candidates(image), own) for image, own in zip(pixels, found, strict=True)]
        agreements.append(
            Agreement(
                size_hw,
                images,
                sum(pair.candidates for pair in pairs),
                max(pair.pixels for pair in pairs),
                max(pair.score for pair in pairs),
            )
        )
    return agreements


def agreement(size_hw: tuple[int, int], ours: Candidates, theirs: Candidates) -> Agreement:
    """Compare the sorted scores, and each of the best boxes with its nearest counterpart."""
    count = min(len(ours.scores), len(theirs.scores))
    if abs(len(ours.scores) - len(theirs.scores)) > 0.01 * len(ours.scores):  # a box of just the smallest side
        return Agreement(size_hw, 1, len(ours.scores), float("inf"), float("inf"))
    score = np.abs(np.sort(ours.scores)[::-1][:count] - np.sort(theirs.scores)[::-1][:count]).max(initial=0.0)
    best = np.argsort(-ours.scores, kind="stable")[:_COMPARED]  # equal scores may come in another order
    distance: Any = np.abs(ours.boxes_xyxy[best][:, None] - theirs.boxes_xyxy[None]).max(axis=2)
    nearest = distance.min(axis=1) if distance.size else np.zeros(0)
    return Agreement(size_hw, 1, len(ours.scores), float(nearest.max(initial=0.0)), float(score))


def require_agreement(agreements: Sequence[Agreement], target: object) -> None:
    """Refuse a graph that is beyond half a pixel or 0.001 in score.

    Raises:
        InputError: It says by how much.
    """
    for found in agreements:
        if found.pixels > TOLERANCE_PIXELS or found.score > TOLERANCE_SCORE:
            raise InputError(
                f"{target} was not written: ONNX Runtime and PyTorch differ by {found.pixels:.3g} pixels and "
                f"{found.score:.3g} in score on an image of {found.size_hw} (at most {TOLERANCE_PIXELS} and "
                f"{TOLERANCE_SCORE} are accepted)."
            )


def require_close_scores(differences: Sequence[Agreement], target: object) -> None:
    """Refuse half precision that moves a score by more than 0.02: weights beyond what half a float holds.

    Raises:
        InputError: It says by how much.
    """
    worst = max((found.score for found in differences), default=0.0)
    if worst > _HALF_TOLERANCE_SCORE:
        raise InputError(
            f"{target} was not written: in fp16 scores differ by {worst:.3g} from PyTorch (at most "
            f"{_HALF_TOLERANCE_SCORE} is accepted); keep fp32."
        )


def share_lost(
    before: ProposalEngine, after: ProposalEngine, images: Sequence[NDArray[np.uint8]], most_lost: float, target: object
) -> float:
    """Which share of the best 100 proposals of ``before`` no proposal of ``after`` overlaps at IoU 0.5.

    Args:
        before: In float32.
        after: Quantised.
        images: RGB ``uint8 (H, W, 3)``, resized; 20 of them are looked at.
        most_lost: The largest share that is accepted.
        target: The file, for messages.

    Raises:
        InputError: More are lost.
    """
    own, lost, count = before.description, 0, 0
    for pixels in images[:: -(-len(images) // _LOST_PHOTOS)]:
        best = before.propose(pixels, nms=own.nms_iou, top=_LOST_BEST).boxes_xyxy
        found = after.propose(pixels, nms=own.nms_iou, top=_LOST_AMONG).boxes_xyxy
        lost += int((boxes.iou(best, found).max(axis=1, initial=0) < _LOST_IOU).sum())
        count += len(best)
    share = lost / max(1, count)
    if share > most_lost:
        raise InputError(
            f"{target} was not written: of the best {_LOST_BEST} proposals of a photograph {share:.0%} are lost in "
            f"int8 (at most {most_lost:.0%} is accepted); give more and other photographs, accept a larger loss, "
            "or keep fp32.",
            arguments=("photos", "most_lost"),
        )
    return share


def require_same_selection(candidates: GraphEngine, proposals: GraphEngine, target: object, seed: int = 0) -> None:
    """Refuse a graph whose suppression is not that of ``boxes.nms`` on the graph without it.

    Raises:
        InputError: It says on what.
    """
    generator = np.random.default_rng(seed)
    own = candidates.description
    for size_hw in _CHECKED_SIZES_HW:
        pixels = _textured(size_hw, generator)
        for nms, top in ((own.nms_iou, own.top), (own.nms_iou / 2, 1000)):
            expected = candidates.propose(pixels, nms=nms, top=top)
            found = proposals.propose(pixels, nms=nms, top=top)
            same = found.scores.shape == expected.scores.shape and np.allclose(
                found.boxes_xyxy, expected.boxes_xyxy, atol=1e-3
            )
            if not same:
                raise InputError(
                    f"{target} was not written: suppression at IoU {nms:g} inside the graph keeps {len(found.scores)} "
                    f"boxes of an image of {size_hw}, outside {len(expected.scores)}, or others."
                )


def _textured(size_hw: tuple[int, int], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Blocks of random colour: flat noise would leave most of a network asleep."""
    coarse = generator.integers(0, 256, (-(-size_hw[0] // 16), -(-size_hw[1] // 16), 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((16, 16, 1), dtype=np.uint8))[: size_hw[0], : size_hw[1]])


def require_written(
    written: ProposalEngine,
    built: ProposalEngine,
    calibration: Calibration | None,
    target: object,
    *,
    exact: bool,
    seed: int = 0,
) -> None:
    """Refuse a file that does not give what the graph in memory gave, with calibrated scores.

    Args:
        written: The file, opened.
        built: The same graph before calibration.
        calibration: What the file shall do to scores.
        target: What to call it.
        exact: The same runtime runs both; else nine of ten boxes must have a counterpart (rounding may tip a box
            over the threshold of suppression, and others take its place).
        seed: Of the images.

    Raises:
        InputError: It says what differs.
    """
    generator = np.random.default_rng(seed)
    own = built.description
    for size_hw in _CHECKED_SIZES_HW:
        pixels = _textured(size_hw, generator)
        ours = built.propose(pixels, nms=own.nms_iou, top=own.top)
        theirs = written.propose(pixels, nms=own.nms_iou, top=own.top)
        expected = ours.scores if calibration is None else calibration(ours.scores)
        distance: Any = np.abs(ours.boxes_xyxy[:, None] - theirs.boxes_xyxy[None]).max(axis=2)
        near = (distance.min(axis=1) <= TOLERANCE_PIXELS).mean() if distance.size else float(len(ours.scores) == 0)
        count = min(len(expected), len(theirs.scores))
        score = float(np.abs(expected[:count] - theirs.scores[:count]).max(initial=0.0))
        if near < (1.0 if exact else _NEARLY_ALL) or score > (1e-5 if exact else 0.02):
            raise InputError(
                f"{target} was not written: of the proposals of an image of {size_hw} it gives {near:.0%}, and scores "
                f"that differ by {score:.3g}."
            )
