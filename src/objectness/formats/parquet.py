"""Parquet: the format for large sets, which holds everything.

Two tables, both zstd: ``proposals.parquet``, one row a proposal, sorted by image_id and rank, and
``proposals.images.parquet``, one row an image, so that images without proposals are not lost. The set's metadata
is the metadata of both files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing_bytes
from objectness.files.untrusted import regular_file
from objectness.formats.core.classes import Labels, all_names
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Signature
from objectness.formats.core.spec import Capabilities, FileNames, Format, Ids, need_module
from objectness.proposal_set import ImageId, ProposalSet
from objectness.proposals import images_path

_CORNERS = ("x1", "y1", "x2", "y2")
_NAMES = ("path", "file_name", "filename", "image_path")  # in files of other tools; ours are in the table of the images
_CLASS = {"class_name", "class_id"}
_PREFIX = "objectness."
# A value that repeats takes next to nothing in the file, so rows and bytes are bounded before they are decoded.
_MOST_ROWS = 1 << 19  # in a file of any size; beyond, each row must have two bytes of the file
_MOST_UNPACKED = 1 << 28  # bytes, in a file of any size; beyond ...
_MOST_TIMES = 20  # ... numbers do not shrink to less
_LONGEST_ID = 1 << 12
_BATCH_ROWS = 1 << 16


def parse(path: Path, _: object = None) -> ParsedFile:
    """Read the table, and that of the images where it lies beside; without scores the order counts.

    Raises:
        InputError: pyarrow is not installed; the file is no such table.
    """
    need_module("pyarrow", "tables", "Parquet")
    table, metadata = _load(path, {"image_id", *_CORNERS}, {"score", "logit", "level", "rank", *_CLASS, *_NAMES})
    beside = images_path(path)
    builder = FileBuilder(path)
    if beside.is_file():
        listed, more = _load(beside, {"image_id"}, {"path", "width", "height"})
        metadata = {**more, **metadata}
        for row in _records(beside, listed):
            image_id = _image_id(beside, row["image_id"])
            builder.image(image_id, image_id, _name(beside, row.get("path")), json_values.size_hw(row))
    boxes = np.stack([_floats(path, corner, table) for corner in _CORNERS], axis=1)
    scores, logits, levels, rank = (_floats(path, name, table) for name in ("score", "logit", "level", "rank"))
    named = next((column for column in _NAMES if column in table.column_names), None)
    which, names = _encoded(path, named, table) if named else (np.empty(0, np.int64), [])
    classes = _class_numbers(path, table, builder)
    for image_id, rows in _rows_by_image(path, table):
        for index in np.unique(which[rows]).tolist() if named else ():
            builder.image(image_id, image_id, _name(path, names[index]))
        if np.isfinite(rank[rows]).all():
            rows = rows[np.argsort(rank[rows], kind="stable")]
        builder.image(image_id, image_id).extend(
            boxes[rows],
            scores[rows] if "score" in table.column_names else None,
            logits=logits[rows],
            levels=levels[rows],
            classes=classes[rows],
        )
    return builder.finish("row", metadata)


def write(path: Path, proposals: ProposalSet, labels: Labels | None = None) -> None:
    """Write both tables.

    Raises:
        InputError: pyarrow is not installed; the place cannot be written to.
    """
    need_module("pyarrow", "tables", "Parquet")
    import pyarrow as pa

    text = any(isinstance(image_id, str) or not -(2**63) <= image_id < 2**63 for image_id in proposals)
    id_type = pa.string() if text else pa.int64()
    ids = [str(image_id) if text else image_id for image_id in proposals]
    sources = [found.source for found in proposals.values()]
    metadata = {_PREFIX + key: value for key, value in proposals.metadata.items()}
    _need_text(path, [*(ids if text else ()), *sources, *metadata, *metadata.values(), *all_names(labels)])
    sizes = [found.size_hw if min(found.size_hw) > 0 else (None, None) for found in proposals.values()]
    images = {
        "image_id": pa.array(ids, id_type),
        "path": pa.array(sources, pa.string()),
        "width": pa.array([width for _, width in sizes], pa.int32()),
        "height": pa.array([height for height, _ in sizes], pa.int32()),
        "proposals": pa.array([len(found) for found in proposals.values()], pa.int32()),
    }
    order = sorted(proposals, key=str if text else lambda image_id: image_id)
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(proposals[key].boxes_xyxy for key in order)])
    scores = np.concatenate([np.empty(0, np.float32), *(proposals[key].scores for key in order)])
    counts = [len(proposals[key]) for key in order]
    repeated = [str(key) for key in order for _ in range(len(proposals[key]))] if text else np.repeat(order, counts)
    rank = np.concatenate([np.empty(0, np.int32), *(np.arange(1, count + 1, dtype=np.int32) for count in counts)])
    rows = {
        "image_id": pa.array(repeated, id_type),
        "rank": pa.array(rank, pa.int32()),
        **{corner: pa.array(boxes[:, column], pa.float32()) for column, corner in enumerate(_CORNERS)},
        "score": pa.array(scores, pa.float32()),
        "logit": _sparse(proposals, proposals.logits, order).cast(pa.float32()),
        "level": _sparse(proposals, proposals.levels, order).cast(pa.int16()),
    }
    if labels is not None:
        numbers = np.concatenate([np.empty(0, np.int64), *(labels.by_image[key] for key in order)])
        rows["class_id"] = pa.array(numbers, pa.int32())
        rows["class_name"] = pa.DictionaryArray.from_arrays(
            pa.array(numbers, pa.int32()), pa.array(labels.names, pa.string())
        )
    _save(images_path(path), pa.table(images).replace_schema_metadata(metadata))
    _save(path, pa.table(rows).replace_schema_metadata(metadata))


def _class_numbers(path: Path, table: Any, builder: FileBuilder) -> NDArray[np.int64]:
    """The number of each row's class ``(N,)``; -1 where it has none."""
    names, ids = (name if name in table.column_names else None for name in ("class_name", "class_id"))
    empty = (np.zeros(table.num_rows, np.int64), [None])
    which, words = _encoded(path, names, table) if names else empty
    number, positions = _encoded(path, ids, table) if ids else empty
    pairs, rows = np.unique(np.stack([which, number]), axis=1, return_inverse=True)
    found = [
        builder.class_number(_name(path, words[word]), position=_position(positions[place]))
        for word, place in pairs.T.tolist()
    ]
    return np.array(found, dtype=np.int64)[rows.reshape(-1)] if found else np.empty(0, np.int64)


def _position(given: Any) -> int | None:
    position = json_values.image_id(given)
    return position if isinstance(position, int) else None


def _sparse(proposals: ProposalSet, columns: Mapping[ImageId, NDArray[Any]], order: list[ImageId]) -> Any:
    """One float64 column over all images, null where an image has none."""
    import pyarrow as pa

    given = [columns.get(image_id) for image_id in order]
    counts = [len(proposals[image_id]) for image_id in order]
    unknown = np.repeat([column is None for column in given], counts)
    filled = [np.zeros(count) if column is None else column for column, count in zip(given, counts, strict=True)]
    values = np.concatenate([np.empty(0), *filled])
    return pa.array(values, pa.float64(), mask=unknown.astype(bool))


def _save(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    with replacing_bytes(path) as file:
        pq.write_table(table, file, compression="zstd")


def _load(path: Path, needed: set[str], wanted: set[str]) -> tuple[Any, dict[str, str]]:
    """The columns that count, and our part of the file's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with regular_file(path).open("rb") as file:
            footer = pq.read_metadata(file)
            _refuse_bombs(path, footer)
            schema = footer.schema.to_arrow_schema()
            present = _flat_columns(path, schema, needed | wanted)
            text = [
                name for name in ("image_id", "class_name", *_NAMES) if name in present
            ]  # held once where it repeats
            opened = pq.ParquetFile(file, metadata=footer, read_dictionary=text)
            table = _decoded(path, opened, sorted(present & (needed | wanted)))
            said = schema.metadata or {}
    except OSError as error:  # which pyarrow raises for a damaged file as well
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except InputError:
        raise
    except (pa.ArrowException, ValueError, TypeError, OverflowError, MemoryError, KeyError) as error:
        raise InputError(f"{path} is no Parquet file that can be read ({error}).") from None
    missing = sorted(needed - present)
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}: it is no table of proposals.")
    metadata = {
        key.decode("utf-8", "replace").removeprefix(_PREFIX): value.decode("utf-8", "replace")
        for key, value in said.items()
        if key.startswith(_PREFIX.encode())
    }
    return table, metadata


def _flat_columns(path: Path, schema: Any, wanted: set[str]) -> set[str]:
    """The names of the columns, of which those that count must be there once and hold plain values."""
    import pyarrow as pa

    for name in sorted(wanted):
        fields = [schema.field(index) for index in schema.get_all_field_indices(name)]
        if len(fields) > 1:
            raise InputError(f"{path} has {len(fields)} columns {name!r}: keep one of them.")
        if fields and pa.types.is_nested(fields[0].type):
            raise InputError(f"{path}: the column {name!r} holds lists or records, where one value a row is due.")
    return set(schema.names)


def _refuse_bombs(path: Path, metadata: Any) -> None:
    """Refuse a footer whose rows or bytes are unlikely for the size of the file."""
    size = path.stat().st_size
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    unpacked = sum(group.total_byte_size for group in groups)
    if rows > _MOST_ROWS + size // 2 or unpacked > _MOST_UNPACKED + _MOST_TIMES * size:
        raise InputError(
            f"{path} is not read: its {size:,} bytes would unfold into {rows:,} rows and {unpacked:,} bytes or more."
        )


def _decoded(path: Path, opened: Any, columns: list[str]) -> Any:
    """The columns, batch by batch: the number of rows in the footer need not be true."""
    import pyarrow as pa

    most = _MOST_UNPACKED + _MOST_TIMES * path.stat().st_size
    batches, total = [], 0
    for batch in opened.iter_batches(_BATCH_ROWS, columns=columns):
        total += batch.nbytes
        if total > most:
            raise InputError(f"{path} is not read: it unfolds into far more than its size.")
        batches.append(batch)
    return pa.Table.from_batches(batches) if batches else opened.read(columns=columns)


def _need_text(path: Path, words: Iterable[str | None]) -> None:
    for word in words:
        try:
            (word or "").encode()
        except UnicodeEncodeError:
            raise InputError(f"{path} cannot be written: {word!a} holds letters that Parquet cannot.") from None


def _floats(path: Path, name: str, table: Any) -> NDArray[np.float64]:
    """A column as float64, NaN where it has nothing; all NaN where there is no such column."""
    import pyarrow as pa

    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    try:
        values: NDArray[np.float64] = table.column(name).cast(pa.float64(), safe=False).to_numpy()
    except (pa.ArrowException, ValueError, TypeError):
        raise InputError(f"{path}: the column {name!r} does not hold numbers.") from None
    return values.astype(np.float64)


def _rows_by_image(path: Path, table: Any) -> Iterator[tuple[ImageId, NDArray[np.int64]]]:
    """Each image's id and the rows that are its, images in the order in which they turn up."""
    indices, ids = _encoded(path, "image_id", table)
    order = np.argsort(indices, kind="stable")
    present, starts = np.unique(indices[order], return_index=True)
    for index, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=True) if len(present) else ():
        yield _image_id(path, ids[index]), rows


def _encoded(path: Path, name: str, table: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """A column as the number of each row's value, and the values, of which the last is None: each is built once."""
    import pyarrow as pa

    try:
        column = table.column(name).unify_dictionaries().combine_chunks().dictionary_encode()
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        indices = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
        return indices, [*column.dictionary.to_pylist(), None]
    except (pa.ArrowException, ValueError, TypeError, AttributeError):
        raise InputError(f"{path}: the column {name!r} holds neither whole numbers nor text.") from None


def _records(path: Path, table: Any) -> list[dict[str, Any]]:
    """The rows of the table of images."""
    columns = {}
    for name in table.column_names:
        indices, values = _encoded(path, name, table)
        columns[name] = [values[index] for index in indices.tolist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _name(path: Path, given: Any) -> str | None:
    name = json_values.text(given)
    if name is not None and len(name) > _LONGEST_ID:
        raise InputError(f"{path}: the name of an image has {len(name):,} characters, more than any has.")
    return name


def _image_id(path: Path, given: Any) -> ImageId:
    image_id = json_values.image_id(given)
    if isinstance(image_id, str) and len(image_id) > _LONGEST_ID:
        raise InputError(f"{path}: an image_id has {len(image_id):,} characters, more than any name.")
    if image_id is None:
        raise InputError(f"{path}: the image_id {json_values.shown(given)} is no whole number and no text.")
    return image_id


FORMAT = Format(
    name="parquet",
    title="Parquet",
    suffixes=(".parquet",),
    holds=Capabilities(
        ids=Ids.ANY, names=FileNames.PATH, sizes=True, empty=True, logits=True, levels=True, metadata=True
    ),
    consumers="pandas, polars, DuckDB, Spark, Ray Data",
    signatures=(Signature(starts=b"PAR1"),),
    parse=parse,
    write=write,
    write_labelled=write,
    has_image_table=True,
    needs=("pyarrow", "tables"),
)
