from __future__ import annotations

from objectness.drawing.pen import writable


def test_letters_that_the_font_lacks_are_written_in_those_that_it_has() -> None:
    assert writable("IoU ≥ .5, 3 × 4, −1") == "IoU >= .5, 3 x 4, -1"
    assert writable("modèle 写真.onnx") == "modele ??.onnx"
    assert writable("plain · words …") == "plain · words …"
