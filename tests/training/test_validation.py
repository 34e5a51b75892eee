from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from objectness.datasets.records import Record
from objectness.inference.proposer import Proposer
from objectness.inference.torch_engine import TorchEngine, describe_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.training.settings import RunSettings
from objectness.training.validation import propose_all


def test_validation_proposes_what_a_checkpoint_proposes_for_the_file(
    tmp_path: Path, tiny: Callable[..., RunSettings]
) -> None:
    network = RegionProposalNetwork(tiny().rpn)
    records = []
    coarse = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    photo = Image.fromarray(coarse)
    # A JPEG large enough to be decoded at a fraction of its size, a rotated one, and a single pixel.
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.resize((1200, 1600)).save(tmp_path / "1.jpg")
    photo.resize((160, 90)).save(tmp_path / "2.jpg", exif=exif)
    photo.crop((0, 0, 1, 1)).save(tmp_path / "3.png")
    none = np.empty((0, 4), np.float32)
    for number, name in enumerate(("1.jpg", "2.jpg", "3.png"), start=1):
        flags, areas = np.zeros(0, bool), np.zeros(0, np.float32)
        records.append(Record(number, tmp_path / name, None, none, np.zeros(0, np.int64), flags, areas))
    found = propose_all(network, records, 50)
    proposer = Proposer(TorchEngine(network, describe_network(network, {})), top=50)
    for record in records:
        expected = proposer(record.path)
        ours = found[record.image_id]
        assert ours.size_hw == expected.size_hw
        assert len(ours) == len(expected)
        np.testing.assert_array_equal(ours.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_array_equal(ours.scores, expected.scores)
    assert len(found[3]) <= 1
