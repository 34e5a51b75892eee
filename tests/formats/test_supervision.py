from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.formats.supervision import (
    from_detections,
    from_detections_by_image,
    to_detections,
    to_detections_by_image,
)
from objectness.proposals import Proposals


@dataclass
class Like:
    """What has the fields of ``supervision.Detections``."""

    xyxy: Any
    confidence: Any = None
    data: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


class TestWithoutSupervision:
    def test_empty(self) -> None:
        got = from_detections(Like(np.empty((0, 4)), np.empty(0)))
        assert (len(got), got.size_hw, got.source) == (0, (0, 0), None)

    def test_best_first_with_everything(self) -> None:
        given = Like(
            np.array([[0, 0, 1, 1], [0, 0, 2, 2]], dtype=np.float64),
            np.array([0.25, 0.75]),
            {"objectness_logit": np.array([-1, 1]), "level": [3, 4], "class_name": np.array(["a", "b"])},
            {"source_shape": (5, 6), "path": "a.jpg"},
        )
        got = from_detections_by_image({"x": given})
        assert got["x"].boxes_xyxy.tolist() == [[0, 0, 2, 2], [0, 0, 1, 1]]
        assert (got["x"].size_hw, got["x"].source) == ((5, 6), "a.jpg")
        assert (got.logits["x"].tolist(), got.levels["x"].tolist()) == ([1, -1], [4, 3])

    def test_without_scores_the_order_counts(self) -> None:
        got = from_detections(Like(np.zeros((4, 4))), (5, 6), "b.jpg")
        assert got.scores.tolist() == [1, 0.75, 0.5, 0.25]
        assert (got.size_hw, got.source) == ((5, 6), "b.jpg")

    @pytest.mark.parametrize(
        "bad", [3, None, Like(None), Like(np.zeros((2, 5))), Like(np.full((1, 4), np.nan), np.ones(1))]
    )
    def test_other_objects(self, bad: Any) -> None:
        with pytest.raises(InputError, match="Detections"):
            from_detections(bad)

    def test_it_must_be_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("objectness.formats.core.spec.find_spec", lambda name: None)
        with pytest.raises(InputError, match=r'needs supervision: pip install "\.\[supervision\]"'):
            to_detections(Proposals([], [], (1, 1)))


class TestSupervision:
    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("supervision")

    def test_there_and_back(self, sample: Any) -> None:
        detections = to_detections_by_image(sample.proposals)
        assert detections[7].xyxy.dtype == np.float32
        assert detections[7].class_id.tolist() == [0, 0]
        assert detections[7].data["class_name"].tolist() == ["object", "object"]
        assert detections[7].metadata == {"source_shape": (48, 64), "path": str(sample.photos / "a.png")}
        assert len(detections[3]) == 0
        got = from_detections_by_image(detections)
        for image_id, want in sample.proposals.items():
            np.testing.assert_array_equal(got[image_id].boxes_xyxy, want.boxes_xyxy)
            np.testing.assert_array_equal(got[image_id].scores, want.scores)
            assert (got[image_id].size_hw, got[image_id].source) == (want.size_hw, want.source)
        assert {key: values.tolist() for key, values in got.logits.items()} == {7: [2, -1.5], 12: [0.25]}

    def test_what_supervision_does_with_them_can_be_taken_back(self) -> None:
        found = Proposals([[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]], [0.9, 0.8, 0.7], (40, 40))
        detections = to_detections(found, logits=np.array([3, 2, 1], dtype=np.float32))
        kept = from_detections(detections.with_nms(threshold=0.5))
        assert kept.boxes_xyxy.tolist() == [[0, 0, 10, 10], [20, 20, 30, 30]]
        assert from_detections(detections[detections.confidence > 0.85]).scores.tolist() == [np.float32(0.9)]
