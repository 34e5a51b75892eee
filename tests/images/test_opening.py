from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from objectness.errors import InputError
from objectness.images import DEFAULT_MAX_PIXELS, fit_size_hw, open_fitted, open_upright, resize

# Two rows, three columns, all different: every turn and mirroring gives another array.
STORED = np.arange(0, 180, 10, dtype=np.uint8).reshape(2, 3, 3)

# What a viewer shows for each EXIF orientation (EXIF 2.32, 4.6.4: which side row 0 and column 0 lie on).
SHOWN = {
    1: STORED,
    2: STORED[:, ::-1],
    3: STORED[::-1, ::-1],
    4: STORED[::-1],
    5: STORED.transpose(1, 0, 2),
    6: np.rot90(STORED, -1),
    7: STORED[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(STORED, 1),
}


def _with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be this large and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_every_exif_orientation_is_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(STORED).save(path, exif=_with_orientation(orientation), **options)
    np.testing.assert_array_equal(open_upright(path), SHOWN[orientation])


@pytest.mark.parametrize(("orientation", "size_hw"), [(1, (20, 60)), (6, (60, 20)), (8, (60, 20))])
def test_a_phone_photograph_is_turned(tmp_path: Path, orientation: int, size_hw: tuple[int, int]) -> None:
    stored = np.zeros((20, 60, 3), np.uint8)
    stored[:, :30] = 255  # white on the left: on top after a turn to the right, below after one to the left
    path = tmp_path / "phone.jpg"
    Image.fromarray(stored).save(path, exif=_with_orientation(orientation), quality=95)
    shown = open_upright(path)
    assert shown.shape == (*size_hw, 3)
    assert bool(shown[0, 0, 0] > 200) is (orientation in (1, 6))
    assert bool(shown[-1, -1, 0] > 200) is (orientation == 8)


def test_a_pil_image_is_turned_and_left_as_it_was() -> None:
    image = Image.fromarray(STORED)
    image.getexif()[0x0112] = 6
    np.testing.assert_array_equal(open_upright(image), SHOWN[6])
    assert image.size == (3, 2)
    np.testing.assert_array_equal(np.asarray(image), STORED)


def test_broken_or_senseless_exif_leaves_the_photograph_as_it_is_stored(tmp_path: Path) -> None:
    Image.fromarray(STORED).save(tmp_path / "nine.png", exif=_with_orientation(9))
    Image.fromarray(STORED).save(tmp_path / "broken.png", exif=b"Exif\0\0not a TIFF header")
    for name in ("nine.png", "broken.png"):
        np.testing.assert_array_equal(open_upright(tmp_path / name), STORED)


def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 257, 256 * 128], [65535, 129, 128]], np.uint16)
    grey = [[0, 1, 128], [255, 1, 0]]  # value / 257, rounded: 129 / 257 = 0.502, 128 / 257 = 0.498
    for name in ("grey.png", "grey.tif", "grey.pgm"):
        Image.fromarray(values).save(tmp_path / name)
        assert open_upright(tmp_path / name)[:, :, 0].tolist() == grey
    rgb = open_upright(tmp_path / "grey.png")
    assert rgb.shape == (2, 3, 3)
    assert (rgb == rgb[:, :, :1]).all()


@pytest.mark.parametrize(
    ("values", "grey"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 128.0, 255.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 32896.0, 65535.0]], np.float32), [0, 128, 255]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, np.nan, np.inf]], np.float32), [0, 0, 255]),
        (np.array([[7e6, 7e6]], np.float32), [0, 0]),
        (np.array([[0, 128, 255]], np.int32), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], np.int32), [0, 128, 255]),
        (np.array([[-100000, 0, 100000]], np.int32), [0, 128, 255]),
    ],
)
def test_grey_of_32_bits_takes_the_range_that_holds_it(tmp_path: Path, values: np.ndarray, grey: list[int]) -> None:
    Image.fromarray(values).save(tmp_path / "grey.tif")
    assert open_upright(tmp_path / "grey.tif")[0, :, 0].tolist() == grey


def test_modes_with_known_colours(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "clear.png", transparency=1)
    Image.new("1", (1, 1), 1).save(tmp_path / "bit.png")
    Image.new("L", (1, 1), 77).save(tmp_path / "grey.png")
    Image.new("LA", (1, 1), (100, 128)).save(tmp_path / "la.png")
    Image.new("RGBA", (1, 1), (0, 100, 200, 51)).save(tmp_path / "rgba.png")
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "key.png", transparency=(1, 2, 3))
    white = (255, 255, 255)
    assert open_upright(tmp_path / "palette.png").tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert open_upright(tmp_path / "clear.png").tolist() == [[[10, 20, 30], [*white]]]
    assert open_upright(tmp_path / "bit.png").tolist() == [[[*white]]]
    assert open_upright(tmp_path / "grey.png").tolist() == [[[77, 77, 77]]]
    assert open_upright(tmp_path / "la.png").tolist() == [[[177, 177, 177]]]  # 100 and 255, half each
    assert open_upright(tmp_path / "rgba.png").tolist() == [[[204, 224, 244]]]  # a fifth of it on white
    assert open_upright(tmp_path / "key.png").tolist() == [[[*white]]]


@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0), (0, 0, 0)])
def test_cmyk_jpeg_is_not_inverted(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    Image.new("RGB", (16, 16), colour).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    np.testing.assert_allclose(open_upright(tmp_path / "cmyk.jpg")[8, 8], colour, atol=4)


def test_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "lime")]
    for name in ("moving.gif", "moving.webp", "pages.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(open_upright(tmp_path / name)[0, 0], (255, 0, 0), atol=4)


def test_arrays() -> None:
    grey = np.array([[5, 6]], np.uint8)
    assert open_upright(grey).tolist() == [[[5, 5, 5], [6, 6, 6]]]
    assert open_upright(grey[:, :, None]).tolist() == [[[5, 5, 5], [6, 6, 6]]]
    assert open_upright(np.array([[[0, 100, 200, 51]]], np.uint8)).tolist() == [[[204, 224, 244]]]
    backwards = STORED[:, ::-1]
    np.testing.assert_array_equal(open_upright(backwards), backwards)
    assert open_upright(backwards).flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("kind", [np.matrix, np.ma.masked_array])
def test_every_kind_of_array_is_an_array(kind: Callable[..., np.ndarray]) -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    image = open_upright(kind(grey))
    assert type(image) is np.ndarray
    assert np.array_equal(image, np.dstack([grey] * 3))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((3, 4, 4 + 1), np.uint8), r"\(3, 4, 5\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\(1, 4, 4, 3\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
    ],
)
def test_an_unsuitable_array_is_told_what_is_expected(array: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        open_upright(array)
    assert "expected uint8 of shape (height, width)" in str(caught.value)


def test_every_unusable_file_is_named_in_one_sentence(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    cases = {
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"hi", "not an image"),
        "note.png": (b"x" * 500, "not an"),
    }
    for suffix in ("jpg", "png", "bmp", "gif", "webp", "tif"):
        whole = tmp_path / f"whole.{suffix}"
        Image.fromarray(noise).save(whole)
        cases[f"cut.{suffix}"] = (whole.read_bytes()[: whole.stat().st_size // 2], "damaged")
        cases[f"stub.{suffix}"] = (whole.read_bytes()[:14], "damaged")
    for name, (content, words) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            open_upright(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_is_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.jpg: is missing; there is no such file"):
        open_upright(tmp_path / "missing.jpg")
    with pytest.raises(InputError, match="is a folder"):
        open_upright(tmp_path)
    with pytest.raises(InputError, match="cannot be opened"):
        open_upright("zero\0byte.jpg")
    with pytest.raises(InputError, match="cannot be opened"):
        open_upright("x" * 5000)
    with pytest.raises(InputError, match="NoneType came"):
        open_upright(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no pixels"):
        open_upright(Image.new("RGB", (0, 3)))


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "closed.jpg"
    Image.new("RGB", (2, 2)).save(path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as a user whom nothing is closed to
    with pytest.raises(InputError, match=r"closed\.jpg: cannot be opened \(Permission denied\)"):
        open_upright(path)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(InputError, match="a pipe or a device, not a regular file"):
        open_upright(tmp_path / "pipe.jpg")


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_header(20_000, 10_000))
    with pytest.raises(InputError, match=r"20000 x 10000 = 200000000 pixels, more than the limit of 178000000"):
        open_upright(path)
    assert DEFAULT_MAX_PIXELS == 178_000_000
    with pytest.raises(InputError, match="limit of 11"):
        open_upright(Image.new("RGB", (4, 3)), max_pixels=11)
    assert open_upright(Image.new("RGB", (4, 3)), max_pixels=12).shape == (3, 4, 3)


def test_the_limit_can_be_raised_and_pillow_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(STORED).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)  # Pillow alone would refuse six pixels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(open_upright(path, max_pixels=None), STORED)
    assert Image.MAX_IMAGE_PIXELS == 1


def test_postscript_is_never_run(tmp_path: Path) -> None:
    Image.fromarray(STORED).save(tmp_path / "drawing.eps")
    with pytest.raises(InputError, match="not an image"):
        open_upright(tmp_path / "drawing.eps")


@pytest.mark.parametrize(
    ("size_hw", "fitted_hw"),
    [
        ((600, 800), (600, 800)),
        ((375, 500), (600, 800)),  # a VOC photograph in the paper's setting
        ((300, 600), (500, 1000)),  # the cap of 1000 holds the short side below 600
        ((2000, 1000), (1000, 500)),
        ((1, 1), (600, 600)),
        ((1, 100_000), (1, 1000)),
        ((333, 500), (600, 901)),  # 500 x 600 / 333 = 900.9
    ],
)
def test_fit_size_by_hand(size_hw: tuple[int, int], fitted_hw: tuple[int, int]) -> None:
    assert fit_size_hw(size_hw, 600, 1000) == fitted_hw


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 800), st.integers(0, 1333))
def test_fit_size_keeps_to_its_limits(height: int, width: int, short: int, more: int) -> None:
    fitted = fit_size_hw((height, width), short, short + more)
    assert 1 <= min(fitted) <= short
    assert max(fitted) <= short + more
    assert min(fitted) == short or max(fitted) == short + more
    assert fit_size_hw((width, height), short, short + more) == fitted[::-1]


def test_resize() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 2:] = 200
    assert resize(image, (4, 4)) is image
    assert resize(image, (1, 2))[0, :, 0].tolist() == [29, 171]  # the triangle of antialiasing: 1/7 and 6/7
    stripes = np.tile(np.array([[[0] * 3, [200] * 3]], np.uint8), (64, 32, 1))
    assert np.abs(resize(stripes, (8, 8)).astype(int) - 100).max() <= 12  # no stripes are left by chance
    assert resize(image, (8, 2)).shape == (8, 2, 3)


@pytest.mark.parametrize("largest", [200, 1023, 3900, 16000, 40000])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_grey_of_fewer_bits_in_a_file_of_16_is_scaled_by_what_it_holds(
    tmp_path: Path, largest: int, suffix: str
) -> None:
    values = np.array([[0, largest // 2, largest]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    white = next(2**bits - 1 for bits in (8, 10, 12, 14, 16) if largest < 2**bits)
    expected = [0, round(largest // 2 * 255 / white), round(largest * 255 / white)]
    np.testing.assert_allclose(open_upright(tmp_path / f"a{suffix}")[0, :, 0], expected, atol=1)
    assert largest == 200 or expected[2] > 127
    np.testing.assert_array_equal(
        open_fitted(tmp_path / f"a{suffix}", 1, 3).pixels, open_upright(tmp_path / f"a{suffix}")
    )


@pytest.mark.parametrize(("white", "shown"), [(1.0, 255), (0.5, 128), (3.7, 255), (200.0, 200), (3900.0, 243)])
def test_a_pfm_is_not_black(tmp_path: Path, white: float, shown: int) -> None:
    values = np.array([[0, 0, white / 2], [0, white, 0]], "<f4")
    (tmp_path / "a.pfm").write_bytes(b"Pf\n3 2\n-1.0\n" + values[::-1].tobytes())
    found = open_upright(tmp_path / "a.pfm")[:, :, 0]
    np.testing.assert_allclose(found, [[0, 0, shown / 2], [0, shown, 0]], atol=1)


def test_bytes_and_binary_file_objects_are_read_from_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(STORED).save(path, exif=_with_orientation(6))
    content = path.read_bytes()
    behind = io.BytesIO(b"head" + content)
    behind.seek(4)
    with path.open("rb") as file:
        for source in (content, io.BytesIO(content), behind, file):
            np.testing.assert_array_equal(open_upright(source), SHOWN[6])
        with pytest.raises(InputError, match=r"a\.png: holds no bytes"):
            open_upright(file)  # read to its end
        file.seek(0)
        np.testing.assert_array_equal(open_fitted(file, 2, 3, keep_image=True).image, SHOWN[6])
    for closed in (file, path.open("r", encoding="latin-1"), b"", io.StringIO("text")):
        with pytest.raises(InputError, match=r"closed file|gives text|holds no bytes"):
            open_upright(closed)  # type: ignore[arg-type]


def _png_of_16_bit_colour(values: np.ndarray) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, bands = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[bands], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _tiff_of_16_bit_colour(values: np.ndarray, order: str) -> bytes:
    height, width, _ = values.shape
    shorts = {256: width, 257: height, 258: 3, 259: 1, 262: 2, 273: 206, 277: 3, 278: height, 279: 6 * height * width}
    table = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in shorts.items() if tag != 258)
    bits = struct.pack(f"{order}HHII", 258, 3, 3, 200)
    table = table[:24] + bits + table[24:]
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, 9) + table + bytes(4)
    return head.ljust(200, b"\0") + struct.pack(f"{order}HHH", 16, 16, 16) + values.astype(f"{order}u2").tobytes()


@pytest.mark.parametrize(("bits", "white"), [(10, 1023), (12, 4095), (14, 16383), (16, 65535)])
@pytest.mark.parametrize("kind", ["png", "<tif", ">tif"])
def test_colour_of_fewer_bits_in_a_file_of_16_is_scaled_by_what_it_holds(bits: int, white: int, kind: str) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (20, 30, 3), dtype=np.uint16)
    content = _png_of_16_bit_colour(values) if kind == "png" else _tiff_of_16_bit_colour(values, kind[0])
    found = open_upright(content)
    np.testing.assert_allclose(found, values * (255 / white), atol=1 if bits == 16 else 0.51)
    np.testing.assert_array_equal(open_fitted(content, 20, 30).pixels, found)


def test_transparency_of_dark_16_bit_colour_is_kept() -> None:
    values = np.array([[[4095, 0, 0, 65535], [0, 4095, 0, 0]]], np.uint16)
    assert open_upright(_png_of_16_bit_colour(values)).tolist() == [[[255, 0, 0], [255, 255, 255]]]
