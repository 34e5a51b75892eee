"""Figures and their intervals, against figures of images that are copied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.evaluation.bootstrap import drawn_images
from objectness.evaluation.detection import average_precision
from objectness.evaluation.detection.figures import figures
from objectness.evaluation.detection.matches import match

NAMES = ("cat", "dog", "cow")


@pytest.fixture(scope="module")
def scene(make_record, make_detections):
    """Six images with objects and detections of three classes, in part crowds and difficult ones."""
    rng = np.random.default_rng(4)
    records, found = [], {}
    for image_id in range(1, 7):
        corners = rng.integers(0, 300, (7, 2))
        boxes = np.concatenate([corners, corners + rng.integers(10, 150, (7, 2))], axis=1)
        kinds = rng.integers(0, 2, 7)
        record = make_record(image_id, boxes, class_ids=kinds, ignore=rng.random(7) < 0.15)
        records.append(replace(record, difficult=rng.random(7) < 0.2))
        whose = rng.integers(0, 7, 30)
        moved = boxes[whose] + rng.integers(-8, 9, (30, 4))
        labels = np.where(rng.random(30) < 0.7, kinds[whose], rng.integers(0, 3, 30))
        found[image_id] = make_detections(moved, rng.random(30), labels, class_names=NAMES)
    return records, found


def test_values_are_the_report_s(scene) -> None:
    records, found = scene
    report = average_precision(found, records, NAMES)
    drawn = figures(match(found, records, NAMES), NAMES, 5, 0)
    values = {key: sampled.estimates()[0].value for key, sampled in drawn.items()}
    assert values[("AP",)] == pytest.approx(report.ap)
    assert values[("AP75",)] == pytest.approx(report.ap_at_iou[0.75])
    assert values[("AP", "size", "medium")] == pytest.approx(report.ap_by_size["medium"])
    assert values[("AR", "10")] == pytest.approx(report.ar[10])
    assert values[("VOC 2007",)] == pytest.approx(report.voc_2007)
    assert values[("VOC 2010",)] == pytest.approx(report.voc_2010)
    assert values[("AP", "class", "dog")] == pytest.approx(report.ap_by_class["dog"])
    assert values[("AP50", "class", "dog")] == pytest.approx(report.ap50_by_class["dog"])
    assert values[("AP", "class", "cow")] is None  # there is none to find


def test_a_draw_is_the_same_as_copies_of_the_images(scene) -> None:
    """The reference copies the images that are drawn twice, and measures from the beginning."""
    records, found = scene
    drawn = figures(match(found, records, NAMES), NAMES, 6, 3)
    for start, weights in drawn_images(len(records), 6, 3):
        for row, counts in enumerate(weights.astype(int).tolist()):
            copies, theirs = [], {}
            for record, count in zip(records, counts, strict=True):
                for copy in range(count):
                    image_id = 10 * record.image_id + copy
                    copies.append(replace(record, image_id=image_id))
                    theirs[image_id] = found[record.image_id]
            report = average_precision(theirs, copies, NAMES)
            wanted = {
                ("AP",): report.ap,
                ("AP50",): report.ap_at_iou[0.5],
                ("AP", "size", "large"): report.ap_by_size["large"],
                ("AR", "1"): report.ar[1],
                ("VOC 2007",): report.voc_2007,
                ("VOC 2010",): report.voc_2010,
                ("AP", "class", "cat"): report.ap_by_class.get("cat"),
            }
            for key, want in wanted.items():
                got = drawn[key].draws[start + row, 0]
                assert np.isnan(got) if want is None else got == pytest.approx(want, abs=1e-9), key


def test_the_same_images_are_drawn_for_all(scene) -> None:
    records, found = scene
    matches = match(found, records, NAMES)
    one, other = figures(matches, NAMES, 20, 1), figures(matches, NAMES, 20, 1)
    difference = one[("AP",)].minus(other[("AP",)])[0]
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)
    assert figures(matches, NAMES, 20, 2)[("AP",)].draws.tolist() != one[("AP",)].draws.tolist()


def test_one_image_has_no_interval(make_record, make_detections) -> None:
    box = [0, 0, 50, 50]
    matches = match({1: make_detections([box])}, [make_record(1, [box])], ("cat", "dog"))
    estimate = figures(matches, ("cat", "dog"), 10, 0)[("AP",)].estimates()[0]
    assert (estimate.value, estimate.low) == (1, None)


def test_no_images_and_no_draws() -> None:
    matches = match({}, [], ("cat",))
    assert figures(matches, ("cat",), 3, 0)[("AP",)].estimates()[0].value is None
    with pytest.raises(InputError, match="at least 1 draw, not 0"):
        figures(matches, ("cat",), 0, 0)


def test_progress(scene) -> None:
    records, found = scene
    calls = []
    figures(match(found, records, NAMES), NAMES, 501, 0, lambda: calls.append(1))
    assert len(calls) == 3
