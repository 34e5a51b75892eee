"""What is opened, and what is refused before anything is decoded."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, WebPImagePlugin

from objectness.errors import InputError
from objectness.images import headers, open_fitted, open_upright
from objectness.images.sizes import digest, read_size


def _noise(width: int = 48, height: int = 32, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def _webp_of_canvas(width: int, height: int) -> bytes:
    """An extended WebP file that says how large its canvas is, and holds next to nothing."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "WEBP", lossless=True)
    frame = buffer.getvalue()[12:]
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (width - 1).to_bytes(3, "little")
    body = b"WEBP" + canvas + (height - 1).to_bytes(3, "little") + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _everywhere(path: Path) -> list[str]:
    """What each way to open a file says of it."""
    said = []
    for read in (open_upright, lambda path: open_fitted(path, 60, 100)):
        with pytest.raises(InputError) as caught:
            read(path)
        said.append(str(caught.value))
    for size in (read_size(path), read_size(path, decode=True)):
        assert isinstance(size, str)
        said.append(size)
    return said


@pytest.mark.parametrize("kind", ["ICO", "DDS", "PCX", "SGI", "FITS"])
def test_only_formats_that_are_named_are_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture.jpg"
    if kind == "FITS":
        cards = [
            "SIMPLE  =                    T",
            "BITPIX  =                    8",
            "NAXIS   =                    0",
            "END",
        ]
        path.write_bytes("".join(card.ljust(80) for card in cards).encode().ljust(2880))
    else:
        _noise().save(path, kind)
    assert all("is not an image of a format that is read" in said for said in _everywhere(path))


def test_an_icon_is_not_decoded_before_its_size_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _noise().save(tmp_path / "a.ico")
    Image.init()
    monkeypatch.setitem(Image.OPEN, "ICO", (lambda *_: pytest.fail("it was opened"), lambda prefix: True))
    with pytest.raises(InputError, match="not an image of a format that is read"):
        open_upright(tmp_path / "a.ico", max_pixels=10)


@pytest.mark.parametrize(
    ("size_wh", "words"),
    [((16383, 16383), "has 16383 x 16383 = 268402689 pixels"), ((12_000, 12_000), "too much memory")],
)
def test_a_webp_of_a_hundred_bytes_gets_no_canvas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_wh: tuple[int, int], words: str
) -> None:
    (tmp_path / "a.webp").write_bytes(_webp_of_canvas(*size_wh))
    monkeypatch.setattr(WebPImagePlugin, "_webp", None)  # whoever asks its decoder fails in another way
    assert (tmp_path / "a.webp").stat().st_size < 100
    assert all(words in said for said in _everywhere(tmp_path / "a.webp"))


def test_many_pixels_in_few_bytes_are_refused_within_the_limit_too(tmp_path: Path) -> None:
    Image.new("1", (990, 990)).save(tmp_path / "flat.png")
    with pytest.raises(InputError, match=r"990 x 990 pixels are packed into [0-9]+ bytes, as no photograph is"):
        open_upright(tmp_path / "flat.png", max_pixels=1_000_000)
    assert open_upright(tmp_path / "flat.png", max_pixels=10_000_000).shape == (990, 990, 3)
    buffer = io.BytesIO()
    Image.new("1", (13_000, 13_000)).save(buffer, "PNG")
    (tmp_path / "large.png").write_bytes(buffer.getvalue())
    assert all("as no photograph is" in said for said in _everywhere(tmp_path / "large.png"))


def test_memory_is_bounded_by_what_the_format_takes(tmp_path: Path) -> None:
    _noise(300, 300).save(tmp_path / "a.jp2")
    _noise(300, 300).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="GB of memory to decode as JPEG2000"):
        open_upright(tmp_path / "a.jp2", max_pixels=90_000)
    assert open_upright(tmp_path / "a.png", max_pixels=90_000).shape == (300, 300, 3)


def test_a_flat_drawing_of_usual_size_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 2000), "white").save(tmp_path / "flat.png")
    assert read_size(tmp_path / "flat.png", decode=True) == (2000, 3000)
    assert open_fitted(tmp_path / "flat.png", 60, 100).size_hw == (2000, 3000)


def _progressive(more_scans: int) -> bytes:
    buffer = io.BytesIO()
    _noise().save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * more_scans + whole[-2:]


def test_a_jpeg_of_countless_scans_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(_progressive(100))
    assert all("more than 100 scans" in said for said in _everywhere(path))
    path.write_bytes(_progressive(0))
    assert read_size(path, decode=True) == (32, 48)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_what_follows_a_jpeg_counts_no_scans(tmp_path: Path, options: dict[str, bool]) -> None:
    buffer = io.BytesIO()
    _noise().save(buffer, "JPEG", exif=b"Exif\0\0" + b"\xff\xda" * 200, **options)  # a preview; a telephone's video
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue() + b"\xff\xda\x00\x08" * 500)
    assert read_size(tmp_path / "a.jpg", decode=True) == (32, 48)


def test_a_tiff_of_huge_tiles_is_refused(tmp_path: Path) -> None:
    entries = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 60_000, 323: 60_000, 324: 300, 325: 4}
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)
    (tmp_path / "a.tif").write_bytes(head.ljust(300, b"\0") + zlib.compress(bytes(10)))
    assert all("60000 x 60000" in said for said in _everywhere(tmp_path / "a.tif"))


def test_text_in_a_png_is_unpacked_to_a_limit(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    _noise().save(buffer, "PNG")
    whole = buffer.getvalue()
    chunks = b""
    for kind, start in ((b"zTXt", b"Comment\0\0"), (b"iCCP", b"profile\0\0")):
        data = start + zlib.compress(bytes(20_000_000))
        chunks += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        (tmp_path / "a.png").write_bytes(whole[:33] + chunks + whole[33:])
        assert all("too large" in said or "damaged" in said for said in _everywhere(tmp_path / "a.png"))
        chunks = b""


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a pipe"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            os.mkfifo(tmp_path / "pipe")
            path.symlink_to(tmp_path / "pipe")
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.mkdir()
    assert all(("is a folder" if kind == "folder" else "a pipe or a device") in said for said in _everywhere(path))
    assert digest(path) is None


@pytest.mark.parametrize("name", ["a\0b.jpg", "half a letter \ud800.jpg", "x" * 5000 + ".jpg"])
def test_names_that_no_file_can_have(name: str) -> None:
    for said in _everywhere(Path(name)):
        assert "cannot be opened (" in said
        said.encode()


@pytest.mark.parametrize("name", ["https://example.com/a.jpg", "s3://bucket/a.jpg"])
def test_addresses_are_told_from_missing_files(name: str) -> None:
    with pytest.raises(InputError, match=r"example|bucket") as caught:
        open_upright(name)
    assert f"{name}: is an address, and nothing is fetched from the network" in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000", "TGA"])
def test_flipped_bits_end_in_one_sentence_or_a_picture(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    _noise().save(buffer, kind)
    whole = buffer.getvalue()
    chance = random.Random(0)
    path = tmp_path / "a.bin"
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 4, 30])):
            damaged[chance.randrange(min(len(damaged), chance.choice([64, 4000])))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.choice([len(damaged), chance.randrange(1, len(damaged))])])
        for read in (open_upright, lambda path: open_fitted(path, 8, 16)):
            with suppress(InputError):
                assert read(path) is not None
        assert isinstance(read_size(path), str | tuple)
        assert isinstance(read_size(path, decode=True), str | tuple)


def test_heif_is_read_where_pillow_heif_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    stored = Image.new("RGB", (64, 32), "red")
    stored.paste("blue", (0, 0, 64, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    heif.from_pillow(stored).save(tmp_path / "plain.heic", quality=90)
    stored.info["exif"] = exif.tobytes()
    heif.from_pillow(stored).save(tmp_path / "turned.heic", quality=90)
    assert read_size(tmp_path / "plain.heic") == (32, 64)
    for name in ("plain.heic", "turned.heic"):
        shown = open_upright(tmp_path / name)
        assert read_size(tmp_path / name) == read_size(tmp_path / name, decode=True) == shown.shape[:2]
    np.testing.assert_allclose(open_upright(tmp_path / "plain.heic")[4, 30], (0, 0, 255), atol=12)
    np.testing.assert_allclose(open_upright(tmp_path / "plain.heic")[28, 30], (255, 0, 0), atol=12)
    monkeypatch.setattr(headers, "can_read_heif", lambda: False)
    assert all("is a HEIF photograph" in said for said in _everywhere(tmp_path / "plain.heic"))


def test_images_are_opened_in_one_place() -> None:
    source = Path(headers.__file__).parents[1]
    opens = {path.relative_to(source).as_posix() for path in source.rglob("*.py") if "Image.open(" in path.read_text()}
    assert opens <= {"images/headers.py", "drawing/saving.py"}  # a comment; a picture that we drew ourselves
