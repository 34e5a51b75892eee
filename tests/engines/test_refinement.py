"""The refinement head in NumPy, by hand and beside PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from objectness.engines.refinement import RefinementWeights, grid_cells, grid_features, logit, sigmoid

RNG = np.random.default_rng(0)
# One channel that holds 10 * row + column, on 3 x 4 cells of stride 8, centred on 4, 12, 20 and 28 pixels.
MAP = (10 * np.arange(3)[:, None] + np.arange(4))[..., None].astype(np.float32)


def test_points_between_cells_by_hand() -> None:
    # One point, the middle: a quarter of the way from row 0 to 1, half way from column 1 to 2.
    found = grid_features(MAP, np.array([[10, 2, 22, 10]], np.float32), stride=8, grid=1, margin=1.0)
    np.testing.assert_allclose(found, [[[10 * 0.25 + 1.5]]])
    # Four points at a quarter and three quarters of a box twice as large: x 8 and 24, y 4 and 12.
    found = grid_features(MAP, np.array([[8, 4, 24, 12]], np.float32), stride=8, grid=2, margin=2.0)
    np.testing.assert_allclose(found, [[[0.5], [2.5], [10.5], [12.5]]])


def test_points_outside_read_the_border() -> None:
    far = np.array([[-500, -500, -400, -400], [400, 400, 500, 500], [0, 0, 0, 0]], np.float32)
    np.testing.assert_array_equal(grid_features(MAP, far, 8, 1, 1.0)[:, 0, 0], [0, 23, 0])
    cells = grid_cells(far, (3, 4), 8, 2, 1.2)
    assert cells.below.max() == 2
    assert cells.right.max() == 3
    assert min(cells.above.min(), cells.left.min()) == 0


def test_cells_may_be_read_from_anywhere() -> None:
    boxes = RNG.uniform(0, 30, (5, 4)).astype(np.float32)
    seen = []

    def read(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        seen.append(rows.shape)
        return MAP.reshape(-1, 1)[rows * 4 + columns]

    found = grid_cells(boxes, (3, 4), 8, 3, 1.2).features(read)
    np.testing.assert_array_equal(found, grid_features(MAP, boxes, 8, 3, 1.2))
    assert seen == [(5, 9)] * 4
    assert grid_features(MAP, boxes[:0], 8, 3, 1.2).shape == (0, 9, 1)


def weights(grid: int = 2, channels: int = 3, hidden: int = 5) -> RefinementWeights:
    def layer(outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
        return RNG.normal(size=(outputs, inputs)).astype(np.float32), RNG.normal(size=outputs).astype(np.float32)

    layers = (layer(hidden, channels * grid**2), layer(hidden, hidden))
    return RefinementWeights(layers, layer(5, hidden), np.array([0.1, 0.1, 0.2, 0.2], np.float32))


def test_corrections_by_hand() -> None:
    one = np.ones((1, 1), np.float32)
    bias = np.zeros(1, np.float32)
    predictor = np.array([[1], [2], [3], [4], [5]], np.float32), np.array([0, 1, 0, 0, 0], np.float32)
    own = RefinementWeights(((one, bias), (2 * one, bias - 1)), predictor, np.array([1, 1, 0.5, 0.5], np.float32))
    # 3 -> 3 -> 5; -3 -> 0 -> 0 by the rectifiers.
    deltas, scores = own.correct(np.array([[[3]], [[-3]]], np.float32), np.array([0.5, 0.2], np.float32))
    np.testing.assert_allclose(deltas, [[11, 15, 10, 12.5], [1, 0, 0, 0]])
    np.testing.assert_allclose(scores, [1 / (1 + math.exp(-5)), 0.2], rtol=1e-6)
    assert deltas.dtype == scores.dtype == np.float32


def test_a_score_without_a_finite_logit_is_none() -> None:
    features = np.full((2, 4, 3), np.inf, np.float32)
    with np.errstate(invalid="ignore"):
        _, scores = weights().correct(features, np.array([0.5, 0.5], np.float32))
    assert np.isnan(scores).all()
    deltas, scores = weights().correct(features[:0], np.zeros(0, np.float32))
    assert (deltas.shape, scores.shape) == ((0, 4), (0,))


@pytest.mark.filterwarnings("error")
def test_scores_and_logits_at_their_ends() -> None:
    scores = sigmoid(np.array([-200, -1, 0, 1, 200], np.float32))
    np.testing.assert_allclose(scores, [0, 1 / (1 + math.e), 0.5, math.e / (1 + math.e), 1], atol=1e-7)
    assert np.isfinite(logit(np.array([0, 1], np.float32))).all()


def test_layers_that_do_not_fit_are_refused() -> None:
    own = weights()
    for broken in (
        (own.hidden[::-1], own.predictor, own.delta_scale),
        (own.hidden, (own.predictor[0][:4], own.predictor[1][:4]), own.delta_scale),
        (own.hidden, (own.predictor[0], own.predictor[1][:4]), own.delta_scale),
        (own.hidden, (own.predictor[0][0], own.predictor[1]), own.delta_scale),
        (own.hidden, own.predictor, own.delta_scale[:3]),
    ):
        with pytest.raises(ValueError, match="do not fit one another"):
            RefinementWeights(*broken)


def test_it_equals_the_head_in_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    from objectness.rpn.extensions import refinement_head
    from objectness.rpn.extensions.settings import RefinementSettings

    torch.manual_seed(0)
    settings = RefinementSettings(grid=4, channels=6, hidden=16, finer=1)
    head = refinement_head.RefinementHead(8, (8, 16, 32), settings)
    torch.nn.init.normal_(head.predictor.weight, std=0.5)
    maps = [torch.randn(int(90 / stride), int(170 / stride), 6) for stride in (8, 16, 32)]
    boxes = np.sort(RNG.uniform(-20, 190, (50, 2, 2)), axis=1).reshape(50, 4).astype(np.float32)
    scores = np.r_[0, 1, RNG.uniform(size=48)].astype(np.float32)
    own = RefinementWeights(
        tuple((head.hidden[at].weight.detach().numpy(), head.hidden[at].bias.detach().numpy()) for at in (0, 2)),
        (head.predictor.weight.detach().numpy(), head.predictor.bias.detach().numpy()),
        head.delta_scale.numpy(),
    )
    assert own.inputs == 16 * 6
    for level, source in ((0, 0), (1, 0), (2, 1)):
        with torch.no_grad():
            logits = torch.logit(torch.from_numpy(scores), eps=refinement_head.SCORE_EPS)
            deltas, corrected = head.correct(maps, level, torch.from_numpy(boxes), logits)
        found = own.correct(grid_features(maps[source].numpy(), boxes, head.strides[source], 4, 1.2), scores)
        np.testing.assert_allclose(found[0], deltas.numpy(), atol=1e-5)
        np.testing.assert_allclose(found[1], torch.sigmoid(corrected).numpy(), atol=1e-6)
