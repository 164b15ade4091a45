"""Tables in HDF: what pandas writes of DeepLabCut's is read, and nothing that is pickled in them is run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import tables

from rt_pose.errors import UserError
from rt_pose.offline.hdf import hdf_text
from rt_pose.offline.literals import literals
from rt_pose.offline.prediction_files import read_predictions

PARTS = ["nose", "tail, base"]


class WritesAFile:
    """Comes back from a pickle by writing a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "it was run")


def table(rows: int = 5, individuals: bool = False, images: bool = False) -> pd.DataFrame:
    """Numbers as DeepLabCut names them; one is missing."""
    levels = [["net"], PARTS, ["x", "y", "likelihood"]]
    names = ["scorer", "bodyparts", "coords"]
    if individuals:
        levels.insert(1, ["mouse"])
        names.insert(1, "individuals")
    columns = pd.MultiIndex.from_product(levels, names=names)
    values = np.random.default_rng(0).normal(100, 40, (rows, len(columns)))
    values[1, 0] = np.nan
    index = None
    if images:
        index = pd.MultiIndex.from_tuples([("labeled-data", "film", f"img{i:03}.png") for i in range(rows)])
    return pd.DataFrame(values, index, columns)


@pytest.mark.parametrize("layout", ["fixed", "table"])
@pytest.mark.parametrize("individuals", [False, True])
def test_a_table_reads_as_the_csv_that_pandas_writes_of_it(
    tmp_path: Path, layout: Any, individuals: bool
) -> None:
    frame = table(individuals=individuals)
    frame.to_hdf(tmp_path / "a.h5", key="df_with_missing", format=layout, mode="w")
    assert hdf_text(tmp_path / "a.h5", "labels") == frame.to_csv(lineterminator="\n")


def test_rows_of_images_and_columns_of_several_types(tmp_path: Path) -> None:
    frame = table(images=True)
    frame["net", "nose", "likelihood"] = np.arange(5)  # whole numbers are a block of their own
    frame.to_hdf(tmp_path / "a.h5", key="df_with_missing", mode="w")
    assert hdf_text(tmp_path / "a.h5", "labels") == frame.to_csv(lineterminator="\n")


def test_predictions_are_read(tmp_path: Path) -> None:
    frame = table()
    frame.to_hdf(tmp_path / "a.h5", key="df_with_missing", format="table", mode="w")
    found = read_predictions(tmp_path / "a.h5")
    assert found.keypoints == PARTS
    np.testing.assert_array_equal(found.xy[:, 1], frame["net", "tail, base"][["x", "y"]])


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
@pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning")
@pytest.mark.parametrize("place", ["values", "names", "attribute", "axis"])
def test_what_is_pickled_is_refused_and_never_run(tmp_path: Path, place: str) -> None:
    file, marker = tmp_path / "a.h5", tmp_path / "marker"
    frame = table()
    if place == "values":
        frame = frame.astype(object)
        frame.iloc[0, 0] = WritesAFile(marker)
        frame.to_hdf(file, key="k", mode="w")
    else:
        frame.to_hdf(file, key="k", format="fixed" if place == "axis" else "table", mode="w")
        with tables.open_file(str(file), "a") as edited:
            if place == "names":
                edited.root.k._v_attrs.non_index_axes = [(1, [WritesAFile(marker)])]
            elif place == "attribute":
                edited.root.k.table._v_attrs.values_block_0_kind = [WritesAFile(marker)]
            else:
                edited.remove_node("/k", "axis1")
                edited.create_vlarray("/k", "axis1", tables.ObjectAtom()).append([WritesAFile(marker)])
    with pytest.raises(UserError, match=r"labels .*a\.h5: not a table .* pickled objects.* write it as CSV"):
        hdf_text(file, "labels")
    assert not marker.exists()


def test_an_unread_attribute_is_never_run(tmp_path: Path) -> None:
    """A file is read, whatever lies in it unread."""
    file, marker = tmp_path / "a.h5", tmp_path / "marker"
    table().to_hdf(file, key="k", mode="w")
    with tables.open_file(str(file), "a") as edited:
        edited.root._v_attrs.note = edited.root.k._v_attrs.encoding = WritesAFile(marker)
    assert hdf_text(file, "labels").startswith("scorer,net")
    assert not marker.exists()


def test_arrays_of_other_files_are_refused(tmp_path: Path) -> None:
    table().to_hdf(tmp_path / "a.h5", key="k", mode="w")
    table().to_hdf(tmp_path / "b.h5", key="k", mode="w")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["k/block0_values"]
        file["k/block0_values"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "/k/block0_values")
    with pytest.raises(UserError, match="'block0_values' is a link"):
        hdf_text(tmp_path / "a.h5", "labels")
    (tmp_path / "raw").write_bytes(bytes(1000))
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["k/block0_values"]
        file["k"].create_dataset(
            "block0_values", (5, 6), "f8", external=[(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)]
        )
    with pytest.raises(UserError, match="'block0_values' is no array in the file itself"):
        hdf_text(tmp_path / "a.h5", "labels")


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("a,b\n")
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["a"] = np.zeros(3)
    with h5py.File(tmp_path / "endless.h5", "w") as file:
        group = file.create_group("k")
        group.attrs["pandas_type"] = "frame"
        group.attrs["axis0_variety"] = group.attrs["axis1_variety"] = "regular"
        group.create_dataset("axis0", (2**50,), "i8", chunks=(1024,))
    for name, message in (
        ("text.h5", "not a table of numbers"),
        ("none.h5", "it holds 0 tables of pandas, expected one"),
        ("endless.h5", f"'axis0' claims to hold {2**50} values"),
    ):
        with pytest.raises(UserError, match=message):
            hdf_text(tmp_path / name, "predictions")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_literals_come_back_from_every_protocol(protocol: int) -> None:
    name = "bodyparts"
    value = [(1, [(name, "x"), (name, "y")]), (), (1, 2, 3, 4), [], None, True, -5, 2**70, 0.5, "\u00fc"]
    assert literals(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("value", [{"a": 1}, {1}, b"a", Path("a"), np.float64(1), print, 1j])
def test_all_else_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="pickled objects"):
        literals(pickle.dumps([value], 2))


def test_a_damaged_pickle_is_refused() -> None:
    whole = pickle.dumps([("a", "x")] * 3, 0)
    rng = np.random.default_rng(1)
    for _ in range(300):
        raw = bytearray(whole)
        raw[rng.integers(len(raw))] = rng.integers(256)
        try:
            literals(bytes(raw))
        except ValueError:
            continue
