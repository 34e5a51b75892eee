"""OpenCV with its contributed modules, where it is installed."""

from __future__ import annotations

from typing import Any

from objectness.errors import NotInstalledError
from objectness.installation import how_to_install


def contrib(what: str, threads: int | None) -> Any:
    """The module ``cv2``, told how many threads to use.

    Raises:
        NotInstalledError: OpenCV is missing, or was built without the contributed modules.
    """
    try:
        import cv2
    except ImportError as error:
        raise NotInstalledError(f"{what} needs OpenCV ({error}): {how_to_install('baselines')}.") from None
    if not hasattr(cv2, "ximgproc"):
        raise NotInstalledError(
            f"{what} needs OpenCV's contributed modules, which the installed OpenCV {cv2.__version__} lacks: "
            "replace it by opencv-contrib-python-headless."
        )
    cv2.setNumThreads(-1 if threads is None else threads)
    return cv2
