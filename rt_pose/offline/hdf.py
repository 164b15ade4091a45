"""Tables that DeepLabCut keeps in HDF files, read as numbers and text into the text of the CSV beside them.

pandas and PyTables run what is pickled in such a file when they read it. Here h5py reads arrays of numbers
and of bytes, and nothing in the file is run: of a pickled list of names its literals are read (`literals`),
anything else that is pickled is refused.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.errors import UserError
from rt_pose.extras import installed, remedy
from rt_pose.offline.literals import literals

LEVEL_NAMES = {
    3: ("scorer", "bodyparts", "coords"),
    4: ("scorer", "individuals", "bodyparts", "coords"),
}
"""Header rows by their number."""
MOST_BYTES = 2**32
MOST_LEVELS = 8
INSTEAD = "write it as CSV with the program that made it (in Python `table.to_csv(...)`) and give that"
Names = list[tuple[str, ...]]


class _NoTable(ValueError):
    """What is wrong with a file."""


def is_hdf(path: Path) -> bool:
    """Check whether a file's suffix is that of HDF.

    Parameters
    ----------
    path
        The file; it need not exist.

    Returns
    -------
    bool
        Whether it is.
    """
    return path.suffix.lower() in (".h5", ".hdf5")


def hdf_text(path: Path, what: str) -> str:
    """Convert a pandas table in HDF to the CSV that pandas writes of it.

    Parameters
    ----------
    path
        The file.
    what
        What it is, the beginning of messages.

    Returns
    -------
    str
        The text of the CSV.

    Raises
    ------
    UserError
        Where it cannot be read as a table of numbers, or h5py is not installed.
    """
    if not installed("h5py"):
        raise UserError(f"{what} {path}: reading HDF needs h5py; `{remedy('train')}`")
    import h5py

    try:
        with h5py.File(path, "r") as file:
            columns, rows, values = _table(file)
        return _csv(columns, rows, values)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise UserError(
            f"{what} {path}: not a table of numbers that DeepLabCut wrote: {reason}; {INSTEAD}"
        ) from error


def _csv(columns: Names, rows: Names, values: list[list[str]]) -> str:
    """The text, from K column names, F row names and the cells of each column."""
    if not rows or not columns:
        raise _NoTable("it is empty")
    names = LEVEL_NAMES.get(len(columns[0]))
    if names is None:
        raise _NoTable(f"its columns have {len(columns[0])} names each, expected 3 or 4")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name, cells in zip(names, zip(*columns, strict=True), strict=True):
        writer.writerow([name, *[""] * (len(rows[0]) - 1), *cells])
    for row, cells in zip(rows, zip(*values, strict=True), strict=True):
        writer.writerow([*row, *cells])
    return text.getvalue()


def _table(file: Any) -> tuple[Names, Names, list[list[str]]]:
    """Column names, row names, and the cells of each column."""
    import h5py

    found: list[tuple[str, Any]] = []

    def collect(_: str, node: Any) -> None:
        if isinstance(node, h5py.Group) and "pandas_type" in node.attrs:
            found.append((_text(node.attrs["pandas_type"]), node))

    file.visititems(collect)  # it follows no link to another file
    tables = [(kind, node) for kind, node in found if kind in ("frame", "frame_table")]
    if len(tables) != 1:
        raise _NoTable(f"it holds {len(tables)} tables of pandas, expected one")
    kind, group = tables[0]
    columns, rows, blocks = _fixed(group) if kind == "frame" else _appendable(group)
    cells = {
        name: _cells(column) for names, block in blocks for name, column in zip(names, block.T, strict=True)
    }
    return columns, rows, [cells[name] for name in columns]


def _fixed(group: Any) -> tuple[Names, Names, Iterator[tuple[Names, Any]]]:
    """pandas' format `fixed`: the axes, and blocks of columns of one type (F, columns)."""

    def blocks() -> Iterator[tuple[Names, Any]]:
        for i in range(int(group.attrs["nblocks"])):
            name = f"block{i}_values"
            values = _array(group, name)
            yield _axis(group, f"block{i}_items"), values if group[name].attrs.get("transposed") else values.T

    return _axis(group, "axis0"), _axis(group, "axis1"), blocks()


def _appendable(group: Any) -> tuple[Names, Names, Iterator[tuple[Names, Any]]]:
    """pandas' format `table`: rows of one compound array; names of columns as a pickled list of texts."""
    if _text(group.attrs.get("table_type", "")) != "appendable_frame":
        raise _NoTable(f"it is a {_text(group.attrs.get('table_type', 'table without a type'))}")
    table = _array(group, "table")
    ((_, columns),) = literals(_bytes(group.attrs["non_index_axes"]))

    def blocks() -> Iterator[tuple[Names, Any]]:
        for name in table.dtype.names:
            if name.startswith("values_block_"):
                kind = literals(_bytes(group["table"].attrs[f"{name}_kind"]))
                yield _names(kind), table[name].reshape(len(table), -1)

    return _names(columns), [(label,) for label in _labels(table["index"])], blocks()


def _axis(group: Any, key: str) -> Names:
    """The names along an axis; of several levels each."""
    if _text(group.attrs[f"{key}_variety"]) != "multi":
        return [(label,) for label in _labels(_array(group, key))]
    count = int(group.attrs[f"{key}_nlevels"])
    if not 0 < count <= MOST_LEVELS:
        raise _NoTable(f"{key} has {count} levels")
    levels = []
    for i in range(count):
        labels = [*_labels(_array(group, f"{key}_level{i}")), ""]  # -1 stands for none
        levels.append([labels[code] for code in _array(group, f"{key}_label{i}").tolist()])
    return list(zip(*levels, strict=True))


def _array(group: Any, name: str) -> Any:
    """An array of numbers or bytes that lies in the file itself."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _NoTable(f"'{name}' is a link, or is not there")
    node = group[name]
    if not isinstance(node, h5py.Dataset) or node.external or node.is_virtual:
        raise _NoTable(f"'{name}' is no array in the file itself")
    kinds = {kind.base.kind for kind in _types(node.dtype)}
    if not kinds <= set("iufbS"):
        raise _NoTable(f"'{name}' holds pickled objects, which only running them would bring back")
    if node.size * node.dtype.itemsize > MOST_BYTES:
        raise _NoTable(f"'{name}' claims to hold {node.size} values")
    if "value_type" in node.attrs and "shape" in node.attrs:  # pandas' sign of an empty array
        raise _NoTable("it is empty")
    return node[()]


def _types(dtype: np.dtype[Any]) -> list[np.dtype[Any]]:
    return [dtype] if dtype.names is None else [dtype[name] for name in dtype.names]


def _names(plain: Any) -> Names:
    """Names of columns out of a list of tuples."""
    if not isinstance(plain, list) or not all(isinstance(names, tuple) for names in plain):
        raise _NoTable("the names of its columns are no list of texts")
    return [tuple(str(name) for name in names) for names in plain]


def _labels(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values.tolist()]


def _cells(column: Any) -> list[str]:
    return [
        "" if isinstance(value, float) and math.isnan(value) else repr(value) for value in column.tolist()
    ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _bytes(value: Any) -> bytes:
    return bytes(value.tobytes() if isinstance(value, np.ndarray | np.void) else value)
