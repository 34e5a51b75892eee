from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from objectness import boxes

EMPTY = np.empty((0, 4), dtype=np.float32)
NO_SCORES = np.empty(0, dtype=np.float32)


def f32(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


@st.composite
def grid_boxes(draw: st.DrawFn, largest: int = 12) -> np.ndarray:
    """Boxes on a small grid, so that equal, touching, nested and empty ones are common."""
    count = draw(st.integers(0, largest))
    corner = draw(hnp.arrays(np.float32, (count, 2), elements=st.integers(0, 6)))
    sides = draw(hnp.arrays(np.float32, (count, 2), elements=st.integers(0, 6)))
    return np.concatenate([corner, corner + sides], axis=1)


class TestArea:
    def test_empty(self) -> None:
        assert boxes.area(EMPTY).tolist() == []

    def test_by_hand(self) -> None:
        assert boxes.area(f32([0, 0, 4, 5], [1, 2, 1, 9], [-3, -2, 3, 2])).tolist() == [20, 0, 24]

    def test_swapped_sides_have_no_area(self) -> None:
        # Both sides swapped: without care (-4) * (-5) would be 20.
        assert boxes.area(f32([4, 5, 0, 0], [4, 0, 0, 5])).tolist() == [0, 0]

    @pytest.mark.parametrize("dtype", [np.float16, np.int16, np.uint8, np.int64])
    def test_narrow_types_do_not_overflow(self, dtype: type) -> None:
        # 240 * 240 = 57600 is more than int16 and uint8 can hold.
        assert boxes.area(np.array([[5, 5, 245, 245]], dtype=dtype)).tolist() == [57600]

    def test_half_precision_beyond_its_range(self) -> None:
        assert boxes.area(np.array([[0, 0, 1024, 512]], dtype=np.float16)).tolist() == [524288]


class TestOverlaps:
    @pytest.mark.parametrize("function", [boxes.intersection, boxes.iou, boxes.iof])
    def test_empty(self, function) -> None:
        some = f32([0, 0, 1, 1], [0, 0, 2, 2])
        assert function(EMPTY, EMPTY).shape == (0, 0)
        assert function(some, EMPTY).shape == (2, 0)
        assert function(EMPTY, some).shape == (0, 2)

    def test_intersection_by_hand(self) -> None:
        left = f32([0, 0, 4, 4], [10, 10, 12, 12])
        right = f32([2, 1, 6, 3], [4, 0, 8, 4], [11, 9, 20, 11])
        # 2 x 2 common; touching edges share nothing; the corner pixel [11, 10, 12, 11].
        assert boxes.intersection(left, right).tolist() == [[4, 0, 0], [0, 0, 1]]

    def test_iou_by_hand(self) -> None:
        got = boxes.iou(f32([0, 0, 4, 4]), f32([0, 0, 4, 4], [0, 0, 4, 2], [2, 2, 6, 6], [4, 4, 5, 5]))
        np.testing.assert_allclose(got, [[1, 0.5, 4 / 28, 0]], rtol=1e-6)

    def test_iof_is_the_share_of_the_first_box(self) -> None:
        got = boxes.iof(f32([0, 0, 2, 2], [0, 0, 8, 8]), f32([0, 0, 4, 4]))
        np.testing.assert_allclose(got, [[1], [0.25]], rtol=1e-6)

    def test_boxes_without_area_overlap_nothing(self) -> None:
        flat = f32([3, 3, 3, 3], [0, 2, 9, 2], [5, 5, 1, 1])
        with np.errstate(all="raise"):
            assert boxes.iou(flat, flat).tolist() == np.zeros((3, 3)).tolist()
            assert boxes.iof(flat, f32([0, 0, 9, 9])).tolist() == [[0], [0], [0]]

    def test_integers(self) -> None:
        assert boxes.iou(np.array([[0, 0, 4, 4]]), np.array([[0, 0, 4, 2]])).tolist() == [[0.5]]

    def test_half_precision_beyond_its_range(self) -> None:
        large = np.array([[0, 0, 1024, 512]], dtype=np.float16)
        assert boxes.iou(large, large).tolist() == [[1]]

    @given(grid_boxes(), grid_boxes())
    def test_iou_against_counted_pixels(self, left: np.ndarray, right: np.ndarray) -> None:
        def pixels(box: np.ndarray) -> set[tuple[int, int]]:
            x1, y1, x2, y2 = box.astype(int)
            return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}

        got = boxes.iou(left, right)
        for row, a in enumerate(left):
            for column, b in enumerate(right):
                union = len(pixels(a) | pixels(b))
                want = len(pixels(a) & pixels(b)) / union if union else 0
                assert got[row, column] == pytest.approx(want, abs=1e-6)

    @given(grid_boxes())
    def test_iou_is_symmetric_and_one_with_itself(self, some: np.ndarray) -> None:
        got = boxes.iou(some, some)
        assert (got == got.T).all()
        assert np.diagonal(got).tolist() == (boxes.area(some) > 0).astype(float).tolist()


class TestClip:
    def test_empty(self) -> None:
        assert boxes.clip(EMPTY, (10, 20)).shape == (0, 4)

    def test_height_bounds_y_and_width_bounds_x(self) -> None:
        got = boxes.clip(f32([-5, -5, 50, 50], [25, 12, 30, 15], [1, 2, 3, 4]), (10, 20))
        assert got.tolist() == [[0, 0, 20, 10], [20, 10, 20, 10], [1, 2, 3, 4]]

    def test_makes_a_new_array(self) -> None:
        given_boxes = f32([-1, -1, 99, 99])
        boxes.clip(given_boxes, (10, 20))
        assert given_boxes.tolist() == [[-1, -1, 99, 99]]


class TestConvert:
    def test_empty(self) -> None:
        assert boxes.xyxy_to_xywh(EMPTY).shape == (0, 4)
        assert boxes.xywh_to_xyxy(EMPTY).shape == (0, 4)

    def test_by_hand(self) -> None:
        assert boxes.xyxy_to_xywh(f32([1, 2, 4, 8])).tolist() == [[1, 2, 3, 6]]
        assert boxes.xywh_to_xyxy(f32([1, 2, 3, 6])).tolist() == [[1, 2, 4, 8]]

    @given(grid_boxes())
    def test_round_trip(self, some: np.ndarray) -> None:
        assert (boxes.xywh_to_xyxy(boxes.xyxy_to_xywh(some)) == some).all()


# chainercv's boxes, written there as y1, x1, y2, x2 and here as x1, y1, x2, y2, in order of falling score.
FOUR = f32([0, 0, 4, 4], [1, 1, 5, 5], [1, 2, 5, 6], [0, 4, 4, 8])
FALLING = np.array([0.9, 0.8, 0.7, 0.6], dtype=np.float32)

# torchvision's half-precision case.
HALF = np.array(
    [
        [285.3538, 185.5758, 1193.5110, 851.4551],
        [285.1472, 188.7374, 1192.4984, 851.0669],
        [279.2440, 197.9812, 1189.4746, 849.2019],
    ]
)
HALF_SCORES = np.array([0.6370, 0.7569, 0.3966])


class TestNms:
    def test_empty(self) -> None:
        got = boxes.nms(EMPTY, NO_SCORES, 0.7)
        assert got.tolist() == []
        assert got.dtype == np.int64

    @pytest.mark.parametrize(
        ("threshold", "kept"),
        [(1, [0, 1, 2, 3]), (0.5, [0, 1, 3]), (0.3, [0, 2, 3]), (0.2, [0, 3]), (0, [0, 3])],
    )
    def test_chainercv_cases(self, threshold: float, kept: list[int]) -> None:
        # The last row is [0] there, where equality suppresses: boxes 0 and 3 touch, and 0 is not above 0.
        assert boxes.nms(FOUR, FALLING, threshold).tolist() == kept

    def test_an_iou_equal_to_the_threshold_is_kept(self) -> None:
        pair = f32([0, 0, 4, 4], [0, 0, 4, 2])  # IoU exactly 0.5
        scores = np.array([0.9, 0.8], dtype=np.float32)
        assert boxes.nms(pair, scores, 0.5).tolist() == [0, 1]
        assert boxes.nms(pair, scores, 0.4999).tolist() == [0]

    def test_best_first_and_ties_by_lower_index(self) -> None:
        apart = f32([0, 0, 1, 1], [10, 0, 11, 1], [20, 0, 21, 1], [30, 0, 31, 1])
        scores = np.array([0.5, 0.9, 0.5, 0.9], dtype=np.float32)
        assert boxes.nms(apart, scores, 0.5).tolist() == [1, 3, 0, 2]
        assert boxes.nms(np.repeat(apart[:1], 4, axis=0), np.ones(4, np.float32), 0.5).tolist() == [0]

    def test_a_suppressed_box_suppresses_nothing(self) -> None:
        chain = f32([0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10])  # neighbours overlap by 6/14, the ends by 2/18
        assert boxes.nms(chain, np.array([0.9, 0.8, 0.7], np.float32), 0.4).tolist() == [0, 2]

    def test_limit(self) -> None:
        assert boxes.nms(FOUR, FALLING, 1, limit=2).tolist() == [0, 1]
        assert boxes.nms(FOUR, FALLING, 1, limit=0).tolist() == []
        assert boxes.nms(FOUR, FALLING, 1, limit=99).tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_half_precision_case_of_torchvision(self, dtype: type) -> None:
        # The areas are about 600,000, beyond the largest half-precision number.
        assert boxes.nms(HALF.astype(dtype), HALF_SCORES.astype(dtype), 0.2).tolist() == [1]

    def test_unsigned_scores_and_integer_boxes(self) -> None:
        pair = np.array([[0, 0, 4, 4], [9, 9, 12, 12]])
        assert boxes.nms(pair, np.array([1, 200], dtype=np.uint8), 0.5).tolist() == [1, 0]

    def test_nan_scores_never_win(self) -> None:
        scores = np.array([np.nan, 0.8, 0.7, np.nan], dtype=np.float32)
        assert boxes.nms(FOUR, scores, 0.5).tolist() == [1]
        assert boxes.nms(FOUR, np.full(4, np.nan, np.float32), 0.5).tolist() == []

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_boxes_that_are_not_finite_are_never_kept(self, value: float) -> None:
        broken = FOUR.copy()
        broken[0, 2] = value
        with np.errstate(all="raise"):
            assert boxes.nms(broken, FALLING, 0.5).tolist() == [1, 3]

    def test_infinite_scores_are_scores(self) -> None:
        scores = np.array([-np.inf, np.inf, 0, 1], dtype=np.float32)
        assert boxes.nms(FOUR, scores, 1).tolist() == [1, 3, 2, 0]

    def test_boxes_without_area_stay(self) -> None:
        flat = f32([3, 3, 3, 3], [3, 3, 3, 3], [0, 0, 9, 9])
        assert boxes.nms(flat, np.array([0.9, 0.8, 0.7], np.float32), 0).tolist() == [0, 1, 2]

    @pytest.mark.parametrize("shape", [(3, 5), (4,), (2, 2, 4), (2, 4)])
    def test_shapes_that_do_not_belong_together(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="NMS needs boxes"):
            boxes.nms(np.zeros(shape, np.float32), np.zeros(3, np.float32), 0.5)

    @given(
        grid_boxes(),
        st.randoms(use_true_random=False),
        st.sampled_from([0, 0.1, 0.2, 0.3, 1 / 3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        st.sampled_from([np.float32, np.float64]),
    )
    def test_the_list_of_torchvision(self, some: np.ndarray, random, threshold: float, dtype: type) -> None:
        torch = pytest.importorskip("torch")
        nms = pytest.importorskip("torchvision.ops").nms
        some = some.astype(dtype)
        scores = np.array([random.randint(0, 5) / 5 for _ in some], dtype=dtype)
        want = nms(torch.from_numpy(some), torch.from_numpy(scores), threshold)
        assert boxes.nms(some, scores, threshold).tolist() == want.tolist()

    def test_one_fifth_is_above_a_fifth_in_single_precision(self) -> None:
        # IoU 4/20: the nearest float32 lies above 0.2, and torchvision compares it with the double 0.2.
        pair = f32([0, 0, 12, 1], [8, 0, 20, 1])
        scores = np.array([0.9, 0.8])
        assert boxes.nms(pair, scores, 0.2).tolist() == [0]
        assert boxes.nms(pair.astype(np.float64), scores, 0.2).tolist() == [0, 1]

    @pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_greedy_rule_written_out(self, threshold: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        corner = rng.uniform(0, 100, (200, 2))
        some = np.concatenate([corner, corner + rng.uniform(1, 60, (200, 2))], axis=1).astype(np.float32)
        scores = rng.random(200).astype(np.float32)
        assert boxes.nms(some, scores, threshold).tolist() == boxes.plain_nms(some, scores, threshold).tolist()

    def test_equal_scores_and_no_boxes(self) -> None:
        same = np.repeat(FOUR[:1], 4, axis=0)
        for suppress in (boxes.nms, boxes.plain_nms):
            assert suppress(same, np.ones(4), 0.5).tolist() == [0]
            assert suppress(same, np.ones(4), 1.0).tolist() == [0, 1, 2, 3]
            assert suppress(EMPTY, NO_SCORES, 0.5).tolist() == []

    def test_groups_do_not_suppress_one_another(self) -> None:
        same = np.repeat(FOUR[:1], 4, axis=0)
        assert boxes.nms(same, FALLING, 0.5, groups=np.array([0, 1, 0, 1])).tolist() == [0, 1]
        assert boxes.nms(same, FALLING, 0.5, groups=np.array([7, 10**12, -(10**12), 7])).tolist() == [0, 1, 2]
        assert boxes.nms(same, FALLING, 0.5, limit=1, groups=np.array([0, 1, 0, 1])).tolist() == [0]
        assert boxes.nms(EMPTY, NO_SCORES, 0.5, groups=np.empty(0, np.int64)).tolist() == []

    def test_one_group_a_box(self) -> None:
        with pytest.raises(ValueError, match="one group a box"):
            boxes.nms(FOUR, FALLING, 0.5, groups=np.zeros(3, np.int64))

    @pytest.mark.parametrize("threshold", [-0.1, np.nan])
    def test_a_threshold_that_is_none(self, threshold: float) -> None:
        with pytest.raises(ValueError, match="threshold of at least 0"):
            boxes.nms(FOUR, FALLING, threshold)

    @pytest.mark.parametrize("threshold", [1.0, 1.5, np.inf])
    def test_from_1_on_nothing_is_dropped(self, threshold: float) -> None:
        assert boxes.nms(np.repeat(FOUR, 3, axis=0), np.arange(12.0), threshold).tolist() == [*range(11, -1, -1)]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_areas_beyond_counting_overlap_nothing(self, dtype: type) -> None:
        side = np.finfo(dtype).max / 4
        vast = np.array([[0, 0, side, side], [0, 0, side, side], [0, 0, 4, 4], [0, 0, 4, 4]], dtype=dtype)
        with np.errstate(all="raise"):
            assert boxes.nms(vast, FALLING, 0.5).tolist() == [0, 1, 2]


def clustered(rng: np.random.Generator, count: int, clusters: int, jitter: float, size: float) -> np.ndarray:
    chosen = rng.integers(0, clusters, count)
    sides = np.exp(rng.uniform(np.log(8), np.log(300), (clusters, 2)))[chosen]
    centres = rng.uniform(0, size, (clusters, 2))[chosen] + rng.normal(0, jitter, (count, 2)) * sides
    sides = sides * np.exp(rng.normal(0, jitter, (count, 2)))
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype(np.float32)


def many_kinds(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Boxes as they come and as they should not: each kind has broken a clever suppression somewhere."""
    whole = np.round(clustered(rng, count, 20, 0.1, 200) / 16) * 16
    mixed = clustered(rng, count, 30, 0.1, 500)
    mixed[::3] = mixed[rng.integers(0, count, len(mixed[::3]))]  # twins
    mixed[::7, 2] = mixed[::7, 0]  # without width
    mixed[::11] = mixed[::11][:, [2, 3, 0, 1]]  # swapped corners
    scales = clustered(rng, count, 20, 0.1, 50) * 10.0 ** rng.integers(-6, 7, (count, 1)).astype(np.float32)
    lines = clustered(rng, count, 20, 0.05, 100) * np.array([100, 0.01, 100, 0.01], dtype=np.float32)
    return {
        "one cluster": clustered(rng, count, 1, 0.1, 100),
        "clusters": clustered(rng, count, 40, 0.12, 800),
        "anywhere": clustered(rng, count, count, 0, 1000),
        "on a coarse grid, with many ties of IoU": whole.astype(np.float32),
        "twins, flat and swapped boxes": mixed,
        "sizes from a millionth to a million": scales,
        "thin lines": lines,
        "far from the origin": clustered(rng, count, 40, 0.1, 800) + np.float32(1e6),
    }


KINDS = list(many_kinds(np.random.default_rng(0), 10))


class TestManyBoxes:
    """Enough of them for several chunks, halved chunks and split runs."""

    @pytest.mark.parametrize("threshold", [0, 0.01, 0.1, 0.2, 1 / 3, 0.5, 0.7, 0.9, 0.99, 1])
    @pytest.mark.parametrize("kind", KINDS)
    def test_the_list_of_torchvision(self, kind: str, threshold: float) -> None:
        torch = pytest.importorskip("torch")
        nms = pytest.importorskip("torchvision.ops").nms
        rng = np.random.default_rng(KINDS.index(kind))
        some = many_kinds(rng, 1200)[kind]
        for scores in (rng.random(1200).astype(np.float32), rng.integers(0, 9, 1200).astype(np.float32) / 8):
            want = nms(torch.from_numpy(some), torch.from_numpy(scores), threshold).tolist()
            assert boxes.nms(some, scores, threshold).tolist() == want
            assert boxes.nms(some, scores, threshold, limit=300).tolist() == want[:300]
            wide = some.astype(np.float64), scores.astype(np.float64)
            assert boxes.nms(*wide, threshold).tolist() == nms(*map(torch.from_numpy, wide), threshold).tolist()

    @pytest.mark.parametrize("kind", KINDS)
    def test_groups_are_as_if_each_were_alone(self, kind: str) -> None:
        rng = np.random.default_rng(5)
        some, scores = many_kinds(rng, 900)[kind], rng.integers(0, 50, 900) / 50
        groups = rng.integers(0, 4, 900)
        alone = [np.flatnonzero(groups == group) for group in range(4)]
        kept = np.sort(np.concatenate([of[boxes.nms(some[of], scores[of], 0.6)] for of in alone]))
        want = kept[np.argsort(-scores[kept], kind="stable")]
        assert boxes.nms(some, scores, 0.6, groups=groups).tolist() == want.tolist()
        assert boxes.nms(some, scores, 0.6, limit=50, groups=groups).tolist() == want[:50].tolist()

    @pytest.mark.parametrize("most", [0, 100, 5000])
    def test_crowds_are_taken_in_smaller_chunks(self, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
        rng = np.random.default_rng(6)
        some, scores = clustered(rng, 700, 2, 0.1, 50), rng.random(700)
        want = boxes.nms(some, scores, 0.8).tolist()
        monkeypatch.setattr(boxes, "_MOST_PAIRS", most)
        assert boxes.nms(some, scores, 0.8).tolist() == want

    @pytest.mark.parametrize("step", [1.0, 1.7, 3.0])
    def test_a_long_chain_where_each_overlaps_the_next(self, step: float) -> None:
        """With equal scores every box waits for the one before it."""
        left = np.arange(3000) * np.float32(step)
        chain = np.stack([left, left * 0, left + 10, left * 0 + 10], axis=1)
        kept = boxes.nms(chain, np.ones(3000), 0.5)
        stride = next(k for k in range(1, 9) if (10 - k * step) / (10 + k * step) <= 0.5)
        assert kept.tolist() == list(range(0, 3000, stride))

    def test_half_precision_is_widened(self) -> None:
        rng = np.random.default_rng(7)
        some, scores = clustered(rng, 500, 20, 0.1, 400).astype(np.float16), rng.random(500).astype(np.float16)
        want = boxes.nms(some.astype(np.float32), scores.astype(np.float32), 0.7)
        assert boxes.nms(some, scores, 0.7).tolist() == want.tolist()

    def test_100000_boxes_in_linear_memory(self) -> None:
        rng = np.random.default_rng(8)
        peaks = []
        for count in (25_000, 100_000):
            some, scores = clustered(rng, count, count // 50, 0.1, 100 * count**0.5), rng.random(count)
            tracemalloc.start()
            kept = boxes.nms(some, scores, 0.7)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert count / 50 < len(kept) < count / 2
        assert peaks[1] < 6 * peaks[0]

    def test_memory_when_every_box_overlaps_every_other(self) -> None:
        """5,000 x 5,000 pairs would take 100 MB in a byte each, and much more on the way."""
        rng = np.random.default_rng(9)
        some, scores = np.tile(f32([0, 0, 100, 100]), (5000, 1)), rng.random(5000)
        tracemalloc.start()
        assert boxes.nms(some, scores, 0.5).tolist() == [int(scores.argmax())]
        assert tracemalloc.get_traced_memory()[1] < 20e6
        tracemalloc.stop()
