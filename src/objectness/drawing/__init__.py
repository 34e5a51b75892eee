"""Pictures for people: proposals on photographs, what training samples, contact sheets."""

from objectness.drawing.boxes import draw_boxes
from objectness.drawing.samples import draw_samples
from objectness.drawing.sheets import contact_sheet

__all__ = ["contact_sheet", "draw_boxes", "draw_samples"]
