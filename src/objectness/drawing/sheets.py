"""Many pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

_PAPER = (244, 244, 246)
_GAP = 8


def contact_sheet(images: Sequence[Image.Image], columns: int) -> Image.Image:
    """Lay pictures out in rows, left to right, each in the middle of a cell as large as the largest of them.

    Args:
        images: At least one, of any sizes; shrink large ones first.
        columns: Cells in a row, at least 1; fewer pictures than that make a narrower sheet.

    Raises:
        ValueError: No pictures, or no columns.
    """
    if not images or columns < 1:
        raise ValueError(f"A contact sheet needs pictures and columns, got {len(images)} and {columns}.")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    cell_w = max(image.width for image in images)
    cell_h = max(image.height for image in images)
    sheet = Image.new("RGB", (columns * (cell_w + _GAP) + _GAP, rows * (cell_h + _GAP) + _GAP), _PAPER)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        left = _GAP + column * (cell_w + _GAP) + (cell_w - image.width) // 2
        top = _GAP + row * (cell_h + _GAP) + (cell_h - image.height) // 2
        sheet.paste(image.convert("RGB"), (left, top))
    return sheet
