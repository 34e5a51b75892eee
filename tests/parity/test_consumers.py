"""What we write, read by those it is written for.

pycocotools and supervision are read here; FiftyOne and label-studio-sdk, which are large, in a Python of their own
that ``OBJECTNESS_CONSUMERS`` names (a virtual environment with both installed).
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from objectness import formats
from objectness.formats.label_studio import CONFIG
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals

BOXES = [[1.25, 2.5, 4.75, 8.0], [0.0, 0.0, 64.0, 48.0]]


@pytest.fixture
def found(tmp_path: Path) -> ProposalSet:
    """Two photographs, the second without proposals."""
    (tmp_path / "data").mkdir()
    for name in "ab":
        Image.new("RGB", (64, 48)).save(tmp_path / "data" / f"{name}.png")
    return ProposalSet(
        {
            1: Proposals(BOXES, [0.75, 0.5], (48, 64), str(tmp_path / "data" / "a.png")),
            2: Proposals([], [], (48, 64), str(tmp_path / "data" / "b.png")),
        }
    )


def test_pycocotools(found: ProposalSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    formats.write_proposals(tmp_path / "truth.json", found, "coco")
    formats.write_proposals(tmp_path / "results.json", found, "coco-results")
    truth = coco.COCO(str(tmp_path / "truth.json"))
    assert truth.getImgIds() == [1, 2]
    for listed in (
        truth.loadAnns(truth.getAnnIds()),
        truth.loadRes(str(tmp_path / "results.json")).dataset["annotations"],
    ):
        assert [(item["image_id"], item["bbox"], item["score"]) for item in listed] == [
            (1, [1.25, 2.5, 3.5, 5.5], 0.75),
            (1, [0, 0, 64, 48], 0.5),
        ]


def test_supervision_reads_our_coco_and_yolo(found: ProposalSet, tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision")
    formats.write_proposals(tmp_path / "found.json", found, "coco")
    got = supervision.DetectionDataset.from_coco(str(tmp_path / "data"), str(tmp_path / "found.json"))
    read = {Path(path).name: detections for path, detections in got.annotations.items()}
    assert read["a.png"].xyxy.tolist() == BOXES
    assert len(read.get("b.png", ())) == 0
    from objectness.formats import yolo

    yolo.write(tmp_path / "yolo", found, with_scores=False)
    got = supervision.DetectionDataset.from_yolo(
        str(tmp_path / "data"), str(tmp_path / "yolo" / "labels"), str(tmp_path / "yolo" / "data.yaml")
    )
    read = {Path(path).name: detections for path, detections in got.annotations.items()}
    np.testing.assert_allclose(read["a.png"].xyxy, BOXES, atol=1e-4)


def test_we_read_what_supervision_sinks(found: ProposalSet, tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision")
    from objectness.formats.supervision import to_detections

    with supervision.CSVSink(str(tmp_path / "found.csv")) as sink:
        for image in found.values():
            sink.append(to_detections(image), {"path": image.source})
    assert next(csv.reader((tmp_path / "found.csv").open()))[:4] == ["x_min", "y_min", "x_max", "y_max"]
    got = formats.read_proposals(tmp_path / "found.csv")
    assert got[1].boxes_xyxy.tolist() == BOXES
    assert got[1].scores.tolist() == [0.75, 0.5]
    assert got[1].source == found[1].source


def by_consumers(program: str, folder: Path) -> Any:
    """Run a program in the consumers' Python; its last line is JSON."""
    python = os.environ.get("OBJECTNESS_CONSUMERS")
    if not python:
        pytest.skip("OBJECTNESS_CONSUMERS names no Python with FiftyOne and label-studio-sdk")
    done = subprocess.run(
        [python, "-c", program, str(folder)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


FIFTYONE = """
import json, sys
from pathlib import Path
import fiftyone.utils.coco as coco, fiftyone.utils.cvat as cvat, fiftyone.utils.data as data
folder = Path(sys.argv[1])
readers = {
    "fiftyone": data.FiftyOneImageDetectionDatasetImporter(dataset_dir=str(folder)),
    "coco": coco.COCODetectionDatasetImporter(data_path=str(folder / "data"), labels_path=str(folder / "coco.json")),
    "cvat": cvat.CVATImageDatasetImporter(data_path=str(folder / "data"), labels_path=str(folder / "cvat.xml")),
}
found = {}
for name, reader in readers.items():
    with reader:
        for path, _, labels in reader:
            labels = labels.get("detections") if isinstance(labels, dict) else labels
            rows = [[d.label, d.bounding_box, d.confidence, getattr(d, "score", None)]
                    for d in (labels.detections if labels else ())]
            found.setdefault(name, {})[Path(path).name] = rows
print(json.dumps(found))
"""


@pytest.mark.slow
def test_fiftyone(found: ProposalSet, tmp_path: Path) -> None:
    formats.write_proposals(tmp_path, found, "fiftyone")
    formats.write_proposals(tmp_path / "coco.json", found, "coco")
    formats.write_proposals(tmp_path / "cvat.xml", found, "cvat")
    read = by_consumers(FIFTYONE, tmp_path)
    want = [[x1 / 64, y1 / 48, (x2 - x1) / 64, (y2 - y1) / 48] for x1, y1, x2, y2 in BOXES]
    for name, limit in (("fiftyone", 1e-9), ("coco", 1e-9), ("cvat", 0.5 / 48)):  # FiftyOne rounds CVAT's to pixels
        rows = read[name]["a.png"]
        assert [row[0] for row in rows] == ["object", "object"]
        np.testing.assert_allclose([row[1] for row in rows], want, atol=limit)
        assert [row[3 if name == "cvat" else 2] for row in rows] == [0.75, 0.5]
        assert read[name].get("b.png", []) == []


LABEL_STUDIO = """
import json, sys
from pathlib import Path
from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface
folder = Path(sys.argv[1])
config = (folder / "config.xml").read_text()
tasks = json.loads((folder / "tasks.json").read_text())
interface = LabelInterface(config)
valid = [interface.validate_task({"data": task["data"]}) for task in tasks]
valid += [interface.validate_prediction(prediction) for task in tasks for prediction in task["predictions"]]
for number, task in enumerate(tasks):  # as if somebody had accepted the predictions
    task["id"] = number
    task["annotations"] = [{"id": number, "result": task["predictions"][0]["result"], "completed_by": 1}]
(folder / "annotated.json").write_text(json.dumps(tasks))
converter = Converter(config, str(folder), download_resources=False)
converter.convert_to_coco(str(folder / "annotated.json"), str(folder / "out"), str(folder / "images"), is_dir=False)
document = json.loads((folder / "out" / "result.json").read_text())
print(json.dumps([valid, [item["bbox"] for item in document["annotations"]], len(document["images"])]))
"""


@pytest.mark.slow
def test_label_studio(found: ProposalSet, tmp_path: Path) -> None:
    formats.write_proposals(tmp_path / "tasks.json", found, "label-studio")
    (tmp_path / "config.xml").write_text(CONFIG)
    valid, boxes, images = by_consumers(LABEL_STUDIO, tmp_path)
    assert valid == [True] * 4
    np.testing.assert_allclose(boxes, [[1.25, 2.5, 3.5, 5.5], [0, 0, 64, 48]], atol=1e-9)
    assert images == 2
