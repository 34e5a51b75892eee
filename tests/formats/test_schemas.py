"""Each format by hand: what is written, looked at with other tools; what others write, read."""

from __future__ import annotations

import csv
import json
import pickle
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from objectness import formats
from objectness.errors import InputError
from objectness.formats import (
    coco_dataset,
    csv_rows,
    cvat,
    detectron2,
    fiftyone,
    geojson,
    huggingface,
    label_studio,
    mmdet2,
    mmdet3,
    parquet,
    read_proposals,
    sam,
    yolo,
)
from objectness.formats.core.image_lookup import index_images
from objectness.formats.legacy import detectron1, hosang, selective_search
from objectness.formats.legacy.mat_files import load_mat, save_mat
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals

S7 = (1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(1.5)))


def put(path: Path, text: str | bytes | Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


class TestCocoDataset:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        coco_dataset.write(tmp_path / "a.json", sample.proposals)
        document = json.loads((tmp_path / "a.json").read_text())
        assert document["info"] == {"model": "small", "code": "1.0 é"}
        assert document["categories"] == [{"id": 1, "name": "object", "supercategory": ""}]
        assert document["images"][1] == {"id": 3, "file_name": str(sample.photos / "b.png"), "width": 64, "height": 48}
        first = document["annotations"][0]
        assert first.pop("score") == pytest.approx(S7[0])
        assert first == {
            **{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1.25, 2.5, 3.5, 5.5], "area": 19.25, "iscrowd": 0},
            **{"segmentation": [], "logit": 2.0, "level": 2},
        }

    def test_classes_and_missing_scores_are_told(self, tmp_path: Path) -> None:
        rows = [{"image_id": "x", "category_id": c, "bbox": [c, 0, 2, 2], "iscrowd": 0} for c in (1, 2)]
        path = put(tmp_path / "a.json", {"images": [{"id": "x"}], "annotations": rows})
        got = read_proposals(path, "coco")
        assert got["x"].scores.tolist() == [1, 0.5]
        assert got["x"].boxes_xyxy.tolist() == [[1, 0, 3, 2], [2, 0, 4, 2]]
        assert [note.split()[0] for note in got.notes] == ["left", "the"]

    def test_some_scores(self, tmp_path: Path) -> None:
        rows = [{"image_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5}, {"image_id": 1, "bbox": [0, 0, 2, 2]}]
        path = put(tmp_path / "a.json", {"images": [{"id": 1}], "annotations": rows})
        with pytest.raises(InputError, match="annotation 2 of image 1 has no score, but others have"):
            read_proposals(path, "coco")


class TestYolo:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        yolo.write(tmp_path, sample.proposals)
        put(tmp_path / "labels" / "a.txt", "9 9 9 9 9\n")
        yolo.write(tmp_path, sample.proposals)
        lines = (tmp_path / "labels" / "a.txt").read_text().splitlines()
        assert len(lines) == 2, "replaced, not added to"
        values = [float(word) for word in lines[0].split()]
        assert values == pytest.approx([0, 3 / 64, 5.25 / 48, 3.5 / 64, 5.5 / 48, S7[0]])
        assert (tmp_path / "labels" / "b.txt").read_text() == ""
        assert yaml.safe_load((tmp_path / "data.yaml").read_text()) == {
            **{"train": "images", "val": "images"},
            "names": {0: "object"},
        }

    def test_a_certain_score_is_no_track(self, tmp_path: Path) -> None:
        yolo.write(tmp_path, ProposalSet({1: Proposals([[0, 0, 2, 2]], [1.0], (4, 4), "a.jpg")}))
        assert (tmp_path / "labels" / "a.txt").read_text() == "0 0.25 0.25 0.5 0.5 1.0\n"
        yolo.write(tmp_path, ProposalSet({1: Proposals([[0, 0, 2, 2]], [1.0], (4, 4), "a.jpg")}), with_scores=False)
        assert (tmp_path / "labels" / "a.txt").read_text() == "0 0.25 0.25 0.5 0.5\n"

    def test_sizes_come_from_the_images_beside(self, sample: Any, tmp_path: Path) -> None:
        put(tmp_path / "labels" / "c.txt", "0 0.5 0.5 1 1 0.5\n1 .5 .5 .5 .5 .75")
        with pytest.raises(InputError, match=r"has no images: give the data set or"):
            read_proposals(tmp_path, "yolo")
        (tmp_path / "images").symlink_to(sample.photos)
        got = read_proposals(tmp_path / "data.yaml" if (tmp_path / "data.yaml").exists() else tmp_path, "yolo")
        found = {Path(image.source or "").name: image for image in got.values()}
        assert found["c.png"].boxes_xyxy.tolist() == [[7.5, 5, 22.5, 15], [0, 0, 30, 20]]
        assert len(found["a.png"]) == 0
        assert got.notes == ("left out the 2 classes: proposals have none",)
        assert got.numbered

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("0 1 2 3", "line 1 has 4 columns"),
            ("0 a 2 3 4", "not a number"),
            ("0 nan .5 .5 .5 .5", "finite"),
            ("\n0 12 12 20 20", r"line 2 is in pixels: the numbers of a label file are fractions"),
            ("0 12 12 20 12 20 20", "is in pixels"),
            (".5 .5 .1 .1 .9", r"has the class \.5, which is no whole number"),
            ("0 .5 .5 .1 .1 17", "has 17 in the place of the score, as if it were the number of a track"),
            ("0 .5 .5 .1 .1" + " .5 .5 2" * 17, "has 56 columns, an outline or a box with key points"),
            ("0 .5 .5 .1 .1 .5 .5 2", "has 8 columns, an outline or a box with key points"),
        ],
    )
    def test_bad_lines(self, sample: Any, tmp_path: Path, line: str, says: str) -> None:
        put(tmp_path / "a.txt", line)
        with pytest.raises(InputError, match=says):
            read_proposals(tmp_path, "yolo", image_index=index_images(images=sample.photos))

    def test_outlines_and_key_points(self, sample: Any, tmp_path: Path) -> None:
        put(tmp_path / "c.txt", "0 .5 .5 1 .5 1 1\n0 0 0 .5 0 .5 .5 0 .5 .75")
        with pytest.raises(InputError, match="has no score, but others have"):
            read_proposals(tmp_path, "yolo", image_index=index_images(images=sample.photos))
        put(tmp_path / "c.txt", "0 .5 .5 1 .5 1 1\n1 0 0 .5 0 .5 .5 0 .5")
        got = read_proposals(tmp_path, "yolo", image_index=index_images(images=sample.photos))
        found = {Path(image.source or "").name: image for image in got.values()}
        assert found["c.png"].boxes_xyxy.tolist() == [[15, 10, 30, 20], [0, 0, 15, 10]]
        assert "took the boxes around 2 outlines" in got.notes
        put(tmp_path / "pose" / "data.yaml", "train: images\nkpt_shape: [2, 3]\n")
        put(tmp_path / "pose" / "labels" / "c.txt", "0 .5 .5 1 1 .5 .5 2 0 0 0\n")
        got = read_proposals(tmp_path / "pose", "yolo", image_index=index_images(images=sample.photos))
        found = {Path(image.source or "").name: image for image in got.values()}
        assert found["c.png"].boxes_xyxy.tolist() == [[0, 0, 30, 20]]
        assert "left out the key points" in got.notes

    def test_labels_without_image(self, sample: Any, tmp_path: Path) -> None:
        put(tmp_path / "z.txt", "0 .5 .5 .5 .5")
        with pytest.raises(InputError, match=r"z\.txt belongs to no image"):
            read_proposals(tmp_path, "yolo", image_index=index_images(images=sample.photos))

    def test_unknown_sizes_and_foreign_labels(self, sample: Any, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"size of 1 images, a\.jpg among them, is unknown"):
            yolo.write(tmp_path, ProposalSet({1: Proposals([], [], (0, 0), "a.jpg")}))
        put(tmp_path / "labels" / "old.txt", "")
        with pytest.raises(InputError, match=r"labels of other images \(old\.txt"):
            yolo.write(tmp_path, sample.proposals)


class TestCsv:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        csv_rows.write(tmp_path / "a.csv", sample.proposals)
        with (tmp_path / "a.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert ",".join(rows[0]) == "image_id,path,width,height,x_min,y_min,x_max,y_max,score,rank,logit,level"
        assert [
            rows[0][key] for key in ("image_id", "width", "height", "x_min", "y_max", "rank", "logit", "level")
        ] == [
            *("7", "64", "48", "1.25", "8", "1", "2", "2"),
        ]
        assert len(rows) == 3
        assert (tmp_path / "a.images.csv").read_text().splitlines()[2].startswith("3,")

    def test_supervision(self, tmp_path: Path) -> None:
        path = put(tmp_path / "a.csv", "x_min,y_min,x_max,y_max,class_id,confidence,tracker_id\n1,2,3,4,0,0.5,\n")
        assert read_proposals(path, "csv")[1].boxes_xyxy.tolist() == [[1, 2, 3, 4]]

    def test_deepforest_and_retinanet(self, tmp_path: Path) -> None:
        path = put(tmp_path / "a.csv", "image_path,xmin,ymin,xmax,ymax,label\nb/a.jpg,1,2,3,4,Tree\n")
        assert read_proposals(path, "csv")[1].source == "b/a.jpg"
        path = put(tmp_path / "a.csv", "path,x1,y1,x2,y2,class\na.jpg,1,2,3,4,x\nb.jpg,1,2,3,4,x\n")
        assert [image.source for image in read_proposals(path, "csv").values()] == ["a.jpg", "b.jpg"]

    def test_open_images_are_fractions(self, sample: Any, tmp_path: Path) -> None:
        path = put(
            tmp_path / "a.csv",
            "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\nc,xclick,/m/0,0.5,0.5,1,0,0.5\n",
        )
        with pytest.raises(InputError, match="fractions of images, and the size of c is unknown"):
            read_proposals(path, "csv")
        got = read_proposals(path, "csv", image_index=index_images(data=sample.data))
        assert got[12].boxes_xyxy.tolist() == [[15, 0, 30, 10]]

    def test_ids_stay_text_where_one_is(self, tmp_path: Path) -> None:
        path = put(tmp_path / "a.csv", "image_id,x1,y1,x2,y2\n007,1,2,3,4\n8,1,2,3,4\n")
        assert list(read_proposals(path, "csv")) == ["007", "8"]


class TestParquet:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        pq = pytest.importorskip("pyarrow.parquet")
        parquet.write(tmp_path / "a.parquet", sample.proposals)
        table = pq.read_table(tmp_path / "a.parquet")
        assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
            **{"image_id": "int64", "rank": "int32", "x1": "float", "y1": "float", "x2": "float", "y2": "float"},
            **{"score": "float", "logit": "float", "level": "int16"},
        }
        assert table.column("image_id").to_pylist() == [7, 7, 12], "sorted by image and rank"
        assert table.column("rank").to_pylist() == [1, 2, 1]
        assert table.schema.metadata == {b"objectness.model": b"small", b"objectness.code": "1.0 é".encode()}
        chunk = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0)
        assert chunk.compression == "ZSTD"
        images = pq.read_table(tmp_path / "a.images.parquet").to_pylist()
        assert [(row["image_id"], row["width"], row["height"], row["proposals"]) for row in images] == [
            *((7, 64, 48, 2), (3, 64, 48, 0), (12, 30, 20, 1)),
        ]

    def test_text_ids_and_partly_known_columns(self, tmp_path: Path) -> None:
        pytest.importorskip("pyarrow")
        one = Proposals([[0, 0, 1, 1]], [0.5], (0, 0))
        found = ProposalSet({"b": one, "a": one, "9": one}, {"a": [1.5]}, {"b": [4]})
        parquet.write(tmp_path / "a.parquet", found)
        got = read_proposals(tmp_path / "a.parquet", "parquet")
        assert list(got) == ["b", "a", "9"]
        assert (got.logits["a"].tolist(), got.levels["b"].tolist()) == ([1.5], [4])
        assert set(got.logits) == {"a"}
        assert got["a"].size_hw == (0, 0)

    def test_rows_of_other_tools(self, tmp_path: Path) -> None:
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        rows = {"image_id": [2, 1, 2], "x1": [0, 0, 1], "y1": [0, 0, 1], "x2": [1, 1, 2], "y2": [1, 1, 2]}
        pq.write_table(pa.table({**rows, "rank": [2, 1, 1]}), tmp_path / "a.parquet")
        got = read_proposals(tmp_path / "a.parquet", "parquet")
        assert list(got) == [2, 1]
        assert got[2].boxes_xyxy.tolist() == [[1, 1, 2, 2], [0, 0, 1, 1]]
        assert got.notes == ("the file has no scores: its order stands for them",)
        pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
        with pytest.raises(InputError, match="no column 'image_id'"):
            read_proposals(tmp_path / "a.parquet", "parquet")


class TestDetectron:
    def test_written_as_detectron2_reads_it(self, sample: Any, tmp_path: Path) -> None:
        detectron2.write(tmp_path / "a.pkl", sample.proposals)
        document = pickle.loads((tmp_path / "a.pkl").read_bytes())
        assert set(document) == {"boxes", "objectness_logits", "ids", "bbox_mode"}
        assert (document["ids"], document["bbox_mode"]) == ([7, 3, 12], 0)
        assert document["boxes"][0].tolist() == [[1.25, 2.5, 4.75, 8], [0, 0, 64, 48]]
        assert document["objectness_logits"][0].tolist() == [2, -1.5]
        assert (document["boxes"][1].shape, document["objectness_logits"][1].shape) == ((0, 4), (0,))

    def test_scores_become_logits(self, tmp_path: Path) -> None:
        scores = [1.0, 0.75, 0.5, 0.0]
        detectron2.write(tmp_path / "a.pkl", ProposalSet({1: Proposals(np.zeros((4, 4)), scores, (1, 1))}))
        logits = pickle.loads((tmp_path / "a.pkl").read_bytes())["objectness_logits"][0]
        assert logits[1:3] == pytest.approx([np.log(3), 0])
        assert np.isfinite(logits).all()
        assert (np.diff(logits) < 0).all()
        assert read_proposals(tmp_path / "a.pkl", "detectron2")[1].scores == pytest.approx(scores, abs=1e-6)

    def test_saturated_logits_keep_their_order(self, tmp_path: Path) -> None:
        document = {
            "boxes": [np.eye(4) * [1, 1, 2, 2]],
            "objectness_logits": [np.array([50.0, 90, 70, 60])],
            "ids": ["x"],
        }
        path = put(tmp_path / "a.pkl", pickle.dumps(document))
        with pytest.raises(InputError, match="negative side"):
            read_proposals(path, "detectron2")
        document["boxes"] = [np.array([[0, 0, n, n] for n in range(4)])]
        got = read_proposals(put(path, pickle.dumps(document)), "detectron2")
        assert got["x"].scores.tolist() == [1, 1, 1, 1]
        assert got.logits["x"].tolist() == [90, 70, 60, 50]
        assert got["x"].boxes_xyxy[:, 2].tolist() == [1, 2, 3, 0]

    def test_logits_that_no_float32_holds(self, tmp_path: Path) -> None:
        document = {"boxes": [np.zeros((1, 4))], "objectness_logits": [np.array([np.inf])], "ids": [1]}
        with pytest.raises(InputError, match="has the score nan, which is not a finite number"):
            read_proposals(put(tmp_path / "a.pkl", pickle.dumps(document)), "detectron2")
        document["objectness_logits"] = [np.array([1e300])]
        got = read_proposals(put(tmp_path / "a.pkl", pickle.dumps(document)), "detectron2")
        assert (got[1].scores.tolist(), dict(got.logits)) == ([1], {})

    def test_widths_and_heights(self, tmp_path: Path) -> None:
        document = {"boxes": [np.array([[1, 2, 3, 4]])], "objectness_logits": [[0]], "ids": [1], "bbox_mode": 1}
        assert read_proposals(put(tmp_path / "a.pkl", pickle.dumps(document)), "detectron2")[1].boxes_xyxy.tolist() == [
            [1, 2, 4, 6]
        ]
        document["bbox_mode"] = 4
        with pytest.raises(InputError, match="bbox_mode is 4"):
            read_proposals(put(tmp_path / "a.pkl", pickle.dumps(document)), "detectron2")

    def test_the_first_counts_the_last_pixel_in(self, tmp_path: Path) -> None:
        document = {"boxes": [np.array([[0, 0, 9, 19]])], "scores": [np.array([0.5])], "indexes": [4], "cfg": "x"}
        got = read_proposals(put(tmp_path / "a.pkl", pickle.dumps(document, protocol=2)), "detectron1")
        assert got[4].boxes_xyxy.tolist() == [[0, 0, 10, 20]]
        detectron1.write(tmp_path / "b.pkl", got)
        assert pickle.loads((tmp_path / "b.pkl").read_bytes())["boxes"][0].tolist() == [[0, 0, 9, 19]]

    @pytest.mark.parametrize(
        ("document", "says"),
        [
            ([], "holds a list"),
            ({"ids": [1]}, "no list 'boxes'"),
            ({"boxes": [], "objectness_logits": []}, "no list 'ids'"),
            ({"ids": [1], "boxes": [], "objectness_logits": []}, "do not have the same length"),
            ({"ids": [1.5], "boxes": [[]], "objectness_logits": [[]]}, "image id 1.5 is no whole number"),
            ({"ids": [1], "boxes": [[[0, 0, 1, 1]]], "objectness_logits": [[]]}, "holds 0 values for 1 boxes"),
            ({"ids": [1, 1], "boxes": [[], []], "objectness_logits": [[], []]}, "image 1 is there twice"),
        ],
    )
    def test_other_contents(self, tmp_path: Path, document: Any, says: str) -> None:
        with pytest.raises(InputError, match=says):
            read_proposals(put(tmp_path / "a.pkl", pickle.dumps(document)), "detectron2")


class TestMmdetection:
    def test_three(self, sample: Any, tmp_path: Path) -> None:
        mmdet3.write(tmp_path / "a.pkl", sample.proposals)
        document = pickle.loads((tmp_path / "a.pkl").read_bytes())
        assert list(document) == ["photos/a.png", "photos/b.png", "photos/c.png"]
        assert document["photos/a.png"]["bboxes"].tolist() == [[1.25, 2.5, 4.75, 8], [0, 0, 64, 48]]
        assert document["photos/a.png"]["scores"] == pytest.approx(S7)
        assert document["photos/b.png"]["bboxes"].shape == (0, 4)
        with pytest.raises(InputError, match="image 5 has none"):
            mmdet3.write(tmp_path / "a.pkl", ProposalSet({5: Proposals([], [], (1, 1))}))

    def test_two(self, sample: Any, tmp_path: Path) -> None:
        mmdet2.write(tmp_path / "a.pkl", sample.proposals)
        document = pickle.loads((tmp_path / "a.pkl").read_bytes())
        assert [array.shape for array in document] == [(2, 5), (0, 5), (1, 5)]
        assert document[2][0, :4] == pytest.approx([10.1, 5.3, 29.9, 19.7])
        with pytest.raises(InputError, match=r"lists the boxes of 3 images and names none; give the data set"):
            read_proposals(tmp_path / "a.pkl", "mmdet2")
        put(tmp_path / "b.pkl", pickle.dumps(document[:2]))
        with pytest.raises(InputError, match=r"boxes of 2 images, but .* has 3"):
            read_proposals(tmp_path / "b.pkl", "mmdet2", image_index=index_images(data=sample.data))

    def test_two_without_scores(self, sample: Any, tmp_path: Path) -> None:
        bare = [np.array([[0, 0, 9, 9], [1, 1, 4, 4]]), np.empty((0, 4)), [[1.0, 2, 3, 4]]]
        put(tmp_path / "a.pkl", pickle.dumps(bare))
        got = read_proposals(tmp_path / "a.pkl", "mmdet2", image_index=index_images(data=sample.data))
        assert got[7].boxes_xyxy.tolist() == [[0, 0, 9, 9], [1, 1, 4, 4]]
        assert [len(image) for image in got.values()] == [2, 0, 1]
        assert got.notes == ("the file has no scores: its order stands for them",)
        put(tmp_path / "a.pkl", pickle.dumps([*bare[:2], [[1.0, 2, 3, 4, 0.5]]]))
        with pytest.raises(InputError, match="has no score, but others have"):
            read_proposals(tmp_path / "a.pkl", "mmdet2", image_index=index_images(data=sample.data))


class TestMat:
    def test_selective_search(self, sample: Any, tmp_path: Path) -> None:
        scipy = pytest.importorskip("scipy.io")
        selective_search.write(tmp_path / "a.mat", sample.proposals)
        document = scipy.loadmat(tmp_path / "a.mat")
        cells = document["boxes"].ravel()
        # As py-faster-rcnn does: to x1, y1, x2, y2 counted from 0, the last pixel in.
        assert (cells[0][:, (1, 0, 3, 2)] - 1).tolist() == [[1.25, 2.5, 3.75, 7], [0, 0, 63, 47]]
        assert [cell[0] for cell in document["images"].ravel()] == ["a", "b", "c"]

    def test_the_published_files_have_no_scores(self, sample: Any, tmp_path: Path) -> None:
        scipy = pytest.importorskip("scipy.io")
        boxes = np.empty((1, 3), dtype=object)
        boxes[0] = [np.array([[1, 2, 3, 4]], np.uint16), np.empty((0, 4)), np.array([[1, 1, 9, 9], [2, 2, 9, 9]])]
        scipy.savemat(tmp_path / "a.mat", {"boxes": boxes})
        with pytest.raises(InputError, match="no 'images' with their names; give the data set"):
            read_proposals(tmp_path / "a.mat", "selective-search")
        got = read_proposals(tmp_path / "a.mat", "selective-search", image_index=index_images(data=sample.data))
        assert got[7].boxes_xyxy.tolist() == [[1, 0, 4, 3]]
        assert got[12].scores.tolist() == [1, 0.5]

    def test_hosang(self, sample: Any, tmp_path: Path) -> None:
        scipy = pytest.importorskip("scipy.io")
        hosang.write(tmp_path, sample.proposals)
        document = scipy.loadmat(tmp_path / "a" / "a.mat")
        assert document["boxes"].tolist() == [[2.25, 3.5, 4.75, 8], [1, 1, 64, 48]]
        assert document["num_candidates"].item() == 2
        (tmp_path / "2007").mkdir()
        scipy.savemat(
            tmp_path / "2007" / "2007_01.mat", {"boxes": [[1, 1, 9, 9], [1, 1, 4, 4]], "scores": [[0.1], [0.7]]}
        )
        (tmp_path / "a" / "a.mat").unlink()
        got = {image.source: image for image in read_proposals(tmp_path, "hosang").values()}
        assert got["2007_01"].boxes_xyxy.tolist() == [[0, 0, 4, 4], [0, 0, 9, 9]]

    def test_whatever_scipy_writes_is_read(self, tmp_path: Path) -> None:
        scipy = pytest.importorskip("scipy.io")
        cells = np.empty((2, 2), dtype=object)
        cells[:] = [[np.arange(4.0), "é" * 9], [np.empty((0, 4)), np.array([["ab"]])]]
        values = {
            **{f"a{kind}": np.arange(6).reshape(2, 3).astype(kind) for kind in ("f4", "f8", "i1", "u2", "i4", "u8")},
            **{"one": 7, "text": "a text", "cells": cells, "empty": [], "three": np.arange(24.0).reshape(2, 3, 4)},
        }
        for compressed in (False, True):
            scipy.savemat(tmp_path / "a.mat", values, do_compression=compressed)
            got = load_mat(tmp_path / "a.mat", list(values))
            want = scipy.loadmat(tmp_path / "a.mat")
            assert set(got) == set(values)
            for name in set(values) - {"cells", "text"}:
                np.testing.assert_array_equal(got[name], want[name])
            assert got["text"] == "a text"
            first, second, third, fourth = got["cells"]
            assert (first.tolist(), second.shape, third, fourth) == ([[0, 1, 2, 3]], (0, 4), "é" * 9, "ab")

    def test_what_we_write_scipy_reads(self, tmp_path: Path) -> None:
        scipy = pytest.importorskip("scipy.io")
        with (tmp_path / "a.mat").open("wb") as file:
            save_mat(file, {"a": np.arange(6).reshape(2, 3), "b": ["x", "é", np.empty((0, 4))], "c": "text"})
        got = scipy.loadmat(tmp_path / "a.mat")
        assert got["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert [cell[0] for cell in got["b"].ravel()[:2]] == ["x", "é"]
        assert got["b"][2, 0].shape == (0, 4)
        assert got["c"].tolist() == ["text"]

    def test_bombs_and_other_files(self, tmp_path: Path) -> None:
        put(tmp_path / "a.mat", b"MATLAB 7.3 MAT-file")
        with pytest.raises(InputError, match=r"version 7\.3: save it again"):
            read_proposals(tmp_path / "a.mat", "selective-search")
        with (tmp_path / "a.mat").open("wb") as file:
            save_mat(file, {"boxes": [np.zeros((0, 4))]})
        bomb = zlib.compress(bytes(10**6), 9)
        with (tmp_path / "a.mat").open("r+b") as file:
            file.seek(128)
            file.write(struct.pack("<II", 15, len(bomb)) + bomb)
        with pytest.raises(InputError, match=r"damaged \.mat file: it has contents that unfold without bound"):
            read_proposals(tmp_path / "a.mat", "selective-search")


class TestLabelStudio:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        label_studio.write(tmp_path / "a.json", sample.proposals)
        tasks = json.loads((tmp_path / "a.json").read_text())
        assert len(tasks) == 3
        data, prediction = tasks[0]["data"], tasks[0]["predictions"][0]
        path = str(sample.photos / "a.png")
        assert data == {
            **{"image": f"/data/local-files/?d={path[1:]}", "path": path},
            **{"image_id": 7, "width": 64, "height": 48},
        }
        assert (prediction["model_version"], prediction["score"]) == ("small", pytest.approx(S7[0]))
        region = prediction["result"][0]
        assert region["value"] == {
            **{"x": 100 * 1.25 / 64, "y": 100 * 2.5 / 48, "width": 100 * 3.5 / 64, "height": 100 * 5.5 / 48},
            **{"rotation": 0, "rectanglelabels": ["object"]},
        }
        assert [region[key] for key in ("type", "from_name", "to_name", "original_width", "original_height")] == [
            *("rectanglelabels", "label", "image", 64, 48),
        ]
        ids = [item["id"] for task in tasks for item in task["predictions"][0]["result"]]
        assert len(set(ids)) == len(ids) == 3

    def test_annotations_of_people(self, tmp_path: Path) -> None:
        value = {"x": 50, "y": 0, "width": 50, "height": 100, "rectanglelabels": ["cat"]}
        region = {"type": "rectanglelabels", "original_width": 20, "original_height": 10, "value": value}
        others = [{"type": "choices", "value": {}}]
        task = {"id": 1, "data": {"image": "https://a.b/c.jpg"}, "annotations": [{"result": [region, *others]}, {}]}
        got = read_proposals(put(tmp_path / "a.json", [task]), "label-studio")
        assert got[1].boxes_xyxy.tolist() == [[10, 0, 20, 10]]
        assert (got[1].source, got[1].size_hw) == ("https://a.b/c.jpg", (10, 20))
        assert got.notes[:2] == (
            "left out 1 further predictions or annotations of a task",
            "left out 1 regions that are no rectangles",
        )


class TestCvat:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        cvat.write(tmp_path / "a.xml", sample.proposals)
        root = ElementTree.parse(tmp_path / "a.xml").getroot()
        assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
        images = root.findall("image")
        assert images[2].attrib == {"id": "2", "name": "c.png", "width": "30", "height": "20"}
        box = images[0].find("box")
        assert box is not None
        assert box.attrib == {
            **{"label": "object", "source": "auto", "occluded": "0", "z_order": "0"},
            **{"xtl": "1.25", "ytl": "2.5", "xbr": "4.75", "ybr": "8.0"},
        }
        attribute = box.find("attribute")
        assert attribute is not None
        assert attribute.get("name") == "score"
        assert float(attribute.text or "") == pytest.approx(S7[0])

    def test_names_with_signs_of_xml(self, tmp_path: Path) -> None:
        name = "a<&>\"'é.jpg"
        cvat.write(tmp_path / "a.xml", ProposalSet({1: Proposals([], [], (1, 1), name)}))
        assert read_proposals(tmp_path / "a.xml", "cvat")[1].source == name
        with pytest.raises(InputError, match="letters that XML cannot hold"):
            cvat.write(tmp_path / "a.xml", ProposalSet({1: Proposals([], [], (1, 1), "a\x01.jpg")}))

    def test_entity_bombs_are_refused(self, tmp_path: Path) -> None:
        laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
        bomb = (
            f'<?xml version="1.0"?><!DOCTYPE annotations [<!ENTITY l0 "lol">{laughs}]><annotations>&l9;</annotations>'
        )
        with pytest.raises(InputError, match="DOCTYPE, which is refused"):
            read_proposals(put(tmp_path / "a.xml", bomb), "cvat")
        outside = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>'
        with pytest.raises(InputError, match="DOCTYPE"):
            read_proposals(put(tmp_path / "a.xml", outside), "cvat")


class TestFiftyOne:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        fiftyone.write(tmp_path, sample.proposals)
        document = json.loads((tmp_path / "labels.json").read_text())
        assert document["classes"] == ["object"]
        assert document["labels"]["b"] == []
        assert document["labels"]["a"][0] == {
            "label": 0,
            "bounding_box": [1.25 / 64, 2.5 / 48, 3.5 / 64, 5.5 / 48],
            "confidence": pytest.approx(S7[0]),
        }

    def test_sizes_come_from_the_images_beside(self, sample: Any, tmp_path: Path) -> None:
        put(tmp_path / "labels.json", {"labels": {"c": [{"label": "x", "bounding_box": [0.5, 0, 0.5, 1]}], "b": None}})
        with pytest.raises(InputError, match="size of 'c' is unknown"):
            read_proposals(tmp_path, "fiftyone")
        (tmp_path / "data").symlink_to(sample.photos)
        got = read_proposals(tmp_path, "fiftyone")
        assert got[1].boxes_xyxy.tolist() == [[15, 0, 30, 20]]
        assert got[2].size_hw == (48, 64)


class TestGeoJson:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        geojson.write(tmp_path / "a.geojson", sample.proposals)
        document = json.loads((tmp_path / "a.geojson").read_text())
        assert document["type"] == "FeatureCollection"
        feature = document["features"][0]
        ring = [[1.25, 2.5], [4.75, 2.5], [4.75, 8], [1.25, 8], [1.25, 2.5]]
        assert feature["geometry"] == {"type": "Polygon", "coordinates": [ring]}
        assert feature["properties"]["rank"] == 1
        assert feature["properties"]["measurements"]["score"] == pytest.approx(S7[0])

    def test_polygons_of_others(self, tmp_path: Path) -> None:
        ring = [[0, 0, 7], [4, 2, 7], [1, 5, 7], [0, 0, 7]]
        feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": None}
        got = read_proposals(
            put(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": [feature]}), "geojson"
        )
        assert got[1].boxes_xyxy.tolist() == [[0, 0, 4, 5]]
        assert got.notes[0] == "took the box around 1 outlines that are no upright rectangles"


class TestHuggingFace:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        huggingface.write(tmp_path / "a.json", sample.proposals)
        document = json.loads((tmp_path / "a.json").read_text())
        first = document[0]
        assert [first[key] for key in ("image_id", "width", "height")] == [7, 64, 48]
        assert first["objects"][0] == {
            "score": pytest.approx(S7[0]),
            "label": "object",
            "box": {"xmin": 1.25, "ymin": 2.5, "xmax": 4.75, "ymax": 8.0},
        }

    def test_what_pipelines_and_servers_give(self, sample: Any, tmp_path: Path) -> None:
        objects = [
            {"score": s, "label": "cat", "box": {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}} for s in (0.5, 0.9)
        ]
        one = read_proposals(put(tmp_path / "a.json", objects), "huggingface")
        assert one[1].scores.tolist() == [np.float32(0.9), 0.5]
        path = put(tmp_path / "a.json", [objects, [], objects[:1]])
        with pytest.raises(InputError, match="names no image; give the data set"):
            read_proposals(path, "huggingface")
        several = read_proposals(path, "huggingface", image_index=index_images(data=sample.data))
        assert [len(several[image_id]) for image_id in (7, 3, 12)] == [2, 0, 1]
        server = {"image": {"width": 64, "height": 48}, "proposals": [{"box": [1, 2, 3, 4], "score": 0.25}]}
        got = formats.read_proposals(put(tmp_path / "a.json", server))
        assert (got[1].size_hw, got[1].scores.tolist()) == ((48, 64), [0.25])


class TestSam:
    def test_written(self, sample: Any, tmp_path: Path) -> None:
        sam.write(tmp_path / "a.json", sample.proposals)
        document = json.loads((tmp_path / "a.json").read_text())
        assert list(document[0]) == ["image_id", "image", "width", "height", "boxes", "scores"]
        assert [document[0][key] for key in ("image_id", "width", "height")] == [7, 64, 48]
        boxes = np.array(document[0]["boxes"], dtype=np.float32)  # what SAM2ImagePredictor.predict(box=...) takes
        assert boxes.shape == (2, 4)
        assert boxes[0].tolist() == [1.25, 2.5, 4.75, 8.0]
        assert document[0]["scores"] == pytest.approx(S7)
        assert [one["boxes"] for one in document].count([]) == 1, "an image without boxes has its place"

    def test_read_without_scores_and_sizes(self, tmp_path: Path) -> None:
        path = put(tmp_path / "a.json", [{"image": "a.jpg", "boxes": [[1, 2, 3, 4], [0, 0, 2.5, 2]]}])
        got = formats.read_proposals(path)
        assert got[1].boxes_xyxy.tolist() == [[1, 2, 3, 4], [0, 0, 2.5, 2]]
        assert got[1].scores.tolist() == [1, 0.5]
        assert (got[1].source, got[1].size_hw) == ("a.jpg", (0, 0))

    @pytest.mark.parametrize(
        ("document", "says"),
        [
            ({"image": "a.jpg", "boxes": []}, "holds a JSON object, but a list of images"),
            ([{"image": "a.jpg"}], "entry 1 is no image with 'boxes'"),
            ([{"boxes": [[1, 2, 3]]}], "box 1 of entry 1 is no list of four numbers"),
            ([{"boxes": [[1, 2, 3, 4]], "scores": []}], "has 1 boxes, but as 'scores' 0; give one for each"),
            ([{"boxes": [[1, 2, 3, 4]], "scores": 0.5}], "has 1 boxes, but as 'scores' a number"),
            ([{"boxes": [[1, 2, 3, 4]], "scores": ["x"]}], "box 1 of entry 1 has the score 'x'"),
        ],
    )
    def test_refused(self, document: Any, says: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=says):
            read_proposals(put(tmp_path / "a.json", document), "sam")
