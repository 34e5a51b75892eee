from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from objectness.boxes import iou
from objectness.errors import InputError
from objectness.evaluation.baselines import NAMES, baseline, is_baseline
from objectness.evaluation.baselines.ranked import by_rank
from objectness.evaluation.baselines.sliding_window import sliding_window

SIZES = [(1, 1), (1, 300), (2, 2), (3, 5), (97, 60), (480, 640)]
ALWAYS = ("sliding-window", "uniform")


def picture(size_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size_hw, 3), dtype=np.uint8)


def test_by_rank() -> None:
    assert len(by_rank(np.zeros((0, 4)), (5, 5))) == 0
    assert by_rank(np.zeros((4, 4)), (5, 5)).scores.tolist() == [1, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("name", ALWAYS)
@pytest.mark.parametrize("size_hw", SIZES)
def test_boxes_lie_inside_and_come_again(name: str, size_hw: tuple[int, int]) -> None:
    found = baseline(name, 50)(picture(size_hw))
    again = baseline(name, 50)(picture(size_hw))
    boxes = found.boxes_xyxy
    assert 1 <= len(found) <= 50
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [size_hw[1], size_hw[0]]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (np.diff(found.scores) < 0).all()
    assert found.size_hw == size_hw
    assert (boxes == again.boxes_xyxy).all()


class TestUniform:
    def test_the_seed_and_the_pixels_decide(self) -> None:
        first = baseline("uniform", 20)(picture((60, 80))).boxes_xyxy
        assert (baseline("uniform", 20, seed=1)(picture((60, 80))).boxes_xyxy != first).any()
        assert (baseline("uniform", 20)(picture((60, 80), seed=1)).boxes_xyxy != first).any()

    def test_small_and_large_in_all_places(self) -> None:
        boxes = baseline("uniform", 2000)(picture((480, 640))).boxes_xyxy
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
        assert np.abs(centre.mean(axis=0) - [320, 240]).max() < 15
        assert (sides < 50).any()
        assert (sides > 400).any()


class TestSlidingWindow:
    def test_the_first_is_the_whole_image(self) -> None:
        assert sliding_window((48, 64), 1).boxes_xyxy.tolist() == [[0, 0, 64, 48]]

    def test_coarse_to_fine(self) -> None:
        sides = sliding_window((480, 640), 1000).boxes_xyxy[:, 2:] - sliding_window((480, 640), 1000).boxes_xyxy[:, :2]
        areas = sides.prod(axis=1)
        assert areas[:20].min() > 4 * areas[-20:].max()

    def test_neighbours_are_no_further_than_a_third_apart(self) -> None:
        boxes = sliding_window((400, 400), 5000).boxes_xyxy
        # Any square as large as a window of the grid is covered by one of them by IoU (5/6)² / (2 - (5/6)²) or more.
        side = 400 * 2**-1.0
        rng = np.random.default_rng(0)
        corner = rng.uniform(0, 400 - side, (200, 2))
        best = iou(boxes, np.concatenate([corner, corner + side], axis=1)).max(axis=0)
        assert best.min() >= (5 / 6) ** 2 / (2 - (5 / 6) ** 2) - 1e-6

    def test_the_first_hundred_leave_no_side_blank(self) -> None:
        boxes = sliding_window((480, 640), 100).boxes_xyxy
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        assert np.abs(centre.mean(axis=0) - [320, 240]).max() < 25

    def test_as_many_as_asked_for(self) -> None:
        assert len(sliding_window((480, 640), 1000)) == 1000
        assert len(sliding_window((1, 1), 1000)) == 1


class TestSelectiveSearch:
    @pytest.fixture(autouse=True)
    def _opencv(self) -> None:
        cv2 = pytest.importorskip("cv2")
        if not hasattr(cv2, "ximgproc"):
            pytest.skip("needs OpenCV's contributed modules")

    def test_finds_a_square(self) -> None:
        image = np.full((80, 100, 3), 40, np.uint8)
        image[20:60, 30:70] = (250, 30, 30)
        found = baseline("selective-search", 500, threads=1)(image)
        square = np.array([[30, 20, 70, 60]], dtype=np.float64)
        assert iou(found.boxes_xyxy, square).max() > 0.8

    def test_comes_again_whatever_ran_before(self) -> None:
        image = picture((60, 80))
        propose = baseline("selective-search", 100, threads=1)
        first = propose(image).boxes_xyxy
        propose(picture((40, 40), seed=5))
        assert (propose(image).boxes_xyxy == first).all()

    @pytest.mark.parametrize("size_hw", [(1, 1), (1, 50), (50, 1), (2, 2), (3, 40)])
    def test_tiny_images(self, size_hw: tuple[int, int]) -> None:
        assert baseline("selective-search", 10)(picture(size_hw)).size_hw == size_hw


OPTIONS = {
    "stride": 2, "shrinkNumber": 2, "patchSize": 32, "patchInnerSize": 16, "numberOfGradientOrientations": 4,
    "gradientSmoothingRadius": 0, "regFeatureSmoothingRadius": 2, "ssFeatureSmoothingRadius": 8,
    "gradientNormalizationRadius": 4, "selfsimilarityGridSize": 5, "numberOfTrees": 1, "numberOfTreesToEvaluate": 1,
}  # fmt: skip


@pytest.fixture
def forest(tmp_path: Path) -> Path:
    """The smallest model of an edge detector: one tree that asks for the gradient in the middle of a patch."""
    middle = 3 * 16 * 16 + 8 * 16 + 8  # channel 3 of a patch of 16 x 16 is the magnitude of the gradient
    lines = [
        "%YAML:1.0", "---", "options:", *(f"   {name}: {value}" for name, value in OPTIONS.items()),
        "childs:", "   - [ 2, 0, 0 ]", "featureIds:", f"   - [ {middle}, 0, 0 ]",
        "thresholds:", "   - [ 0.05, 0., 0. ]", "edgeBoundaries:", "   - [ 0, 0, 0, 120 ]",
        "edgeBins:", f"   - {[8 * 16 + 8] * 120}",
    ]  # fmt: skip
    (tmp_path / "forest.yml").write_text("\n".join(lines) + "\n")
    return tmp_path / "forest.yml"


class TestEdgeBoxes:
    @pytest.fixture(autouse=True)
    def _opencv(self) -> None:
        if not hasattr(pytest.importorskip("cv2"), "ximgproc"):
            pytest.skip("needs OpenCV's contributed modules")

    def test_needs_a_model(self) -> None:
        with pytest.raises(InputError, match="name it as edge-boxes:model"):
            baseline("edge-boxes", 10)

    def test_finds_a_square(self, forest: Path) -> None:
        image = np.full((80, 100, 3), 40, np.uint8)
        image[20:60, 30:70] = (250, 30, 30)
        found = baseline(f"edge-boxes:{forest}", 30, threads=1)(image)
        assert 1 <= len(found) <= 30
        assert found.scores[0] == 1
        assert (np.diff(found.scores) <= 0).all()
        assert iou(found.boxes_xyxy[:1], np.array([[30, 20, 70, 60]], dtype=np.float64))[0, 0] > 0.6

    def test_an_image_without_edges(self, forest: Path) -> None:
        found = baseline(f"edge-boxes:{forest}", 30, threads=1)(np.zeros((60, 60, 3), np.uint8))
        assert (len(found), found.size_hw) == (0, (60, 60))

    @pytest.mark.parametrize("size_hw", [(1, 1), (1, 50), (2, 2), (3, 40), (17, 17)])
    def test_tiny_images(self, forest: Path, size_hw: tuple[int, int]) -> None:
        assert baseline(f"edge-boxes:{forest}", 10)(picture(size_hw)).size_hw == size_hw

    def test_model_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"there is no model file .*m\.yml"):
            baseline(f"edge-boxes:{tmp_path / 'm.yml'}", 10)

    @pytest.mark.parametrize("text", ["", "nothing: 1\n", "%YAML:1.0\n---\nother: 1\n", "\x00\x01 no text", "{"])
    def test_file_that_is_no_model(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "m.yml").write_text(text)
        with pytest.raises(InputError, match="no structured edge model"):
            baseline(f"edge-boxes:{tmp_path / 'm.yml'}", 10)

    def test_model_without_trees(self, forest: Path) -> None:
        forest.write_text(forest.read_text().replace("numberOfTrees: 1", "numberOfTrees: 0"))
        with pytest.raises(InputError, match=r"no numberOfTrees"):
            baseline(f"edge-boxes:{forest}", 10)


def test_names() -> None:
    assert all(is_baseline(name) for name in NAMES)
    assert is_baseline("edge-boxes:m.yml.gz")
    assert not is_baseline("default")
    with pytest.raises(InputError, match=r"no baseline 'bing': known are edge-boxes, "):
        baseline("bing", 10)
    with pytest.raises(InputError, match="uniform needs no model"):
        baseline("uniform:x", 10)


def test_opencv_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r'pip install "\.\[baselines\]"'):
        baseline("selective-search", 10)


def test_opencv_without_its_contributed_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    plain = ModuleType("cv2")
    plain.__version__ = "4.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv2", plain)
    with pytest.raises(InputError, match="contributed modules"):
        baseline("selective-search", 10)
