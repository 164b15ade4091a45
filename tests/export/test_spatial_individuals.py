"""Tracks in space of several animals, read back: each has its own, with its name and how sure it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.random_session import KEYPOINTS, write_random_session
from support.random_views import DrawnHerd, views_config

from rt_pose.cli.main import main
from rt_pose.errors import ExitCode
from rt_pose.export.nwb_check import differing_parts
from rt_pose.export.poses import recording_of_session
from rt_pose.export.spatial import SpatialPoses
from rt_pose.reports.views import view_figures
from rt_pose.session.read import Session

pytestmark = pytest.mark.timeout(300)  # whoever is first compiles all of it
NAMES = ["anna", "bert"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("spatial")
    config = views_config(1, folder / "calibration.toml")
    config.individuals = list(NAMES)
    config.rules, config.protocol = [], []
    write_random_session(folder / "session", 1, 200, config, DrawnHerd(1, config), calm=True)
    return Session.read(folder / "session")


@pytest.fixture(scope="module")
def animals(session: Session) -> list[SpatialPoses]:
    return recording_of_session(session, [], ["arena"]).spatial


def export(session: Session, out: Path, *more: str) -> Path:
    assert main(["export", str(session.path), "--out", str(out), *more]) == ExitCode.DONE
    return out


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(np.asarray(found, np.float32), np.asarray(expected, np.float32))


def test_each_animal_has_its_tracks(session: Session, animals: list[SpatialPoses]) -> None:
    assert [(one.individual, one.number, one.name) for one in animals] == [
        ("anna", 0, "arena/anna"),
        ("bert", 1, "arena/bert"),
    ]
    assert not np.array_equal(animals[0].xyz, animals[1].xyz, equal_nan=True)
    for one in animals:
        assert one.xyz.shape == (len(one.t_s), len(KEYPOINTS), 3)
        assert one.identity_p is not None
        placed = np.isfinite(one.xyz).all(axis=(1, 2))
        assert placed.mean() > 0.3
        assert np.isfinite(one.identity_p[placed]).all()
        assert np.nanmedian(one.error_px) < 10.0


def test_a_csv_names_them_in_a_row_of_its_header(
    session: Session, animals: list[SpatialPoses], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd = pytest.importorskip("pandas")
    out = export(session, tmp_path / "a.csv", "--camera", "arena")
    table = pd.read_csv(out, header=[0, 1, 2, 3], index_col=0)
    said = capsys.readouterr().out
    assert "group 'arena', bert: " in said
    assert "has no place for it: confidences; probabilities of identity; skeleton" in said
    for one in animals:
        nose = table["rt-pose"][one.individual]["nose"]
        np.testing.assert_allclose(nose[["x", "y", "z"]], one.xyz[:, 0], atol=1e-5)


def test_a_parquet_has_rows_of_each(session: Session, animals: list[SpatialPoses], tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(export(session, tmp_path / "a.parquet", "--camera", "arena"))
    assert sorted(set(table["individual"].to_pylist())) == NAMES
    rows = np.array(table["individual"].to_pylist()) == "bert"
    np.testing.assert_array_equal(table["paw.z"].to_numpy()[rows], animals[1].xyz[:, 1, 2])
    np.testing.assert_array_equal(table["identity_p"].to_numpy()[rows], animals[1].identity_p)


def test_a_netcdf_has_an_axis_of_them(session: Session, animals: list[SpatialPoses], tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xr.open_dataset(export(session, tmp_path / "a.nc", "--camera", "arena"), engine="h5netcdf") as data:
        assert data.individuals.values.tolist() == NAMES
        same(data.position.sel(individuals="bert", keypoints="paw").values, animals[1].xyz[:, 1])
        np.testing.assert_array_equal(data.identity_p.sel(individuals="anna"), animals[0].identity_p)


def test_nwb_has_an_object_for_each(session: Session, animals: list[SpatialPoses], tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    pytest.importorskip("ndx_pose")
    out = export(session, tmp_path / "a.nwb")
    with pynwb.NWBHDF5IO(str(out), "r") as file:
        behavior = file.read().processing["behavior"]
        for one in animals:
            placed = behavior[f"MultiCameraPoseEstimation_arena_{one.individual}"]
            same(placed.pose_estimation_series["nose"].data[:], one.xyz[:, 0])
            same(behavior[f"identity_p_arena_{one.individual}"].data[:], one.identity_p)
    assert list(differing_parts(out, session)) == []


def test_rerun_writes_them(session: Session, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    assert export(session, tmp_path / "a.rrd").stat().st_size > 0


def test_the_report_counts_the_keypoints_of_each(session: Session) -> None:
    found = view_figures(session)["arena"]["keypoints"]
    assert list(found) == [f"{name}.{keypoint}" for name in NAMES for keypoint in KEYPOINTS]
    assert found["bert.nose"]["placed"] > 0.3
