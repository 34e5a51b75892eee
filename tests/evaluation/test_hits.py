from __future__ import annotations

import numpy as np
import pytest

from objectness.evaluation.hits import hits_and_ignored
from objectness.evaluation.measurement import measure

REGION = (0, 0, 10, 10)
OBJECT = (100, 100, 110, 110)
CASES = {  # proposal -> about an object, ignored
    "exactly half in the region": ((5, 0, 15, 10), False, True),
    "a little less than half in it": ((5.01, 0, 15.01, 10), False, False),
    "all in it": ((1, 1, 9, 9), False, True),
    "exactly half of an object": ((100, 100, 110, 105), True, False),
    "a little less than half of an object": ((100, 100, 110, 104.99), False, False),
    "far from all": ((300, 300, 310, 310), False, False),
}


@pytest.mark.parametrize(("box", "about", "ignored"), CASES.values(), ids=CASES)
def test_evaluation_and_the_calibration_of_an_export_judge_alike(
    box, about, ignored, make_record, make_proposals
) -> None:
    record = make_record(1, [REGION, OBJECT], ignore=[True, False])
    proposals = {1: make_proposals([box])}
    measured = measure(proposals, [record])
    assert (measured.is_hit.tolist(), measured.ignored.tolist()) == ([about], [ignored])
    measuring = pytest.importorskip("objectness.export.calibration_data", exc_type=ImportError)
    assert measuring.score_hits(proposals, [record]).hits.tolist() == ([] if ignored else [about])


def test_a_proposal_about_an_object_counts_even_in_an_ignore_region(make_record, make_proposals) -> None:
    record = make_record(1, [REGION, (0, 0, 10, 9)], ignore=[True, False])
    measured = measure({1: make_proposals([(0, 0, 10, 9)])}, [record])
    assert (measured.is_hit.tolist(), measured.ignored.tolist()) == ([True], [False])


def test_no_proposals_objects_or_regions() -> None:
    nothing = np.zeros((0, 4))
    for about, ignored in (
        hits_and_ignored(np.zeros((0, 1)), nothing, np.array([REGION])),
        hits_and_ignored(np.zeros((0, 0)), nothing, nothing),
    ):
        assert about.shape == ignored.shape == (0,)
    about, ignored = hits_and_ignored(np.zeros((1, 0)), np.array([[0, 0, 1, 1]]), nothing)
    assert (about.tolist(), ignored.tolist()) == ([False], [False])
    about, ignored = hits_and_ignored(np.zeros((1, 0)), np.array([[0, np.nan, 1, 1]]), np.array([REGION]))
    assert (about.tolist(), ignored.tolist()) == ([False], [False])
