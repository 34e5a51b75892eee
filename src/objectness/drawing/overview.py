"""Overview of a huge image: the boxes that can be seen at the size of a picture, and dots for the smaller ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from objectness.boxes import Boxes, nms
from objectness.drawing.boxes import score_colours
from objectness.drawing.pen import DARK, LIGHT, Colour, font_of_size, outline
from objectness.drawing.shrunk import Shrunk
from objectness.images.windows.protocol import Rectangle

LONGEST = 2000
"""Pixels of the longer side: what fits on a large screen."""

MISSING: Colour = (255, 64, 64)
_SMALLEST = 14  # pixels on the picture: the frame of a smaller box hides what is in it
_MOST_DOTS = 2000
_APART_IOU = 0.5  # of two boxes that overlap by more the better is drawn: their frames would be one thick line
_WORDS = 22  # pixels high


def draw_overview(
    shrunk: Shrunk,
    boxes_xyxy: Boxes,
    scores: NDArray[np.float32],
    *,
    limit: int,
    missing: Sequence[Rectangle] = (),
    details: Sequence[Rectangle] = (),
) -> Image.Image:
    """Draw the best boxes that can be seen, a dot for each of the best that cannot, and a caption below.

    Args:
        shrunk: The image.
        boxes_xyxy: ``(N, 4)`` in pixels of the image itself, best first.
        scores: ``(N,)``, descending.
        limit: Frames drawn, at most.
        missing: Parts of the image in which nothing was looked for; they are crossed out.
        details: Parts that are drawn in pictures of their own; they are numbered.

    Returns:
        The picture: as large as the shrunk image, and higher by the caption.
    """
    ratio_y, ratio_x = shrunk.ratio_yx
    small = boxes_xyxy * np.array([ratio_x, ratio_y, ratio_x, ratio_y], np.float32)
    is_visible = (small[:, 2:] - small[:, :2]).min(axis=1, initial=np.inf) >= _SMALLEST
    visible, dotted = np.flatnonzero(is_visible), np.flatnonzero(~is_visible)[:_MOST_DOTS]
    framed = visible[nms(small[visible], scores[visible], _APART_IOU)[:limit]]
    picture = Image.fromarray(shrunk.pixels)
    draw = ImageDraw.Draw(picture)
    for x1, y1, x2, y2 in small[dotted].tolist():
        _dot(draw, (x1 + x2) / 2, (y1 + y2) / 2)
    colours = score_colours(len(framed), scores[framed]) if len(framed) else []
    for index, colour in reversed(list(zip(framed, colours, strict=True))):
        outline(draw, small[index].tolist(), colour, 2, halo=1)
    for part in missing:
        _cross_out(draw, _on_picture(part, shrunk))
    for number, part in enumerate(details, start=1):
        _number(draw, _on_picture(part, shrunk), number)
    return _with_caption(picture, _words(shrunk, len(scores), len(framed), len(dotted), len(missing)))


def _words(shrunk: Shrunk, boxes: int, framed: int, dotted: int, missing: int) -> list[str]:
    height, width = shrunk.size_hw
    ratio = min(shrunk.ratio_yx)
    words = [f"{width:,} x {height:,} pixels, 1 : {1 / ratio:.3g}", f"proposals: {boxes:,}"]
    words += [f"frames: the best {framed:,} of at least {_SMALLEST / ratio:.0f} pixels"] if framed else []
    words += [f"dots: the best {dotted:,} of the smaller ones"] if dotted else []
    return words + ([f"crossed out: {missing} missing part{'s' if missing > 1 else ''}"] if missing else [])


def _with_caption(picture: Image.Image, words: Sequence[str]) -> Image.Image:
    """The words on a strip below: as many of them on a line as there is room for."""
    font, pad, gap = font_of_size(_WORDS), _WORDS // 2, 2 * _WORDS
    places: list[tuple[float, int, str]] = []
    x, line = float(pad), 0
    for word in words:
        wide = font.getlength(word)
        if x > pad and x + wide > picture.width - pad:
            x, line = float(pad), line + 1
        places.append((x, line, word))
        x += wide + gap
    line_height = _WORDS + pad
    whole = Image.new("RGB", (picture.width, picture.height + (line + 1) * line_height + pad), DARK)
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    for left, row, word in places:
        draw.text((left, picture.height + pad + row * line_height), word, LIGHT, font)
    return whole


def _on_picture(part: Rectangle, shrunk: Shrunk) -> tuple[float, float, float, float]:
    ratio_y, ratio_x = shrunk.ratio_yx
    x2, y2 = part.x + part.width, part.y + part.height
    return part.x * ratio_x, part.y * ratio_y, x2 * ratio_x, y2 * ratio_y


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    draw.rectangle((x - 2, y - 2, x + 2, y + 2), fill=DARK)
    draw.rectangle((x - 1, y - 1, x + 1, y + 1), fill=LIGHT)


def _cross_out(draw: ImageDraw.ImageDraw, corners: tuple[float, float, float, float]) -> None:
    x1, y1, x2, y2 = corners
    outline(draw, corners, MISSING, 2, halo=1)
    draw.line((x1, y1, x2, y2), MISSING, 2)
    draw.line((x1, y2, x2, y1), MISSING, 2)


def _number(draw: ImageDraw.ImageDraw, corners: tuple[float, float, float, float], number: int) -> None:
    outline(draw, corners, LIGHT, 3, halo=2)
    draw.text((corners[0] + 8, corners[1] + 4), str(number), LIGHT, font_of_size(28), stroke_width=2, stroke_fill=DARK)
