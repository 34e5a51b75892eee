"""Images: any photograph upright as RGB, sizes from headers, and which files a user means."""

from objectness.images.finding import PHOTO_SUFFIXES
from objectness.images.headers import DEFAULT_MAX_PIXELS
from objectness.images.opening import (
    Fitted,
    LargeImage,
    Source,
    describe,
    fit_size_hw,
    open_fitted,
    open_upright,
    resize,
)

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "PHOTO_SUFFIXES",
    "Fitted",
    "LargeImage",
    "Source",
    "describe",
    "fit_size_hw",
    "open_fitted",
    "open_upright",
    "resize",
]
