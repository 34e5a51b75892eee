"""One answer to which way up a photograph is, from its header and from its pixels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from objectness.images import open_fitted, open_upright
from objectness.images.sizes import read_size

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{}"/></rdf:RDF></x:xmpmeta>"""


def _exif(turned: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turned
    return exif.tobytes()


def _text(kind: str, turned: int) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    if kind == "XMP":
        info.add_itxt("XML:com.adobe.xmp", XMP.format(turned))
    else:
        data = _exif(turned)
        lines = "\n".join(data.hex()[at : at + 72] for at in range(0, 2 * len(data), 72))
        info.add_text("Raw profile type exif", f"\nexif\n{len(data):8}\n{lines}\n", zip=kind == "packed profile")
    return info


def _behind_pixels(path: Path) -> None:
    """Move every piece of metadata of a PNG behind its pixels."""
    whole, at, before, after = path.read_bytes(), 8, [], []
    while at < len(whole):
        (length,) = struct.unpack(">I", whole[at : at + 4])
        piece, kind = whole[at : at + 12 + length], whole[at + 4 : at + 8]
        (after if kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt", b"IEND") else before).append(piece)
        at += 12 + length
    path.write_bytes(whole[:8] + b"".join(before + after))


@pytest.mark.parametrize("turned", [1, 3, 6, 8])
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("kind", ["EXIF", "XMP", "profile", "packed profile"])
def test_the_orientation_of_a_png_is_seen_wherever_it_stands(
    tmp_path: Path, kind: str, behind: bool, turned: int
) -> None:
    path = tmp_path / "a.png"
    stored = Image.fromarray(np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3))
    if kind == "EXIF":
        stored.save(path, exif=_exif(turned))
    else:
        stored.save(path, pnginfo=_text(kind, turned))
    if behind:
        _behind_pixels(path)
    size_hw = (3, 2) if turned in (6, 8) else (2, 3)
    assert read_size(path) == read_size(path, decode=True) == open_upright(path).shape[:2] == size_hw
    assert open_fitted(path, 1, 2).size_hw == size_hw


def test_the_header_is_enough_where_no_metadata_is_behind_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 20)).save(path)
    whole = bytearray(path.read_bytes())
    at = whole.index(b"IDAT")
    whole[at + 4 : at + 14] = bytes(10)  # pixels that cannot be decoded
    path.write_bytes(whole)
    assert read_size(path) == (20, 30)
    assert isinstance(read_size(path, decode=True), str)
    assert zlib.crc32(whole[at : at + 14])


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_header_and_pixels_agree(tmp_path: Path, suffix: str, turned: int) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(
        path, exif=_exif(turned)
    )
    expected = (30, 20) if turned > 4 else (20, 30)
    assert read_size(path) == read_size(path, decode=True) == open_upright(path).shape[:2] == expected


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_large_photograph_is_turned_in_strips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, turned: int) -> None:
    from objectness.images import pixel_formats

    stored = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)
    Image.fromarray(stored).save(tmp_path / "a.png", exif=_exif(turned))
    whole = open_upright(tmp_path / "a.png")
    monkeypatch.setattr(pixel_formats, "_STRIP_PIXELS", 10)
    np.testing.assert_array_equal(open_upright(tmp_path / "a.png"), whole)
    values = np.random.default_rng(0).integers(0, 4096, (7, 5), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "b.png")
    scaled = open_upright(tmp_path / "b.png")[:, :, 0]
    np.testing.assert_array_equal(scaled, (values * np.float32(255 / 4095) + np.float32(0.5)).astype(np.uint8))
