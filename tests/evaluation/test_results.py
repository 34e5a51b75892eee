from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.evaluation.bootstrap import Estimate
from objectness.evaluation.curves import charts
from objectness.evaluation.results import Options, choose_at
from objectness.evaluation.tables import Table, show, show_interval, tables, to_csv

A, B, FAR = [0, 0, 10, 10], [100, 100, 140, 140], [300, 300, 310, 310]


@pytest.fixture
def results(make_record, make_proposals, make_results):
    """Three images; "good" finds both objects, "poor" one of them and at the second place."""
    records = [make_record(1, [A], class_ids=[0]), make_record(2, [B], class_ids=[1]), make_record(3)]
    return make_results(
        records,
        good={1: make_proposals([A, FAR]), 2: make_proposals([B])},
        poor={1: make_proposals([FAR, A]), 3: make_proposals([FAR])},
        options=Options(draws=200, seen=("cat",), recalls=(0.5, 1.0)),
    )


def table(results, key: str) -> Table:
    return next(one for one in tables(results) if one.key == key)


def plain(row) -> list:
    return [cell.value if isinstance(cell, Estimate) else cell for cell in row]


def test_no_images(make_results) -> None:
    empty = make_results([], one={})
    assert table(empty, "average-recall").rows[0][2] == Estimate(None)
    assert charts(empty) == []
    json.dumps([one.to_json() for one in tables(empty)], allow_nan=False)


def test_no_objects(make_results, make_record, make_proposals) -> None:
    bare = make_results([make_record(1)], one={1: make_proposals([A])})
    assert plain(table(bare, "average-recall").rows[0]) == ["one", 1, *[None] * 7]
    assert "by-class" not in [one.key for one in tables(bare)]
    assert charts(bare) == []


def test_average_recall(results) -> None:
    rows = [plain(row) for row in table(results, "average-recall").rows]
    assert rows == [
        ["good", 1, 1, 1, 1, None, 1, 1, 1],
        ["good", 2, 1, 1, 1, None, 1, 1, 1],
        ["poor", 1, 0, 0, 0, None, 0, 0, 0],
        ["poor", 2, 0.5, 1, 0, None, 0.5, 0.5, 0.5],
    ]


def test_differences_are_paired(results) -> None:
    first, second = table(results, "differences").rows
    assert plain(first) == ["good − poor", 1, 1, 1, "higher"]
    assert plain(second) == ["good − poor", 2, 0.5, 0.5, "not told apart"]
    assert (first[2].low, first[2].high) == (1, 1)


def test_one_method_has_no_difference(make_results, make_record) -> None:
    assert "differences" not in [one.key for one in tables(make_results([make_record(1, [A])], one={}))]


def test_budget(results) -> None:
    rows = [plain(row) for row in table(results, "budget").rows if row[1] == 0.5]
    assert [row[:4] for row in rows] == [
        ["good", 0.5, 0.5, 1],
        ["good", 0.5, 1.0, 1],
        ["poor", 0.5, 0.5, 2],
        ["poor", 0.5, 1.0, None],
    ]


def test_groups(results) -> None:
    assert [plain(row) for row in table(results, "by-class").rows] == [
        ["good", "cat", 1, 1, 1],
        ["good", "dog", 1, 1, 1],
        ["poor", "cat", 1, 0, 1],
        ["poor", "dog", 1, 0, 0],
    ]
    assert [plain(row) for row in table(results, "by-seen-in-training").rows][2:] == [
        ["poor", "seen", 1, 0, 1],
        ["poor", "unseen", 1, 0, 0],
    ]
    assert {one.key for one in tables(results)} >= {"by-size", "by-relative-size", "by-height-width"}


def test_time_is_shown_where_it_was_taken(results) -> None:
    from dataclasses import replace

    assert "recall-and-time" not in [one.key for one in tables(results)]
    timed = replace(results.methods[0], seconds=np.array([0.1, 0.3, np.nan]))
    rows = table(replace(results, methods=(timed, results.methods[1])), "recall-and-time").rows
    assert plain(rows[0]) == ["good", 1, 1, pytest.approx(0.2), pytest.approx(0.2), 2]
    assert plain(rows[1])[-3:] == [None, None, None]


def test_one_image_is_measured_without_intervals(make_results, make_record, make_proposals) -> None:
    alone = make_results([make_record(1, [A, B])], one={1: make_proposals([A])})
    assert table(alone, "average-recall").rows[0][2] == Estimate(0.5)
    assert len(charts(alone)) == 3  # a single score makes no curve of scores


def test_csv_is_one_long_table(results) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(tables(results)))))
    assert rows[0].keys() == {"table", "method", "row", "column", "value", "low", "high"}
    wanted = [row for row in rows if row["table"] == "by-class" and row["row"] == "class cat, objects 1"]
    assert [(row["method"], row["column"], row["value"]) for row in wanted if row["column"] == "AR@2"] == [
        ("good", "AR@2", "1.0"),
        ("poor", "AR@2", "1.0"),
    ]


def test_curves_say_what_the_tables_say(results) -> None:
    by_number, recall, by_iou = charts(results)
    good, poor = by_number.lines
    assert (good.x, good.y) == ((1, 2), (1, 1))
    assert (poor.x, poor.y) == ((1, 2), (0, 0.5))
    assert poor.low[1] <= 0.5 <= poor.high[1]
    assert [line.name for line in recall.lines] == [
        f"{name}, IoU {iou}" for name in ("good", "poor") for iou in (0.5, 0.7)
    ]
    # At two proposals "poor" overlaps one object wholly and the other not at all.
    assert by_iou.lines[1].y[0] == 1
    assert set(by_iou.lines[1].y[1:]) == {0.5}


def test_where_to_look_closely() -> None:
    assert choose_at(None, (1, 100, 1000)) == 100
    assert choose_at(None, (1, 20)) == 20
    assert choose_at(1, (1, 100)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(at=5), "at is 5, but must be one of the counts of proposals: 1, 2"),
        (Options(recalls=(1.5,)), "not 1.5"),
        (Options(recalls=(0.0,)), r"not 0\.0"),
        (Options(seen=("cow",)), "no class 'cow'"),
    ],
)
def test_options_that_cannot_be(make_results, make_record, options: Options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_results([make_record(1)], options=options, one={})


def test_cells_for_people() -> None:
    assert [show(cell) for cell in (None, 3, 0.5, "x", Estimate(0.25, 0.1, 0.4), Estimate(None))] == [
        "–", "3", "0.5000", "x", "0.2500", "–",
    ]  # fmt: skip
    assert show_interval(Estimate(0.25, 0.1, 0.4)) == "[0.100, 0.400]"
    assert show_interval(Estimate(0.25)) == ""


def test_a_row_of_the_wrong_length() -> None:
    with pytest.raises(ValueError, match="a row of 1 cells for 2 columns"):
        Table("k", "t", "n", ("a", "b"), (("x",),))


def test_many_classes_are_summed_in_parts(results, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    whole = results.figures[0]
    monkeypatch.setattr("objectness.evaluation.results._AT_ONCE", 1)
    parts = replace(results, options=results.options).figures[0]
    assert parts.keys() == whole.keys()
    for key, figure in whole.items():
        np.testing.assert_allclose(parts[key].draws, figure.draws)
