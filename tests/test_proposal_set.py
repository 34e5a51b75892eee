from __future__ import annotations

import numpy as np
import pytest

from objectness.proposal_set import ProposalSet, as_set
from objectness.proposals import Proposals

ONE = Proposals([[0, 0, 2, 2], [1, 1, 3, 3]], [0.9, 0.8], (4, 5), "a.jpg")


def test_empty() -> None:
    empty = ProposalSet({})
    assert empty == {}
    assert (len(empty), empty.count, empty.top(3).count) == (0, 0, 0)


def test_is_a_mapping() -> None:
    found = ProposalSet({7: ONE}, {7: [1, 2]}, {7: [3, 4]})
    assert list(found) == [7]
    assert found[7] is ONE
    assert 8 not in found
    assert dict(found.items()) == {7: ONE}
    assert found.count == 2
    assert repr(found) == "ProposalSet(1 images, 2 proposals)"
    assert found.logits[7].dtype == np.float32


def test_top_and_renamed_take_everything_along() -> None:
    found = ProposalSet({7: ONE, 8: ONE}, {7: [1, 2]}, {8: [3, 4]}).top(1).renamed({8: "b", 7: "a"})
    assert list(found) == ["b", "a"]
    assert (found["a"].scores.tolist(), found.logits["a"].tolist()) == ([np.float32(0.9)], [1])
    assert found.levels["b"].tolist() == [3]
    assert "a" not in found.levels


def test_columns_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="2 proposals, but logits of shape"):
        ProposalSet({7: ONE}, {7: [1]})
    with pytest.raises(ValueError, match="levels of image 8, which has no proposals"):
        ProposalSet({7: ONE}, {}, {8: [1]})


def test_any_mapping() -> None:
    found = as_set({np.int64(3): ONE, "b": ONE})
    assert [type(image_id) for image_id in found] == [int, str]
    assert as_set(found) is found
