"""DeepLabCut's table of labels in HDF, which it reads in place of the CSV: pandas' format `fixed`.

The format `table`, in which DeepLabCut itself writes, holds pickled names; `fixed` holds numbers and
bytes, and every version of pandas reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.types import FloatArray

KEY = "df_with_missing"
"""DeepLabCut's name of the table."""
Names = Sequence[tuple[str, ...]]


def write_hdf(path: Path, levels: Sequence[str], columns: Names, rows: Names, values: FloatArray) -> None:
    """Write a table of labels; the file appears when it is whole.

    Parameters
    ----------
    path
        The .h5.
    levels
        Names of the header rows, such as scorer, bodyparts, coords.
    columns
        Of each of the C columns its cell in every header row.
    rows
        Of each of the F images its path, whole or in three parts.
    values
        (F, C); NaN where a cell is blank.
    """
    import h5py

    part = path.with_name(path.name + ".part")
    try:
        with h5py.File(part, "w") as file:
            _set(file, CLASS="GROUP", TITLE="", VERSION="1.0", PYTABLES_FORMAT_VERSION="2.1")
            group = file.create_group(KEY)
            _set(group, CLASS="GROUP", TITLE="", VERSION="1.0", encoding="UTF-8", errors="strict")
            _set(group, pandas_type="frame", pandas_version="0.15.2", ndim=2, nblocks=1)
            _write_axis(group, "axis0", columns, levels)
            _write_axis(group, "axis1", rows, [""] * len(rows[0]))
            _write_axis(group, "block0_items", columns, levels)
            _write_array(group, "block0_values", values.astype(np.float64))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_axis(group: Any, key: str, names: Names, levels: Sequence[str]) -> None:
    if len(names[0]) == 1:
        _set_axis(group, key, variety="regular")
        _set(_write_texts(group, key, [name for (name,) in names]), kind="string")
        return
    _set_axis(group, key, variety="multi", nlevels=len(names[0]))
    for i, (level, cells) in enumerate(zip(levels, zip(*names, strict=True), strict=True)):
        distinct = list(dict.fromkeys(cells))
        array = _write_texts(group, f"{key}_level{i}", distinct)
        _set(array, kind="string")
        if level:
            _set(array, name=level)
        codes = {text: code for code, text in enumerate(distinct)}
        _write_array(group, f"{key}_label{i}", np.array([codes[cell] for cell in cells], np.int64))


def _write_texts(group: Any, key: str, texts: Sequence[str]) -> Any:
    return _write_array(group, key, np.array([text.encode() for text in texts]))


def _write_array(group: Any, key: str, values: Any) -> Any:
    array = group.create_dataset(key, data=values)
    _set(array, CLASS="ARRAY", FLAVOR="numpy", TITLE="", VERSION="2.4", transposed=1)
    return array


def _set_axis(group: Any, key: str, **attributes: str | int) -> None:
    _set(group, **{f"{key}_{name}": value for name, value in attributes.items()})


def _set(node: Any, **attributes: str | int) -> None:
    """Set attributes as PyTables writes them: texts of a fixed length, in UTF-8."""
    import h5py

    for name, value in attributes.items():
        if isinstance(value, int):
            node.attrs[name] = np.int64(value)
            continue
        data = value.encode()
        kind = h5py.string_dtype("utf-8", max(len(data), 1))
        node.attrs.create(name, np.array(data, dtype=kind), dtype=kind)
