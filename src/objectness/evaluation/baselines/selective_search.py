"""Selective Search (Uijlings et al., 2013), as OpenCV has it: what the paper compares the RPN with."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from objectness.boxes import xywh_to_xyxy
from objectness.evaluation.baselines.opencv import contrib
from objectness.evaluation.baselines.ranked import Baseline, by_rank, none
from objectness.proposals import Proposals

_TOO_THIN = 2  # OpenCV's segmentation fails on an image of a single row or column


def selective_search(top: int, seed: int = 0, threads: int | None = None) -> Baseline:
    """Selective Search in its fast mode; the first ``top`` of its boxes in its own order.

    OpenCV orders the boxes by their place in the hierarchy times a random number, as the paper does, and takes
    that number from the C library. It is seeded for every photograph, so that the order does not depend on
    what ran before.

    Raises:
        InputError: OpenCV or its contributed modules are missing.
    """
    cv2 = contrib("Selective Search", threads)

    def propose(image: NDArray[np.uint8]) -> Proposals:
        size_hw = (image.shape[0], image.shape[1])
        if min(size_hw) < _TOO_THIN:
            return none(size_hw)
        search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(np.ascontiguousarray(image[:, :, ::-1]))
        search.switchToSelectiveSearchFast()
        _seed_c_library(seed)
        found = np.asarray(search.process(), dtype=np.float64).reshape(-1, 4)[:top]
        return by_rank(xywh_to_xyxy(found), size_hw)

    return propose


def _seed_c_library(seed: int) -> None:
    with suppress(OSError, AttributeError):  # without it the order differs from run to run, and nothing else
        library = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
        library.srand(ctypes.c_uint(seed))
