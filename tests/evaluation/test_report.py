from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectness.errors import InputError
from objectness.evaluation.curves import Chart, Line
from objectness.evaluation.report import write_report
from objectness.evaluation.report.axes import Axes
from objectness.evaluation.report.png import to_png
from objectness.evaluation.report.svg import to_svg
from objectness.evaluation.report.thumbnails import thumbnails
from objectness.evaluation.results import Options

A, B, FAR = [0, 0, 10, 10], [40, 20, 60, 40], [300, 300, 310, 310]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """64 x 48, the left half red."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32, 0] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def chart(lines: tuple[Line, ...], **changes) -> Chart:
    settings = {"log_x": False, "x_range": (0, 1), "y_range": (0, 1), **changes}
    return Chart("key", "A <title>", "x & so on", "y", lines, **settings)


class TestAxes:
    def test_corners(self) -> None:
        axes = Axes(chart(()), 100, 100, 10, 10, 10, 10)
        assert (axes.x(0), axes.x(1), axes.y(0), axes.y(1)) == (10, 90, 90, 10)
        assert [words for _, words in axes.x_ticks()] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]

    def test_logarithmic(self) -> None:
        axes = Axes(chart((), log_x=True, x_range=(1, 1000)), 110, 100, 10, 10, 10, 10)
        assert axes.x(10) == pytest.approx(40)
        assert [words for _, words in axes.x_ticks()] == ["1", "3", "10", "30", "100", "300", "1000"]

    @pytest.mark.parametrize("span", [(0, 0.1), (-7.3, 9.1), (0, 0.3), (1e-5, 2e-5)])
    def test_ticks_lie_inside(self, span: tuple[float, float]) -> None:
        ticks = [value for value, _ in Axes(chart((), y_range=span)).y_ticks()]
        assert 2 <= len(ticks) <= 11
        assert span[0] - 1e-12 <= min(ticks) <= max(ticks) <= span[1] + 1e-12


class TestDrawings:
    line = Line("a < b", (0, 0.5, 1), (0, 0.25, 1), (0, 0.2, 0.9), (0.1, 0.3, 1), colour=0)
    dashed = Line("other", (0, 1), (1, 0), colour=1, dashed=True)

    def test_svg(self) -> None:
        text = to_svg(chart((self.line, self.dashed)))
        assert "a &lt; b" in text
        assert "A &lt;title&gt;" in text
        assert text.count("stroke-dasharray") == 2  # the line and its swatch
        assert "fill-opacity" in text

    def test_png_has_the_line_where_it_belongs(self) -> None:
        picture = to_png(chart((self.dashed,)))
        axes = Axes(chart(()))
        scale = picture.width / axes.width
        ink = np.asarray(picture).astype(int)

        def is_orange(x: float, y: float) -> bool:
            column, row = round(axes.x(x) * scale), round(axes.y(y) * scale)
            near = ink[row - 12 : row + 13, column - 12 : column + 13].reshape(-1, 3)
            return bool((abs(near - [213, 94, 0]).sum(axis=1) < 60).any())

        assert is_orange(0.5, 0.5)
        assert is_orange(0.25, 0.75)
        assert not is_orange(0.25, 0.25)

    def test_a_single_point(self) -> None:
        one = chart((Line("one", (1,), (0.5,), (0.4,), (0.6,), dots=True),))
        assert "<circle" in to_svg(one)
        assert to_png(one).width > 100


class TestThumbnails:
    def test_nothing_missed(self, make_results, make_record, make_proposals) -> None:
        assert thumbnails(make_results([make_record(1, [A])], one={1: make_proposals([A])}), 5) == ([], 0)

    def test_box_and_nearest_lie_on_the_picture(self, make_results, make_record, make_proposals, photo) -> None:
        record = make_record(1, [B], name=str(photo))
        results = make_results([record], one={1: make_proposals([[20, 20, 40, 40]])})
        (found,), count = thumbnails(results, 5)
        told = found.document
        assert count == 1
        assert told["picture"].startswith("data:image/jpeg;base64,")
        # 12 px of room around the object, and 4 px beyond the proposal: x from 16 to 64 (the edge), y from 8 to 48.
        scale = 180 / 48
        assert (told["width"], told["height"]) == (180, round(40 * scale))
        assert told["box"] == pytest.approx([24 * scale, 12 * scale, 44 * scale, 32 * scale])
        assert told["missed"][0]["nearest"] == pytest.approx([4 * scale, 12 * scale, 24 * scale, 32 * scale])
        assert (told["class"], told["size"], told["sides"]) == ("cat", "small", [20, 20])

    def test_a_choice_over_all_sizes(self, make_results, make_record) -> None:
        boxes = [[0, 0, side, side] for side in range(5, 105, 5)]
        results = make_results([make_record(1, boxes)], one={})
        found, count = thumbnails(results, 5)
        sides = [one.document["sides"][0] for one in found]
        assert count == 20
        assert sides == sorted(sides)
        assert (sides[0], sides[-1], len(sides)) == (5, 100, 5)

    def test_a_photograph_that_is_not_there(self, make_results, make_record) -> None:
        (found,), _ = thumbnails(make_results([make_record(1, [A])], one={}), 5)
        assert found.missing
        assert found.document["picture"] is None
        assert found.document["missed"] == [{"nearest": None, "iou": 0}]

    def test_missed_by_one_and_not_by_the_other(self, make_results, make_record, make_proposals) -> None:
        results = make_results([make_record(1, [A])], one={1: make_proposals([A])}, two={})
        (found,), _ = thumbnails(results, 5)
        assert [entry is None for entry in found.document["missed"]] == [True, False]

    @pytest.mark.parametrize("box", [[900, 900, 950, 950], [5, 5, 5, 5], [-50, -50, -20, -20]])
    def test_objects_outside_and_without_area(self, make_results, make_record, make_proposals, photo, box) -> None:
        wild = make_proposals([[float("inf"), 0, float("inf"), 5], [-1e30, -1e30, 1e30, 1e30]])
        results = make_results([make_record(1, [box], name=str(photo))], one={1: wild})
        (found,), _ = thumbnails(results, 5)
        json.dumps(found.document, allow_nan=False)


class Links(HTMLParser):
    """Everything a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]


class TestFiles:
    def test_everything_is_written(self, make_results, make_record, make_proposals, photo, tmp_path) -> None:
        records = [make_record(1, [A, B], name=str(photo), class_ids=[0, 1])]
        results = make_results(records, one={1: make_proposals([A])}, two={1: make_proposals([FAR, B], [0.2, 0.9])})
        files = write_report(tmp_path / "new" / "deep" / "out.html", results, {"who": "me"})
        names = [file.name for file in files]
        assert names[:3] == ["out.html", "out.csv", "out.json"]
        assert all(file.stat().st_size > 100 for file in files)
        assert {name for name in names if name.endswith(".png")} == {
            "out.ar-by-number.png", "out.recall-by-number.png", "out.recall-by-iou.png", "out.calibration.png",
        }  # fmt: skip
        told = json.loads((tmp_path / "new" / "deep" / "out.json").read_text())
        assert told["who"] == "me"
        assert told["tables"]["average-recall"]["columns"][0] == "method"
        assert told["curves"]["ar-by-number"]["lines"][0]["y"] == [0.5, 0.5]

    def test_the_page_needs_nothing_else(self, make_results, make_record, tmp_path) -> None:
        results = make_results([make_record(1, [A])], one={})
        page = write_report(tmp_path / "out.html", results, {})[0].read_text()
        links = Links()
        links.feed(page)
        assert links.found == []
        assert "link" not in links.tags
        assert re.findall(r"url\(|@import|fetch\(|XMLHttp", page) == []
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []

    def test_names_cannot_break_out_of_the_page(self, make_results, make_record, tmp_path) -> None:
        evil = "</script><script>alert(1)</script>"
        results = make_results([make_record(1, [A], name="x<b>.jpg")], class_names=(evil,), **{"<i>method</i>": {}})
        page = write_report(tmp_path / "out.html", results, {}, notes=["a < b"])[0].read_text()
        assert "<script>alert" not in page
        assert "<i>method" not in page
        assert page.count("</script>") == 2
        data = re.search(r'id="missed-data">(.*?)</script>', page)
        assert data is not None
        assert json.loads(data[1])["objects"][0]["class"] == evil

    def test_nothing_to_show(self, make_results, make_record, tmp_path) -> None:
        results = make_results([make_record(1)], one={}, options=Options(draws=2))
        page = write_report(tmp_path / "out.html", results, {})[0].read_text()
        assert "There is no object to find." in page
        assert "no object is missed" not in page

    def test_a_place_that_cannot_be_written(self, make_results, make_record, tmp_path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be written"):
            write_report(tmp_path / "file" / "out.html", make_results([make_record(1)], one={}), {})
