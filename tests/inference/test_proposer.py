from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import objectness
from objectness import boxes
from objectness.engines import Candidates, EngineSettings, ModelDescription, RankedBoxes
from objectness.engines.candidates import select
from objectness.errors import InputError
from objectness.images import Fitted
from objectness.inference import model_files, proposer
from objectness.inference.loading import load
from objectness.inference.model_files import model_file
from objectness.inference.proposer import Proposer, to_photograph
from objectness.proposals import Proposals


def _candidates(boxes_xyxy: list[list[float]], scores: list[float], levels: list[int] | None = None) -> Candidates:
    return Candidates(
        np.array(boxes_xyxy, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(levels or [0] * len(scores), np.int64),
    )


class WholeImage:
    """An engine that proposes the left half and the whole of what it sees, and notes its size and mean."""

    def __init__(self) -> None:
        self.description = ModelDescription("whole image", short_side=100, long_side=150)
        self.seen: list[tuple[tuple[int, ...], float]] = []

    def candidates(self, pixels: np.ndarray) -> Candidates:
        self.seen.append((pixels.shape, float(pixels.mean())))
        height, width = pixels.shape[:2]
        return _candidates([[0, 0, width, height], [0, 0, width / 2, height]], [0.25, 0.5])

    def propose(self, pixels: np.ndarray, **limits: Any) -> RankedBoxes:
        return select(self.candidates(pixels), pixels.shape[:2], **limits)


def selected(
    candidates: Candidates, *, resized_hw: tuple[int, int], size_hw: tuple[int, int], top: int, score: float, nms: float
) -> Proposals:
    """Selection of proposals with sides of at least one pixel of the photograph, as a proposer does it."""
    smallest_hw = (resized_hw[0] / size_hw[0], resized_hw[1] / size_hw[1])
    ranked = select(candidates, resized_hw, nms=nms, top=top, smallest_hw=smallest_hw)
    return to_photograph(ranked, resized_hw=resized_hw, size_hw=size_hw, score=score)


SELECT: dict[str, Any] = {"resized_hw": (100, 100), "size_hw": (100, 100), "top": 300, "score": 0.0, "nms": 0.7}


def test_no_candidates_give_no_proposals() -> None:
    proposals = selected(_candidates([], []), **SELECT)
    assert proposals.boxes_xyxy.shape == (0, 4)
    assert proposals.scores.shape == (0,)
    assert proposals.size_hw == (100, 100)


def test_boxes_return_to_the_photograph_by_the_ratio_of_each_side() -> None:
    found = selected(
        _candidates([[10, 20, 50, 100]], [0.5]), **{**SELECT, "resized_hw": (100, 151), "size_hw": (333, 500)}
    )
    expected = [10 * 500 / 151, 20 * 333 / 100, 50 * 500 / 151, 333]
    np.testing.assert_allclose(found.boxes_xyxy, [expected], rtol=1e-6)
    assert found.size_hw == (333, 500)


def test_levels_are_suppressed_on_their_own_and_merged_by_score() -> None:
    same = [10, 10, 50, 50]
    far = [60, 60, 90, 90]
    found = selected(_candidates([same, same, same, far], [0.3, 0.9, 0.6, 0.7], [0, 0, 1, 1]), **SELECT)
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.6])
    assert found.boxes_xyxy.tolist() == [same, far, same]


def test_an_overlap_at_the_threshold_stays_and_one_above_goes() -> None:
    half = [[0, 0, 40, 40], [0, 0, 40, 20]]  # IoU exactly 1/2
    assert len(selected(_candidates(half, [0.9, 0.8]), **{**SELECT, "nms": 0.5})) == 2
    assert len(selected(_candidates(half, [0.9, 0.8]), **{**SELECT, "nms": 0.49})) == 1
    assert len(selected(_candidates([half[0]] * 3, [0.9, 0.8, 0.7]), **{**SELECT, "nms": 1.0})) == 3


def test_equal_scores_keep_the_order_of_the_candidates_over_levels() -> None:
    apart = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]]
    found = selected(_candidates(apart, [0.5] * 4, [1, 0, 1, 0]), **SELECT)
    assert found.boxes_xyxy[:, 0].tolist() == [0, 20, 40, 60]


def test_score_and_top() -> None:
    apart = [[20 * i, 0, 20 * i + 10, 10] for i in range(5)]
    candidates = _candidates(apart, [0.1, 0.2, 0.3, 0.4, 0.5], [0, 1, 0, 1, 0])
    np.testing.assert_allclose(selected(candidates, **{**SELECT, "score": 0.3}).scores, [0.5, 0.4, 0.3])
    np.testing.assert_allclose(selected(candidates, **{**SELECT, "top": 2}).scores, [0.5, 0.4])


def test_what_is_not_finite_or_has_no_area_costs_no_place() -> None:
    nan, inf = float("nan"), float("inf")
    bad = [[nan, 0, 9, 9], [0, 0, inf, 9], [5, 5, 5, 9], [9, 9, 3, 3], [200, 0, 300, 50], [0, 0, 9, 9]]
    found = selected(_candidates([*bad, [1, 2, 30, 40]], [0.9, 0.9, 0.9, 0.9, 0.9, nan, 0.1]), **{**SELECT, "top": 1})
    assert found.boxes_xyxy.tolist() == [[1, 2, 30, 40]]


def test_boxes_are_clipped_to_the_image() -> None:
    found = selected(_candidates([[-10, -20, 150, 50]], [0.5]), **SELECT)
    assert found.boxes_xyxy.tolist() == [[0, 0, 100, 50]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(1, 10), st.floats(0, 1), st.floats(0, 1))
def test_selection_equals_the_slow_way(seed: int, count: int, top: int, score: float, nms: float) -> None:
    rng = np.random.default_rng(seed)
    boxes_xyxy = rng.uniform(-20, 120, (count, 4)).astype(np.float32)
    candidates = Candidates(boxes_xyxy, rng.integers(0, 5, count) / np.float32(4), rng.integers(0, 3, count))
    found = selected(candidates, resized_hw=(100, 80), size_hw=(200, 240), top=top, score=score, nms=nms)

    clipped = boxes.clip(boxes_xyxy, (100, 80))
    kept: list[int] = []
    for index in sorted(range(count), key=lambda i: (-candidates.scores[i], i)):
        level = [k for k in kept if candidates.levels[k] == candidates.levels[index]]
        overlaps = boxes.iou(clipped[[index]], clipped[level]).astype(np.float64)
        sides = (clipped[index, 2:] - clipped[index, :2]) * [3, 2]
        if (sides >= 1).all() and not (overlaps > nms).any():
            kept.append(index)
    best = [index for index in kept if candidates.scores[index] >= score][:top]
    np.testing.assert_allclose(found.boxes_xyxy, clipped[best] * np.float32([3, 2, 3, 2]), rtol=1e-6)
    np.testing.assert_array_equal(found.scores, candidates.scores[best])


def test_a_path_a_pil_image_and_an_array_give_the_same(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "photo.png")
    engine = WholeImage()
    propose = Proposer(engine)
    found = [
        propose(tmp_path / "photo.png"),
        propose(str(tmp_path / "photo.png")),
        propose(Image.fromarray(array)),
        propose(array),
    ]
    for proposals in found:
        np.testing.assert_allclose(proposals.boxes_xyxy, [[0, 0, 45, 60], [0, 0, 90, 60]], rtol=1e-6)
        np.testing.assert_allclose(proposals.scores, [0.5, 0.25])
        assert proposals.size_hw == (60, 90)
    assert engine.seen == [((100, 150, 3), engine.seen[0][1])] * 4  # short side 100
    assert [proposals.source for proposals in found] == [str(tmp_path / "photo.png")] * 2 + [None] * 2


def test_every_kind_of_bytes_is_the_content_of_a_file(tmp_path: Path) -> None:
    Image.new("RGB", (90, 60), "teal").save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    propose = Proposer(WholeImage())
    for source in (content, bytearray(content), memoryview(content)):
        assert propose(source).size_hw == (60, 90)
        assert [found.size_hw for found in propose([source])] == [(60, 90)]
    with pytest.raises(InputError, match="the image of 3 bytes: is not an image"):
        propose(bytearray(b"abc"))


def test_a_turned_photograph_has_boxes_in_its_upright_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (90, 60)).save(tmp_path / "phone.jpg", exif=exif)
    proposals = Proposer(WholeImage())(tmp_path / "phone.jpg")
    assert proposals.size_hw == (90, 60)
    np.testing.assert_allclose(proposals.boxes_xyxy, [[0, 0, 30, 90], [0, 0, 60, 90]], rtol=1e-6)


def test_lists_and_generators() -> None:
    photos = [np.full((20, 20 + i, 3), 10 * i, np.uint8) for i in range(4)]
    propose = Proposer(WholeImage())
    assert propose([]) == []
    assert [found.size_hw for found in propose(photos)] == [(20, 20), (20, 21), (20, 22), (20, 23)]
    assert isinstance(propose(tuple(photos)), list)
    lazy = propose(iter(photos))
    assert not isinstance(lazy, list)
    assert [found.size_hw for found in lazy] == [(20, 20), (20, 21), (20, 22), (20, 23)]
    assert list(propose(iter([]))) == []


def test_a_generator_is_read_one_photograph_ahead_and_no_further() -> None:
    pulled = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal pulled
        while True:
            pulled += 1
            yield np.zeros((8, 8, 3), np.uint8)

    lazy = Proposer(WholeImage())(endless())
    assert pulled == 0
    for done in (1, 2, 3):
        next(lazy)
        assert pulled == done + 1


def test_reading_goes_on_while_the_network_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second_is_read = threading.Event()
    waited = []
    original = proposer.open_fitted

    def watched(source: object, *sides: int, **options: object) -> Fitted:
        fitted = original(source, *sides, **options)  # type: ignore[arg-type]
        if fitted.size_hw[0] == 2:
            second_is_read.set()
        return fitted

    class Slow(WholeImage):
        def candidates(self, pixels: np.ndarray) -> Candidates:
            waited.append(second_is_read.wait(10))
            return super().candidates(pixels)

    monkeypatch.setattr(proposer, "open_fitted", watched)
    list(Proposer(Slow())(iter([np.zeros((height, 9, 3), np.uint8) for height in (1, 2)])))
    assert waited == [True, True]


def test_a_bad_photograph_takes_no_other_with_it(tmp_path: Path) -> None:
    good = np.zeros((8, 8, 3), np.uint8)
    propose = Proposer(WholeImage(), max_pixels=100)
    (tmp_path / "text.jpg").write_text("no photograph")
    sources = [good, tmp_path / "missing.jpg", tmp_path / "text.jpg", Image.new("RGB", (11, 10)), good]
    outcomes = list(propose.stream(sources, keep_images=True))
    assert [outcome.proposals is not None for outcome in outcomes] == [True, False, False, False, True]
    assert [outcome.error is None for outcome in outcomes] == [True, False, False, False, True]
    assert "missing.jpg" in str(outcomes[1].error)
    assert "limit of 100" in str(outcomes[3].error)
    assert outcomes[0].image is good
    assert all(outcome.seconds > 0 for outcome in outcomes)
    assert all(outcome.image is None for outcome in propose.stream([good]))
    with pytest.raises(InputError, match=r"missing\.jpg"):
        propose(sources)


def test_an_engine_that_cannot_look_at_one_photograph_goes_on_with_the_next(tmp_path: Path) -> None:
    class Choosy(WholeImage):
        def candidates(self, pixels: np.ndarray) -> Candidates:
            if pixels.shape[0] > pixels.shape[1]:
                raise InputError("the model failed on this.")
            return super().candidates(pixels)

    Image.new("RGB", (8, 9)).save(tmp_path / "tall.png")
    first, second = Proposer(Choosy()).stream([tmp_path / "tall.png", np.zeros((8, 8, 3), np.uint8)])
    assert str(first.error) == f"{tmp_path / 'tall.png'}: the model failed on this."
    assert second.error is None


class RankedInside:
    """An engine that ranks by itself: it proposes as many boxes as it is asked for, in falling order."""

    description = ModelDescription("ranked inside", short_side=100, long_side=150, nms_iou=0.6, top=4)
    device = "cpu"

    def __init__(self) -> None:
        self.asked: list[tuple[float, int]] = []

    def propose(self, pixels: np.ndarray, *, nms: float, top: int, **smallest: Any) -> RankedBoxes:
        self.asked.append((nms, top))
        height, width = pixels.shape[:2]
        boxes_xyxy = np.float32([[0, 0, width, height / (1 + rank)] for rank in range(top)])
        return RankedBoxes(boxes_xyxy, np.linspace(0.9, 0.1, top, dtype=np.float32))


def test_an_engine_that_ranks_by_itself_is_asked_for_what_the_user_wants() -> None:
    photo = np.zeros((60, 90, 3), np.uint8)
    engine = RankedInside()
    found = Proposer(engine)(photo)
    np.testing.assert_allclose(found.boxes_xyxy[:, 3], [60, 30, 20, 15], rtol=1e-6)
    np.testing.assert_allclose(found.boxes_xyxy[:, 2], [90] * 4, rtol=1e-6)
    assert len(Proposer(engine, nms=0.3, top=9, score=0.5)(photo)) == 5
    assert engine.asked == [(0.6, 4), (0.3, 9)]


def test_a_long_stream_holds_two_photographs_however_slow_its_reader_is() -> None:
    alive = 0
    most = 0

    class Photo(np.ndarray):
        """An array that is counted while it lives."""

    def photos() -> Iterator[np.ndarray]:
        nonlocal alive, most

        def gone() -> None:
            nonlocal alive
            alive -= 1

        for number in range(60):
            photo = np.full((8, 8 + number, 3), number, np.uint8).view(Photo)
            alive += 1
            most = max(most, alive)
            weakref.finalize(photo, gone)
            yield photo
            del photo

    widths = []
    for outcome in Proposer(WholeImage()).stream(photos()):
        time.sleep(0.002)  # the slow reader
        assert outcome.proposals is not None
        widths.append(outcome.proposals.size_hw[1])
        del outcome
    assert widths == list(range(8, 68))
    assert most <= 4


def test_a_stream_that_is_left_early_stops_reading() -> None:
    before = set(threading.enumerate())
    stream = Proposer(WholeImage()).stream([np.zeros((8, 8, 3), np.uint8)] * 5)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    class Broken(WholeImage):
        def candidates(self, pixels: np.ndarray) -> Candidates:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(Proposer(Broken()).stream([np.zeros((8, 8, 3), np.uint8)]))


@pytest.mark.parametrize("source", [None, 3, 1.5])
def test_what_is_no_photograph_is_told_so(source: object) -> None:
    with pytest.raises(InputError, match="A photograph is a path, a PIL image or a NumPy array"):
        Proposer(WholeImage())(source)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"top": 0}, "top is 0"),
        ({"score": 1.5}, "score is 1.5"),
        ({"nms": -0.1}, "nms is -0.1"),
        ({"score": float("nan")}, "score is nan"),
        ({"top": 1.5}, "top is 1.5, but must be a whole number"),
        ({"top": "3"}, "top is '3'"),
        ({"top": True}, "top is True"),
        ({"nms": "a"}, "nms is 'a'"),
        ({"min_side": None}, "min_side is None"),
        ({"max_pixels": "x"}, "max_pixels is 'x'"),
        ({"max_pixels": 0}, "max_pixels is 0"),
    ],
)
def test_numbers_outside_their_range(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Proposer(WholeImage(), **options)  # type: ignore[arg-type]


def test_the_model_s_own_numbers_count_unless_others_are_asked_for() -> None:
    class Three(WholeImage):
        def __init__(self) -> None:
            self.description = ModelDescription("three", 100, 150, nms_iou=0.5, top=2)

        def candidates(self, pixels: np.ndarray) -> Candidates:
            two_thirds = [[0, 0, 60, 60], [0, 0, 60, 40]]
            return _candidates([*two_thirds, [70, 70, 90, 90], [0, 80, 9, 90]], [0.9, 0.8, 0.7, 0.6])

    photo = np.zeros((100, 100, 3), np.uint8)
    np.testing.assert_allclose(Proposer(Three())(photo).scores, [0.9, 0.7])
    np.testing.assert_allclose(Proposer(Three(), top=3)(photo).scores, [0.9, 0.7, 0.6])
    np.testing.assert_allclose(Proposer(Three(), nms=0.7)(photo).scores, [0.9, 0.8])


def test_candidates_check_their_lengths() -> None:
    with pytest.raises(ValueError, match="expected"):
        Candidates(np.zeros((2, 4), np.float32), np.zeros(3, np.float32), np.zeros(2, np.int64))


def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    (tmp_path / "empty.onnx").write_bytes(b"")
    cases = {
        "missing.onnx": "there is no such model file",
        "missing.safetensors": "there is no such model file",
        "photo.jpg": "a model is an .onnx or .xml file, a .safetensors checkpoint or a run folder",
        "empty.onnx": "empty",
        "": "a folder without best.safetensors or last.safetensors",
    }
    for name, words in cases.items():
        with pytest.raises(InputError, match=words) as caught:
            load(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(InputError, match="threads is 0"):
        load("any.onnx", threads=0)
    monkeypatch.setattr(model_files.resources, "files", lambda _: tmp_path)
    for name_of_default in (None, "default"):
        with pytest.raises(InputError, match="without a model; name a model file"):
            load(name_of_default)


def test_a_checkpoint_without_pytorch_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "last.safetensors").write_bytes(b"x")

    class NoTorch:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "objectness.inference.torch_engine":
                raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.delitem(sys.modules, "objectness.inference.torch_engine", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoTorch(), *sys.meta_path])
    with pytest.raises(InputError, match=r'last\.safetensors: .*pip install "\.\[train\]"'):
        load(tmp_path)


def test_a_run_folder_gives_its_best_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Engine:
        @staticmethod
        def open_checkpoint(path: Path, settings: EngineSettings) -> WholeImage:
            asked.append((path.name, settings.device))
            return WholeImage()

    monkeypatch.setitem(sys.modules, "objectness.inference.torch_engine", Engine)  # type: ignore[arg-type]
    for name in ("last.safetensors", "best.safetensors"):
        (tmp_path / name).write_bytes(b"x")
        load(tmp_path, device="cuda")
    assert asked == [("last.safetensors", "cuda"), ("best.safetensors", "cuda")]


def test_the_public_page_leads_here() -> None:
    assert objectness.load is load
    assert objectness.Proposer is Proposer


def test_what_the_source_raises_comes_after_the_outcomes_of_what_it_gave() -> None:
    def cut_off() -> Iterator[np.ndarray]:
        yield np.zeros((4, 4, 3), np.uint8)
        yield np.zeros((5, 5, 3), np.uint8)
        raise ConnectionError("the camera is gone")

    stream = Proposer(WholeImage()).stream(cut_off())
    given = [outcome.proposals.size_hw for outcome in (next(stream), next(stream)) if outcome.proposals is not None]
    with pytest.raises(ConnectionError, match="camera"):
        next(stream)
    assert given == [(4, 4), (5, 5)]


def test_a_photograph_beyond_memory_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = proposer.open_fitted

    def short_of_memory(source: np.ndarray, *sides: int, **options: bool) -> Fitted:
        if len(source) == 5:
            raise MemoryError
        return real(source, *sides, **options)

    monkeypatch.setattr(proposer, "open_fitted", short_of_memory)
    photos = [np.zeros((side, side, 3), np.uint8) for side in (4, 5, 6)]
    outcomes = list(Proposer(WholeImage()).stream(photos))
    assert [outcome.proposals is None for outcome in outcomes] == [False, True, False]
    assert "does not fit into memory" in str(outcomes[1].error)


def test_a_run_that_stopped_before_its_first_validation_has_a_model_too(tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").write_bytes(b"x")
    assert model_file(tmp_path) == tmp_path / "last.safetensors"
    (tmp_path / "best.safetensors").write_bytes(b"x")
    assert model_file(tmp_path) == tmp_path / "best.safetensors"
    with pytest.raises(InputError, match="there is no such model file or run folder"):
        model_file(tmp_path / "nowhere")


@pytest.mark.parametrize("top", [0, 1_000_001, 10**20])
def test_a_number_of_proposals_that_no_memory_holds_is_refused_before_the_first_photograph(top: int) -> None:
    with pytest.raises(InputError, match=r"must be a whole number from 1 to 1,000,000"):
        Proposer(WholeImage(), top=top)


def test_errors_that_are_kept_hold_no_traceback_and_so_no_pixels(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:3000])
    with_images = list(Proposer(WholeImage()).stream([tmp_path / "cut.png", whole], keep_images=True))
    for outcome in (*with_images, *Proposer(WholeImage()).stream([tmp_path / "cut.png"])):
        if outcome.source == whole:
            assert outcome.error is None
            continue
        assert outcome.error is not None
        assert outcome.error.__traceback__ is outcome.error.__context__ is outcome.error.__cause__ is None
