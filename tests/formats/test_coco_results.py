from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from objectness.errors import InputError
from objectness.formats import coco_results, read_proposals
from objectness.proposals import Proposals


def entry(image_id: Any = 1, box: Any = (0, 0, 1, 1), score: Any = 0.5, category_id: Any = 1) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": category_id, "bbox": box, "score": score}


def written(folder: Path, document: Any) -> Path:
    path = folder / "results.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


class TestWrite:
    def test_empty(self, tmp_path: Path) -> None:
        coco_results.write(tmp_path / "proposals.json", {})
        assert json.loads((tmp_path / "proposals.json").read_text()) == []
        assert json.loads((tmp_path / "proposals.images.json").read_text()) == []
        assert read_proposals(tmp_path / "proposals.json", "coco-results") == {}

    def test_by_hand(self, tmp_path: Path) -> None:
        found = Proposals(
            np.array([[1, 2, 4, 8], [0.004, 0.006, 10.128, 5.5]]),
            np.array([0.9, 0.12345678]),
            (48, 64),
            "in/a.jpg",
        )
        coco_results.write(tmp_path / "proposals.json", {7: found, 3: Proposals([], [], (5, 6))})
        assert json.loads((tmp_path / "proposals.json").read_text()) == [
            {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 6], "score": 0.9},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0.01, 10.13, 5.49], "score": 0.123457},
        ]
        assert json.loads((tmp_path / "proposals.images.json").read_text()) == [
            {"id": 7, "file_name": "in/a.jpg", "width": 64, "height": 48},
            {"id": 3, "file_name": None, "width": 6, "height": 5},
        ]
        assert sorted(file.name for file in tmp_path.iterdir()) == ["proposals.images.json", "proposals.json"]

    def test_numpy_ids_and_tiny_scores(self, tmp_path: Path) -> None:
        found = Proposals([[0, 0, 1, 1]], [1.5e-9], (1, 1))
        coco_results.write(tmp_path / "a.json", {np.int64(5): found})
        assert json.loads((tmp_path / "a.json").read_text()) == [entry(5, [0, 0, 1, 1], 1.5e-9)]

    def test_swapped_corners_become_no_negative_size(self, tmp_path: Path) -> None:
        coco_results.write(tmp_path / "a.json", {1: Proposals([[5, 5, 2, 9]], [0.5], (9, 9))})
        assert json.loads((tmp_path / "a.json").read_text())[0]["bbox"] == [5, 5, 0, 4]

    def test_makes_its_folder(self, tmp_path: Path) -> None:
        coco_results.write(tmp_path / "new" / "folder" / "a.json", {})
        assert (tmp_path / "new" / "folder" / "a.json").is_file()

    def test_without_images_no_old_table_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        coco_results.write(path, {1: Proposals([], [], (5, 6))})
        coco_results.write(path, {2: Proposals([[0, 0, 1, 1]], [0.5], (7, 8))}, images=False)
        assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
        assert list(read_proposals(path, "coco-results")) == [2]
        assert read_proposals(path, "coco-results")[2].size_hw == (0, 0)

    @pytest.mark.parametrize(("column", "value"), [(0, np.nan), (3, np.inf), (4, np.nan), (4, -np.inf)])
    def test_numbers_that_json_does_not_have(self, tmp_path: Path, column: int, value: float) -> None:
        path = tmp_path / "a.json"
        coco_results.write(path, {1: Proposals([[0, 0, 1, 1]], [0.5], (5, 6))})
        before = path.read_text()
        rows = np.array([[0, 0, 1, 1, 0.9], [0, 0, 1, 1, 0.8]])
        rows[1, column] = value
        with pytest.raises(InputError, match="Image 4: proposal 2 has a box or a score"):
            coco_results.write(path, {4: Proposals(rows[:, :4], rows[:, 4], (5, 6))})
        assert path.read_text() == before
        assert sorted(file.name for file in tmp_path.iterdir()) == ["a.images.json", "a.json"]

    def test_a_place_that_cannot_be_written_to(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be written"):
            coco_results.write(tmp_path / "file" / "a.json", {})
        (tmp_path / "folder.json").mkdir()
        with pytest.raises(InputError, match="cannot be written"):
            coco_results.write(tmp_path / "folder.json", {})

    @pytest.mark.slow
    def test_memory_does_not_grow_with_the_images(self, tmp_path: Path) -> None:
        found = Proposals(np.random.default_rng(0).random((1000, 4)), np.linspace(1, 0, 1000), (5, 6))
        many = dict.fromkeys(range(40), found)
        tracemalloc.start()
        coco_results.write(tmp_path / "a.json", many)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2e6 < (tmp_path / "a.json").stat().st_size


class TestRead:
    def test_empty(self, tmp_path: Path) -> None:
        assert read_proposals(written(tmp_path, []), "coco-results") == {}

    def test_by_hand(self, tmp_path: Path) -> None:
        document = [
            entry(2, [1, 2, 3, 6], 0.25),
            entry(1, [0, 0, 0, 4.5], 1),
            entry(2, [10, 20, 30, 40], 0.75),
        ]
        got = read_proposals(written(tmp_path, document), "coco-results")
        assert sorted(got) == [1, 2]
        assert got[1].boxes_xyxy.tolist() == [[0, 0, 0, 4.5]]
        assert got[2].boxes_xyxy.tolist() == [[10, 20, 40, 60], [1, 2, 4, 8]]
        assert got[2].scores.tolist() == [0.75, 0.25]
        assert (got[2].size_hw, got[2].source) == ((0, 0), None)

    def test_equal_scores_go_by_category_and_then_by_place(self, tmp_path: Path) -> None:
        document = [
            entry(box=[0, 0, 1, 1], category_id=9),
            entry(box=[0, 0, 2, 2], category_id=3),
            entry(box=[0, 0, 3, 3], category_id=9, score=0.9),
            entry(box=[0, 0, 4, 4], category_id=3),
        ]
        got = read_proposals(written(tmp_path, document), "coco-results")[1]
        assert got.boxes_xyxy[:, 2].tolist() == [3, 2, 4, 1]

    def test_scores_that_single_precision_cannot_tell_apart(self, tmp_path: Path) -> None:
        document = [
            entry(box=[0, 0, 1, 1], score=0.50000000001),
            entry(box=[0, 0, 2, 2], score=0.50000000002),
        ]
        got = read_proposals(written(tmp_path, document), "coco-results")[1]
        assert got.boxes_xyxy[:, 2].tolist() == [2, 1]

    def test_other_tools_add_other_keys(self, tmp_path: Path) -> None:
        mask = {"segmentation": {"size": [4, 4], "counts": "abc"}, "id": 3, "file_name": "a.jpg"}
        got = read_proposals(written(tmp_path, [{**mask, **entry(7.0, [1, 1, 2, 2])}]), "coco-results")
        assert got[7].boxes_xyxy.tolist() == [[1, 1, 3, 3]]

    def test_byte_order_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text("[]", encoding="utf-8-sig")
        assert read_proposals(path, "coco-results") == {}

    def test_the_table_gives_sizes_names_and_empty_images(self, tmp_path: Path) -> None:
        path = written(tmp_path, [entry(4), entry(8)])
        table = [
            {"id": 4, "file_name": "d.jpg", "width": 64, "height": 48},
            {"id": 5, "file_name": None, "width": 6, "height": 5, "license": 1},
        ]
        (tmp_path / "results.images.json").write_text(json.dumps(table))
        got = read_proposals(path, "coco-results")
        assert {image_id: (len(found), found.size_hw, found.source) for image_id, found in got.items()} == {
            4: (1, (48, 64), "d.jpg"),
            5: (0, (5, 6), None),
            8: (1, (0, 0), None),
        }

    @pytest.mark.parametrize(
        "table",
        ["{}", '{"images": []}', "3", '[{"id": 1}]', '[{"id": 1, "file_name": 3, "width": 1, "height": 1}]'],
    )
    def test_a_malformed_table(self, tmp_path: Path, table: str) -> None:
        path = written(tmp_path, [])
        (tmp_path / "results.images.json").write_text(table)
        with pytest.raises(InputError, match=r"results\.images\.json: image 1 is not"):
            read_proposals(path, "coco-results")

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (3, "is a number, not an object"),
            (None, "is null, not an object"),
            ([entry()], "is a list, not an object"),
            ({}, "has no 'image_id'"),
            ({"image_id": 1, "bbox": [0, 0, 1, 1], "score": 1}, "has no 'category_id'"),
            ({"image_id": 1, "category_id": 1, "score": 1}, "has no 'bbox'"),
            ({"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}, "has no 'score'"),
            (entry(image_id=[7]), r"has the image_id \[7\], which is no whole number and no text"),
            (entry(image_id=1.5), "has the image_id 1.5"),
            (entry(image_id=True), "has the image_id True"),
            (entry(image_id=10**60), "has the image_id 1000000000"),
            (entry(category_id=None), "has the category_id None"),
            (entry(box=[0, 0, 1]), r"has the bbox \[0, 0, 1\], which is not four finite numbers"),
            (entry(box=[0, 0, 1, "1"]), "which is not four finite numbers"),
            (entry(box=[0, 0, 1, float("nan")]), "which is not made of finite numbers"),
            (entry(box=[0, 0, float("inf"), 1]), "which is not made of finite numbers"),
            (entry(box={"x": 1}), "which is not four finite numbers"),
            (entry(box=[5, 5, -3, 1]), "with a negative side"),
            (entry(score="0.5"), "has the score '0.5', which is not a finite number"),
            (entry(score=None), "has the score None"),
            (entry(score=float("nan")), "has the score nan"),
            (entry(score=10**400), "has the score inf"),
        ],
    )
    def test_a_malformed_entry_is_named(self, tmp_path: Path, bad: Any, message: str) -> None:
        path = written(tmp_path, [entry(), entry(2), bad, entry(3)])
        with pytest.raises(InputError, match=rf"results\.json: entry 3 .*{message}"):
            read_proposals(path, "coco-results")

    def test_an_entry_within_an_entry_is_another_key(self, tmp_path: Path) -> None:
        for score in (0.5, float("nan")):
            path = written(tmp_path, [{**entry(), "better": entry(2)}, entry(score=score)])
            assert [image.image_id for image in coco_results.parse(path).images] == [1]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is not valid JSON"),
            ("[{]", r"is not valid JSON \(line 1, column 3"),
            ('[{"image_id": 1', "is not valid JSON"),
            ("[" * 100_000, "brackets are nested too deeply"),
            ("[" + "9" * 5000 + "]", "a number has thousands of digits"),
            ("{}", "holds a JSON object, but COCO results are a list"),
            ('{"images": [], "annotations": []}', "give the results file, not the annotations"),
            (json.dumps(entry()), "holds a JSON object"),
            ("null", "holds null"),
            ('"a"', "holds text"),
        ],
    )
    def test_another_file(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            read_proposals(written(tmp_path, text), "coco-results")

    def test_a_binary_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_bytes(b"\xff\xd8\xff\xe0\x00")
        with pytest.raises(InputError, match="not UTF-8"):
            read_proposals(path, "coco-results")

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be read: No such file"):
            read_proposals(tmp_path / "a.json", "coco-results")
        with pytest.raises(InputError, match="is a folder"):
            read_proposals(tmp_path, "coco-results")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(*[st.integers(-5000, 5000)] * 4, st.integers(0, 10**6)), max_size=5), max_size=3))
def test_round_trip(tmp_path: Path, images: list[list[tuple[int, ...]]]) -> None:
    proposals = {}
    for image_id, rows in enumerate(images):
        table = np.array(rows, dtype=np.float64).reshape(-1, 5)
        table = table[np.argsort(-table[:, 4], kind="stable")]
        corners = np.sort(table[:, :4].reshape(-1, 2, 2), axis=1).reshape(-1, 4) / 100
        proposals[image_id] = Proposals(corners, table[:, 4] / 10**6, (48, 64 + image_id), f"{image_id}.jpg")
    coco_results.write(tmp_path / "a.json", proposals)
    got = read_proposals(tmp_path / "a.json", "coco-results")
    assert list(got) == list(proposals)
    for image_id, want in proposals.items():
        np.testing.assert_allclose(got[image_id].boxes_xyxy, want.boxes_xyxy, atol=1e-5)
        np.testing.assert_allclose(got[image_id].scores, want.scores, rtol=1e-6)
        assert (got[image_id].size_hw, got[image_id].source) == (want.size_hw, want.source)


_ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=2), st.just([]), st.just({}), st.just(2**53)
)
_USUAL = st.one_of(st.integers(0, 9), st.floats(0, 9))


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "image_id": st.one_of(st.integers(0, 9), _ODD),
            "category_id": st.one_of(st.integers(0, 9), _ODD),
            "bbox": st.one_of(st.lists(_USUAL, min_size=4, max_size=4), st.lists(_ODD, max_size=5), _ODD),
            "score": st.one_of(_USUAL, _ODD),
            "file_name": st.one_of(st.text(max_size=2), _ODD),
        },
    )
)
def test_msgspec_lets_no_fault_through_and_reads_the_same(tmp_path: Path, entry: dict[str, object]) -> None:
    path = written(tmp_path, [entry, entry])

    def by_json(path: Path) -> Any:
        return coco_results._columns(path, coco_results._checked(path, json.loads(path.read_text())))

    (table, *others), (expected, *expected_others) = _outcome(coco_results._read_entries, path), _outcome(by_json, path)
    np.testing.assert_array_equal(table, expected)
    assert others == expected_others


def _outcome(read: Callable[[Path], Any], path: Path) -> tuple[Any, ...]:
    try:
        return tuple(read(path))
    except InputError as error:
        return (), str(error)


def test_a_file_without_oddities_is_read_by_msgspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_results, "_checked", None)
    path = written(tmp_path, [entry(3, (0, 0.5, 3, 4)), {**entry("a"), "segmentation": [], "file_name": "a.jpg"}])
    assert list(read_proposals(path, "coco-results")) == [3, "a"]
