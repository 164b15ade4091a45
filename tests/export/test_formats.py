"""Every format, read back by the program that it is for: numbers, names, times, and what is missing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.live_run import config, run
from support.tiny_package import make_tiny_package

from rt_pose.cli.main import main
from rt_pose.config.schema import RecordConfig
from rt_pose.errors import ExitCode
from rt_pose.export.formats import FORMATS
from rt_pose.export.poses import Poses, poses_of_session
from rt_pose.session.read import Session

METADATA = {"subject": {"subject_id": "m17", "species": "Mus musculus", "sex": "F", "age": "P90D"}, "lab": "ours"}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("exported")
    package = make_tiny_package(folder / "package", keypoints=3)
    settings = config(package.path, record=RecordConfig(video=True), seconds=2.5, metadata=METADATA)
    result = run(settings, folder / "session")
    assert result.ok, result.status
    return Session.read(folder / "session")


@pytest.fixture(scope="module")
def poses(session: Session) -> Poses:
    found = poses_of_session(session)
    assert len(found.frames) > 80
    assert np.isfinite(found.xy).any()
    return found


def export(session: Session, out: Path, *more: str) -> Path:
    assert main(["export", str(session.path), "--out", str(out), *more]) == 0
    return out


def same(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(found, float), expected, rtol=1e-5, atol=1e-4, equal_nan=True)


def test_csv_is_read_by_pandas_as_deeplabcut_does(session: Session, poses: Poses, tmp_path: Path) -> None:
    import pandas as pd

    table = pd.read_csv(export(session, tmp_path / "a.csv"), header=[0, 1, 2], index_col=0)
    assert list(table.columns.get_level_values(1).unique()) == poses.keypoints
    assert table.index.tolist() == poses.frames.tolist()
    values = table.to_numpy().reshape(len(table), -1, 3)
    same(values[..., :2], poses.xy)
    same(values[..., 2], poses.confidence)


def test_deeplabcuts_hdf_is_read_by_pandas(session: Session, poses: Poses, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    table = pd.read_hdf(export(session, tmp_path / "a.h5", "--format", "dlc-h5"))
    assert table.columns.names == ["scorer", "bodyparts", "coords"]
    same(table.to_numpy().reshape(len(table), -1, 3)[..., :2], poses.xy)


def test_slp_is_read_by_sleap_io(session: Session, poses: Poses, tmp_path: Path) -> None:
    sio = pytest.importorskip("sleap_io")
    labels = sio.load_slp(str(export(session, tmp_path / "a.slp")), open_videos=False)
    skeleton = labels.skeletons[0]
    assert skeleton.node_names == poses.keypoints
    assert [tuple(edge) for edge in skeleton.edge_inds] == poses.skeleton
    shown = np.isfinite(poses.xy).any(axis=(1, 2))
    assert len(labels) == int(shown.sum())
    found = np.stack([frame.instances[0].numpy() for frame in labels])
    same(found[..., :2], poses.xy[shown])


def test_analysis_tables_are_read_by_sleap_io(session: Session, poses: Poses, tmp_path: Path) -> None:
    sio = pytest.importorskip("sleap_io")
    out = export(session, tmp_path / "a.h5", "--format", "analysis-h5")
    labels = sio.load_file(str(out), format="analysis_h5", open_videos=False)
    assert labels.skeletons[0].node_names == poses.keypoints
    shown = np.isfinite(poses.xy).any(axis=(1, 2))
    found = np.stack([frame.instances[0].numpy() for frame in labels])
    same(found[..., :2], poses.xy[shown])


def test_netcdf_keeps_the_true_times(session: Session, poses: Poses, tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xr.open_dataset(export(session, tmp_path / "a.nc"), engine="h5netcdf") as data:
        assert data.attrs["ds_type"] == "poses"
        assert data.position.dims == ("time", "space", "keypoints", "individuals")
        assert data.keypoints.values.tolist() == poses.keypoints
        np.testing.assert_array_equal(data.time.values, poses.t_s)
        same(data.position.values[..., 0].transpose(0, 2, 1), poses.xy)


def test_parquet_has_a_column_a_number(session: Session, poses: Poses, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(export(session, tmp_path / "a.parquet"))
    np.testing.assert_array_equal(table["t_s"].to_numpy(), poses.t_s)
    name = poses.keypoints[1]
    same(table[f"{name}.x"].to_numpy(), poses.xy[:, 1, 0])
    assert poses.covariance is not None
    same(table[f"{name}.sxy"].to_numpy(), poses.covariance[:, 1, 1])
    about = json.loads(table.schema.metadata[b"rt_pose"])
    assert about["keypoints"] == poses.keypoints
    assert about["times"] == "exposure"


def test_nwb_is_read_by_pynwb_and_found_well(session: Session, poses: Poses, tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    pytest.importorskip("ndx_pose")
    out = export(session, tmp_path / "a.nwb")
    with pynwb.NWBHDF5IO(str(out), "r", load_namespaces=True) as file:
        nwb = file.read()
        assert nwb.subject.subject_id == "m17"
        estimated = nwb.processing["behavior"]["PoseEstimation"]
        assert list(estimated.skeleton.nodes[:]) == poses.keypoints
        for k, name in enumerate(poses.keypoints):
            series = estimated.pose_estimation_series[name]
            same(series.data[:], poses.xy[:, k])
            same(series.confidence[:], poses.confidence[:, k])
            np.testing.assert_array_equal(series.timestamps[:], poses.t_s)
        events = nwb.intervals["rule_events"].to_dataframe()
        assert events["rule"].tolist() == [event.rule for event in poses.events]
        same(events["start_time"], [event.t_s for event in poses.events])
        stimuli = nwb.intervals["stimuli"].to_dataframe()
        assert len(stimuli) == sum(np.isfinite(event.stimulus_t_s) for event in poses.events)
    assert pynwb.validate(path=str(out)) == [] or not pynwb.validate(path=str(out))[0]
    assert main(["verify", str(out)]) == ExitCode.DONE


def test_a_recording_is_read_by_rerun(session: Session, poses: Poses, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    out = export(session, tmp_path / "a.rrd")
    done = subprocess.run(["rerun", "rrd", "print", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for entity in ("/camera/pose", "/camera/ellipses", "/camera/video", "/events"):
        assert entity in done.stdout


def test_a_film_has_every_filmed_frame(session: Session, poses: Poses, tmp_path: Path) -> None:
    from rt_pose.video import read_frames

    out = export(session, tmp_path / "a.mp4")
    plain = [frame.image for frame in read_frames(session.path / "top.mkv", 3)]
    drawn = [frame.image for frame in read_frames(out, 3)]
    assert len(drawn) == len(plain)
    middle = len(drawn) // 2
    assert np.abs(drawn[middle].astype(int) - plain[middle]).max() > 100


def test_a_table_of_predictions_wants_a_rate(session: Session, tmp_path: Path, capsys: Any) -> None:
    table = export(session, tmp_path / "a.csv")
    assert main(["export", str(table), "--out", str(tmp_path / "b.parquet")]) == ExitCode.MISTAKE
    assert "say the rate of its video with --fps" in capsys.readouterr().err
    assert main(["export", str(table), "--out", str(tmp_path / "b.parquet"), "--fps", "60"]) == 0


def test_what_is_wrong_is_said(session: Session, tmp_path: Path, capsys: Any) -> None:
    for argv, message in (
        (["--out", "a.xyz"], "its ending does not say the format"),
        (["--out", "a.h5"], "one of dlc-h5, analysis-h5"),
        (["--out", "a.nc", "--format", "netcfd"], "did you mean 'netcdf'"),
        (["--out", "a.csv", "--camera", "side"], "--camera side: the session has top"),
    ):
        assert main(["export", str(session.path), *argv]) == ExitCode.MISTAKE
        assert message in capsys.readouterr().err
    mine = tmp_path / "mine.csv"
    mine.write_text("precious")
    assert main(["export", str(session.path), "--out", str(mine)]) == ExitCode.MISTAKE
    assert mine.read_text() == "precious"
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_page_says_what_a_format_leaves_out(name: str) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    for part in FORMATS[name].leaves_out:
        assert part in row
