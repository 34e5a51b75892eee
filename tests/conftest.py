"""What all tests share."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import numpy as np
import pytest
from PIL import Image

from objectness.datasets.records import Record
from objectness.proposals import Proposals

# Everything that trains needs PyTorch; proposing and measuring must pass all their tests without it.
collect_ignore = [] if find_spec("torch") else ["rpn", "detector", "training", "export", "parity/test_torchvision.py"]

# Shapes in the signatures of the network are checked in tests. This stands here and not in rpn/ because a module
# that another folder's tests import first would go unchecked. jaxtyping takes the checker by name only; ours
# allows an int for a float, as every type checker does.
if find_spec("jaxtyping") and find_spec("beartype"):
    from beartype import BeartypeConf, beartype
    from jaxtyping import install_import_hook

    checker = ModuleType("objectness_shape_checker")
    checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # type: ignore[attr-defined]
    sys.modules[checker.__name__] = checker
    install_import_hook(["objectness.rpn", "objectness.detector"], f"{checker.__name__}.check")

# A busy machine is no defect; a failure must come again, so the same examples are drawn every time.
hypothesis.settings.register_profile("objectness", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("objectness")


# Tests send these signals. Under nohup the first is ignored, in a shell's background the second.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# With OBJECTNESS_EVERY_TEST=1, as in CI, slow tests run too, none may be deselected, and a skip is a failure, but for
# these reasons: words of the reason -> why it cannot be helped. A test in test_skips.py keeps the list short.
MAY_BE_SKIPPED = {
    "torch": "the environment without PyTorch is there to show that all else works; the other one runs these",
    "needs a GPU": "CI has none",
    "needs the data in": "real photographs are not part of the repository",
}


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("OBJECTNESS_EVERY_TEST"):
        config.option.markexpr = ""


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    if os.environ.get("OBJECTNESS_EVERY_TEST"):
        raise pytest.UsageError(f"{len(items)} tests were left out where every test is asked for: {items[0].nodeid}")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that has no good reason into a failure."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("OBJECTNESS_EVERY_TEST"):
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    if not any(words in reason.casefold() for words in map(str.casefold, MAY_BE_SKIPPED)):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped where every test is asked for: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.fixture(scope="module")
def tracing() -> Iterator[None]:
    """Export traces the network with symbols for its lengths, which are no ints: shapes are not checked meanwhile."""
    jaxtyping = pytest.importorskip("jaxtyping", reason="needs PyTorch and jaxtyping")
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photographs with boxes; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("OBJECTNESS_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs the data in {folder} (or wherever OBJECTNESS_DATA says)")
    return folder


class Making:
    """Files of the three layouts; a fixture, so that tests need no import from each other."""

    @staticmethod
    def image(path: Path, width: int = 40, height: int = 30, seed: int = 0, orientation: int | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(pixels)
        exif = Image.Exif()
        if orientation:
            exif[0x0112] = orientation
        image.save(path, exif=exif)
        return path

    @staticmethod
    def voc_xml(
        file_name: str, *boxes: Sequence[float], size: tuple[int, int] | None = (40, 30), name: str = "cell"
    ) -> str:
        """Boxes are xmin, ymin, xmax, ymax as they stand in the file; size is width, height."""
        stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
        corners = ("xmin", "ymin", "xmax", "ymax")
        objects = "".join(
            f"<object><name>{name}</name><difficult>1</difficult><bndbox>"
            + "".join(f"<{corner}>{value}</{corner}>" for corner, value in zip(corners, box, strict=True))
            + "</bndbox></object>"
            for box in boxes
        )
        return f"<annotation><filename>{file_name}</filename>{stated}{objects}</annotation>"

    @staticmethod
    def write(path: Path, text: str | bytes | Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
        return path


@pytest.fixture(scope="session")
def making() -> type[Making]:
    return Making


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """Ground truth of one image in one line; areas are the boxes' unless they are given."""

    def make(
        image_id: int,
        boxes_xyxy: Sequence[Sequence[float]] = (),
        *,
        ignore: Sequence[bool] | None = None,
        areas: Sequence[float] | None = None,
        class_ids: Sequence[int] | None = None,
        name: str | None = None,
    ) -> Record:
        boxes = np.array(boxes_xyxy, dtype=np.float32).reshape(-1, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        return Record(
            image_id=image_id,
            path=Path(name or f"{image_id}.jpg"),
            size_hw=(480, 640),
            boxes_xyxy=boxes,
            class_ids=np.array(class_ids if class_ids is not None else [0] * len(boxes), dtype=np.int64),
            ignore=np.array(ignore if ignore is not None else [False] * len(boxes), dtype=bool),
            areas=np.array(areas, dtype=np.float32) if areas is not None else sides[:, 0] * sides[:, 1],
        )

    return make


@pytest.fixture(scope="session")
def make_proposals() -> Callable[..., Proposals]:
    """Proposals of one image in one line; scores fall in steps unless they are given."""

    def make(
        boxes_xyxy: Sequence[Sequence[float]] = (),
        scores: Sequence[float] | None = None,
        source: str | None = None,
    ) -> Proposals:
        falling = [1 - index / 1000 for index in range(len(boxes_xyxy))]
        given = np.array(falling if scores is None else scores, dtype=np.float32)
        return Proposals(np.array(boxes_xyxy, dtype=np.float32), given, (480, 640), source)

    return make


# Imported inside, so that no module of the network is imported before its shapes are checked.
@pytest.fixture(scope="session")
def tiny_settings() -> Any:
    """``RPNSettings``: one level of stride 16 on timm's smallest network, for images of about 64 to 128 pixels."""
    from objectness.rpn.settings import AnchorSettings, BackboneSettings, HeadSettings, ImageSettings, RPNSettings

    return RPNSettings(
        images=ImageSettings(short_side=96, long_side=160),
        backbone=BackboneSettings(name="test_resnet", strides=(16,), pretrained=False, frozen_stages=0),
        head=HeadSettings(channels=32),
        anchors=AnchorSettings(sizes=(16.0, 32.0, 64.0)),
    )


@pytest.fixture
def make_network(tiny_settings: Any) -> Callable[..., Any]:
    """A ``RegionProposalNetwork`` in evaluation mode, with the same random weights each time."""

    def make(settings: Any = tiny_settings, seed: int = 0) -> Any:
        import torch

        from objectness.rpn.network import build_network

        torch.manual_seed(seed)
        return build_network(settings)[0].eval()

    return make
