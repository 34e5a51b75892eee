"""Large images on the command line, with the bundled model; what is large is made small here."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from objectness.cli import propose_progress
from objectness.formats import read_proposals
from objectness.inference.tiling import settings

Run = Callable[..., Result]
TILES = ("--tile", "256", "--overlap", "64", "--scales", "1", "--threads", "1")


@pytest.fixture
def run(run: Run) -> Run:
    return partial(run, "propose")


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of more than 100,000 pixels are large, and an overview has 200 pixels."""
    monkeypatch.setattr(settings, "LARGE_PIXELS", 100_000)
    from objectness.drawing import overview

    monkeypatch.setattr(overview, "LONGEST", 200)


def _scene(path: str, size: tuple[int, int] = (600, 400), **options: Any) -> Path:
    """A picture with a few things in it."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=-1).astype(np.uint8) // 3 + 90
    for number in range(6):
        top, left = (97 * number) % max(1, height - 60), (139 * number) % max(1, width - 80)
        pixels[top : top + 50, left : left + 70] = [40 * number, 255 - 40 * number, 30]
    Image.fromarray(pixels).save(path, **options)
    return Path(path)


def _document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_boxes_are_in_pixels_of_the_whole_image_and_the_document_says_how_it_was_seen(run: Run) -> None:
    _scene("a.png")
    (image,) = _document(run("a.png", *TILES, "--json"))["images"]
    tiling = image["tiling"]
    assert tiling["tiles"] > 3
    assert tiling["tile"] <= 256
    assert tiling["overlap"] == 64
    assert not tiling["exact"]
    assert tiling["scales"] == [[600, 400]]
    assert image["missing"] == []
    boxes = np.array(image["boxes"])
    assert boxes[:, [0, 2]].max() > 500
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= [600, 400]).all()
    (found,) = read_proposals("proposals/proposals.json", "coco-results").values()
    assert np.abs(boxes - found.boxes_xyxy).max() < 0.011


@pytest.mark.usefixtures("small_is_large")
def test_a_large_image_is_told_and_drawn_as_an_overview(run: Run) -> None:
    _scene("scan.png")
    _scene("small.png", (200, 150))
    result = run("scan.png", "small.png", "--scales", "1", "--details", "2", "--detail", "500,300,500,500", "--json")
    assert "scan.png: 600 x 400 pixels, more than 0 megapixels: seen in 1 tile." in result.stderr
    assert "small.png: 200 x 150" not in result.stderr
    large, small = _document(result)["images"]
    assert small["tiling"] is None
    assert large["tiling"]["tiles"] >= 1
    overview = Image.open(large["picture"])
    assert overview.width == 200
    assert overview.height > 133
    assert Image.open(small["picture"]).size == (200, 150)
    first = Image.open(large["details"][0])
    assert first.size == (100, 100)  # the part that was named, cut at the border
    assert large["details"][0] == str(Path("proposals/scan.detail-1.proposals.png"))
    assert result.exit_code == 1  # the part that was named lies outside of the small one
    assert small["details"] == []


def test_a_part_outside_is_said_and_the_rest_is_drawn(run: Run) -> None:
    _scene("a.png", (200, 150))
    result = run("a.png", "--detail", "500,300,50,50", "--json")
    assert result.exit_code == 1
    assert "a.png: the detail of 50 x 50 pixels at x 500, y 300 lies outside of the image, which has 200 x 150" in (
        result.stderr
    )
    (image,) = _document(result)["images"]
    assert image["picture"] == str(Path("proposals/a.proposals.png"))
    assert image["details"] == []


def test_details_of_a_photograph(run: Run) -> None:
    _scene("a.png", (300, 200))
    (image,) = _document(run("a.png", "--detail", "10,20,100,80", "--json"))["images"]
    assert Image.open(image["picture"]).size == (300, 200)
    assert [Image.open(file).size for file in image["details"]] == [(100, 80)]
    again = _document(run("a.png", "--json"))
    assert again["older_pictures"] == 1


def test_thorough_finds_more_and_size_other_boxes(run: Run) -> None:
    photo = Path(__file__).parents[2] / "examples" / "photos" / "astronaut.jpg"
    usual, thorough, larger = (
        _document(run(photo, "--json", "--no-pictures", "--top", "20000", *more))["images"][0]
        for more in ((), ("--thorough",), ("--size", "640"))
    )
    assert thorough["proposals"] > usual["proposals"]
    assert len(thorough["tiling"]["scales"]) > 1
    assert larger["boxes"] != usual["boxes"]
    assert larger["tiling"] is None
    assert re.search(r" 4 of 896 px +\d+ *\n", run(photo, "--no-pictures", "--thorough").stdout)


def _geotiff(path: str, code: int) -> None:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[33550] = (0.5, 0.5, 0.0)
    tags[33922] = (0.0, 0.0, 0.0, 400_000.0, 5_000_000.0, 0.0)
    tags[34735] = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, code)
    for tag, kind in ((33550, 12), (33922, 12), (34735, 3)):
        tags.tagtype[tag] = kind
    _scene(path, (200, 150), tiffinfo=tags)


def test_a_geotiff_gets_its_boxes_in_its_coordinate_system(run: Run) -> None:
    _geotiff("map.tif", 32633)
    result = run("map.tif", "--json", "--no-pictures", "--out", "o")
    (image,) = _document(result)["images"]
    assert image["geojson"] == str(Path("o/map.proposals.geojson"))
    collection = json.loads(Path(image["geojson"]).read_text())
    assert collection["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    assert len(collection["features"]) == image["proposals"] > 0
    xs, ys = np.array(collection["features"][0]["geometry"]["coordinates"][0]).T
    x1, y1, x2, y2 = image["boxes"][0]
    assert [xs.min(), xs.max()] == pytest.approx([400_000 + x1 / 2, 400_000 + x2 / 2], abs=0.01)
    assert [ys.min(), ys.max()] == pytest.approx([5_000_000 - y2 / 2, 5_000_000 - y1 / 2], abs=0.01)
    assert "and 1 GeoJSON file" in run("map.tif", "--no-pictures", "--out", "o").stdout
    none = _document(run("map.tif", "--json", "--no-geojson", "--out", "new"))["images"][0]
    assert none["geojson"] is None
    assert not list(Path("new").glob("*.geojson"))


def test_a_coordinate_system_without_a_code_is_said(run: Run) -> None:
    _geotiff("map.tif", 32767)
    result = run("map.tif", "--json")
    assert result.exit_code == 0
    assert "map.tif: its coordinate system has no EPSG code, so no GeoJSON is written in it." in result.stderr


def test_missing_parts_are_named_and_the_rest_is_kept(run: Run) -> None:
    pytest.importorskip("tifffile")
    _scene("whole.tif", (512, 512))
    _truncated_strips("cut.tif", "whole.tif")
    result = run("cut.tif", *TILES, "--json")
    assert result.exit_code == 1
    document = _document(result)
    (image,) = document["images"]
    assert document["failed"] == []
    assert image["missing"]
    assert image["proposals"] > 0
    printed = run("cut.tif", *TILES)
    assert printed.exit_code == 1
    assert "could not be read, so that boxes are missing there." in printed.stdout
    assert "missing parts" in printed.stdout
    assert "cut.tif: 8 parts could not be read" in printed.stderr


def _truncated_strips(target: str, source: str) -> None:
    """A TIFF whose head is whole and whose second half of strips lies behind the end of the file."""
    import struct

    pixels = np.asarray(Image.open(source))
    height, width = pixels.shape[:2]
    rows, strips = 32, height // 32
    size = rows * width * 3
    tags = [
        *((256, 4, 1, width), (257, 4, 1, height), (259, 3, 1, 1), (262, 3, 1, 2), (277, 3, 1, 3), (278, 4, 1, rows)),
    ]
    count = len(tags) + 3
    after = 8 + 2 + 12 * count + 4
    bits, offsets, counts = after, after + 8, after + 8 + 4 * strips
    start = counts + 4 * strips
    tags += [(258, 3, 3, bits), (273, 4, strips, offsets), (279, 4, strips, counts)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, count) + entries + struct.pack("<I", 0) + struct.pack("<HHHH", 8, 8, 8, 0)
    places = struct.pack(f"<{strips}I", *(start + size * number for number in range(strips)))
    body = pixels.tobytes()
    Path(target).write_bytes(head + places + struct.pack(f"<{strips}I", *[size] * strips) + body[: len(body) // 2])


@pytest.mark.parametrize("how", [("--tile", "320", "--scales", "1"), ("--thorough",)])
def test_odd_images(run: Run, how: tuple[str, ...]) -> None:
    Path("in").mkdir()
    grey = np.arange(60 * 90, dtype=np.uint16).reshape(60, 90)
    Image.new("RGB", (1, 1)).save("in/1x1.png")
    Image.new("RGB", (700, 1)).save("in/line.png")
    Image.new("L", (90, 60), 7).save("in/grey.png")
    Image.new("P", (90, 60), 7).save("in/palette.png")
    Image.new("CMYK", (90, 60)).save("in/cmyk.jpg")
    Image.new("RGBA", (90, 60)).save("in/alpha.png")
    Image.fromarray(grey).save("in/deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (90, 60)).save("in/turned.jpg", exif=exif)
    Path("in/empty.png").write_bytes(b"")
    result = run("in", *how, "--json", "--threads", "1")
    assert result.exit_code == 1
    document = _document(result)
    sizes = {Path(image["file"]).name: (image["width"], image["height"]) for image in document["images"]}
    assert [Path(failed["file"]).name for failed in document["failed"]] == ["empty.png"]
    assert sizes["turned.jpg"] == (60, 90)
    assert sizes["1x1.png"] == (1, 1)
    assert len(sizes) == 8
    assert all(Path(image["picture"]).is_file() for image in document["images"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--tile", "huge"), "tile is 'huge', but must be"),
        (("--tile", "0"), "tile is 0, but must be"),
        (("--overlap", "-3"), "overlap is '-3', but must be"),
        (("--scales", "2.0,3"), "scales is (2.0, 3.0), but must be"),
        (("--scales", "many"), "scales is 'many', but must be"),
        (("--detail", "1,2,3"), "--detail is '1,2,3', but takes x,y,width,height in pixels"),
        (("--resume", "--json", "--no-pictures"), "name it with --out"),
    ],
)
def test_wrong_words_are_one_sentence(run: Run, words: tuple[str, ...], sentence: str) -> None:
    _scene("a.png", (60, 40))
    result = run("a.png", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not Path("proposals").exists()


def test_the_help_groups_the_options(run: Run) -> None:
    printed = run("--help").stdout
    first, large = printed.index("\nOptions:"), printed.index("\nLarge images:")
    assert first < printed.index("--thorough") < large < printed.index("--tile") < printed.index("\nPictures:")
    assert f"more than {settings.LARGE_PIXELS // 10**6} megapixels" in " ".join(printed.split())


def test_the_pace_of_tiles() -> None:
    assert [propose_progress.clock(seconds) for seconds in (0, 59.6, 3_661.2)] == ["0:00", "1:00", "1:01:01"]


_THREADS = 6
_SCRIPT = f"""
import ctypes, sys, threading
from objectness.cli.propose_run import share_heap
if sys.argv[1] == "shared":
    share_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
ready = threading.Barrier({_THREADS} + 1)
def hold():
    libc.malloc(1000)
    ready.wait()
    ready.wait()
threads = [threading.Thread(target=hold) for _ in range({_THREADS})]
for thread in threads:
    thread.start()
ready.wait()
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
ready.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_threads_share_one_heap() -> None:
    heaps = {}
    for way in ("own", "shared"):
        done = subprocess.run([sys.executable, "-c", _SCRIPT, way], capture_output=True, text=True, check=True)
        heaps[way] = len(re.findall(r"<heap nr=", done.stdout))
    assert heaps["own"] > 1
    assert heaps["shared"] == 1
