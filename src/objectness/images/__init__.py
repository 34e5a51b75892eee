"""Images: any photograph upright as RGB, sizes from headers, and which files a user means."""

from objectness.images.opening import (
    DEFAULT_MAX_PIXELS,
    PHOTO_SUFFIXES,
    Fitted,
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
    "Source",
    "describe",
    "fit_size_hw",
    "open_fitted",
    "open_upright",
    "resize",
]
