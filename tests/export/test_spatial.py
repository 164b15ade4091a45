"""Tracks in space, read back by the programs that each format is for."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import views_session as views
from support.random_session import write_random_session
from support.random_views import DrawnPlaces, views_config

from rt_pose.audit.replay import replay_session
from rt_pose.cli.main import main
from rt_pose.errors import ExitCode
from rt_pose.export.deposit import pack, unpack
from rt_pose.export.losses import losses
from rt_pose.export.nwb_check import differing_parts
from rt_pose.export.poses import recording_of_session
from rt_pose.export.spatial import SpatialPoses
from rt_pose.offline.nwb_poses import read_nwb_poses
from rt_pose.session.read import Session

K = len(views.KEYPOINTS)
ROWS = 3 * views.FRAMES - 2
"""One observation came too late, and of two turns at the same exposure the last counts."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return Session.read(views.write_views_session(tmp_path_factory.mktemp("spatial") / "session"))


@pytest.fixture(scope="module")
def poses(session: Session) -> SpatialPoses:
    recording = recording_of_session(session, [], [views.GROUP])
    assert recording.cameras == []
    assert [event.rule for event in recording.events] == ["high"]
    return recording.spatial[0]


def export(session: Session, out: Path, *more: str) -> Path:
    assert main(["export", str(session.path), "--out", str(out), *more]) == ExitCode.DONE
    return out


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(np.asarray(found, np.float32), np.asarray(expected, np.float32))


def test_events_of_a_group_that_is_left_out_are_counted(session: Session) -> None:
    assert "1 events of rules in space, by arena" in losses(recording_of_session(session, ["a"]))
    whole = recording_of_session(session, ["a", "b", "c"], [views.GROUP])
    assert not any("events" in loss for loss in losses(whole))


def test_what_a_group_gives(poses: SpatialPoses) -> None:
    """A row an exposure, with what is lost missing, and errors of what was seen in that turn."""
    t_ns = sorted(
        {views.exposure(f, v) for f in range(views.FRAMES) for v in range(3)} - {late(), passed_over()}
    )
    np.testing.assert_allclose(poses.t_s, (np.array(t_ns) - views.T0_NS) / 1e9, atol=1e-12)
    assert (len(poses.t_s), poses.same_time) == (ROWS, 1)
    lost = np.isnan(poses.xyz).any(axis=2)
    assert np.flatnonzero(lost[:, 2]).tolist() == rows_of(poses, views.UNSEEN)
    assert not lost[:, :2].any()
    expected = np.array([views.places(t) for t in t_ns])
    np.testing.assert_array_equal(poses.xyz[~lost], expected[~lost])
    np.testing.assert_allclose(poses.error_px[~lost], views.NOISE_PX, atol=1e-6)
    assert np.isnan(poses.error_px[lost]).all()
    same(poses.covariance[0, 0], [1, 0, 0, 2, 0, 3])
    same(poses.velocity_var[0, 0], [4, 5, 6])
    assert [camera.name for camera in poses.cameras] == ["a", "b", "c"]


def late() -> int:
    return views.exposure(views.LATE, 1)


def passed_over() -> int:
    """Of a view that came when a newer one had been taken in: its turn stands at that one's time."""
    return views.exposure(views.OUT_OF_ORDER, 0)


def rows_of(poses: SpatialPoses, frame: int) -> list[int]:
    """Rows of the exposures of a frame."""
    t_s = [(views.exposure(frame, v) - views.T0_NS) / 1e9 for v in range(3)]
    return np.flatnonzero(np.isin(np.round(poses.t_s, 6), np.round(t_s, 6))).tolist()


def test_a_csv_has_the_columns_of_triangulate(
    session: Session, poses: SpatialPoses, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd = pytest.importorskip("pandas")
    table = pd.read_csv(
        export(session, tmp_path / "a.csv", "--camera", views.GROUP), header=[0, 1, 2], index_col=0
    )
    said = capsys.readouterr().out
    assert f"group 'arena': {ROWS} times of 3 keypoints in space, mm" in said
    assert "missing: 1 tracks of the group 'arena' at the time of another one" in said
    left_out = "confidences; skeleton; calibration; what its cameras hold; events and stimuli"
    assert f"left out, since csv has no place for it: {left_out}" in said
    nose = table["rt-pose"]["nose"]
    np.testing.assert_allclose(nose[["x", "y", "z"]], poses.xyz[:, 0], atol=1e-5)
    np.testing.assert_allclose(nose[["x_var", "y_var", "z_var"]], np.tile([1.0, 2.0, 3.0], (ROWS, 1)))
    np.testing.assert_allclose(nose[["vx", "vy", "vz"]], np.tile(views.VELOCITY, (ROWS, 1)))
    assert set(nose["cameras"]) == {3}
    np.testing.assert_allclose(nose["error_px"], views.NOISE_PX, atol=1e-3)
    assert table["rt-pose"]["tail"]["x"].isna().sum() == 3
    np.testing.assert_allclose(table["t_s"].to_numpy().ravel(), poses.t_s, atol=1e-9)


def test_a_parquet_has_a_column_a_number(session: Session, poses: SpatialPoses, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(export(session, tmp_path / "a.parquet", "--camera", views.GROUP))
    np.testing.assert_array_equal(table["t_s"].to_numpy(), poses.t_s)
    np.testing.assert_array_equal(table["paw.z"].to_numpy(), poses.xyz[:, 1, 2])
    np.testing.assert_array_equal(table["paw.confidence"].to_numpy(), poses.confidence[:, 1])
    about = json.loads(table.schema.metadata[b"rt_pose"])
    assert about["views"]["arena"]["unit"] == "mm"


def test_a_netcdf_has_three_coordinates(session: Session, poses: SpatialPoses, tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xr.open_dataset(
        export(session, tmp_path / "a.nc", "--camera", views.GROUP), engine="h5netcdf"
    ) as data:
        assert data.position.dims == ("time", "space", "keypoints", "individuals")
        assert data.space.values.tolist() == ["x", "y", "z"]
        np.testing.assert_array_equal(data.time.values, poses.t_s)
        same(data.position.sel(keypoints="paw").values[..., 0], poses.xyz[:, 1])
        same(data.covariance.sel(moment="yy", keypoints="nose").values[:, 0], np.full(ROWS, 2.0))
        same(data.cameras.values[0, :, 0], [3, 3, 2])
        assert json.loads(data.attrs["views"])["cameras"] == ["a", "b", "c"]


def test_movement_computes_speeds_in_space(session: Session, tmp_path: Path) -> None:
    pytest.importorskip("movement.io.load_poses", reason="movement has an environment of its own")
    import xarray as xr
    from movement.kinematics import compute_velocity
    from movement.validators.datasets import ValidPosesInputs

    out = export(session, tmp_path / "a.nc", "--camera", views.GROUP)
    with xr.open_dataset(out, engine="h5netcdf") as data:
        ValidPosesInputs.validate(data)
        velocity = compute_velocity(data.position).sel(keypoints="nose", individuals="individual_0")
        np.testing.assert_allclose(
            velocity.transpose("time", "space"), np.tile(views.VELOCITY, (ROWS, 1)), rtol=1e-6
        )


def test_nwb_has_tracks_in_space_and_calibrated_cameras(
    session: Session, poses: SpatialPoses, tmp_path: Path
) -> None:
    pynwb = pytest.importorskip("pynwb")
    ndx_pose = pytest.importorskip("ndx_pose")
    h5py = pytest.importorskip("h5py")
    out = export(session, tmp_path / "a.nwb")
    assert list(pynwb.validate(path=str(out))) == []
    with pynwb.NWBHDF5IO(str(out), "r") as file:
        nwb = file.read()
        behavior = nwb.processing["behavior"]
        placed = behavior["MultiCameraPoseEstimation_arena"]
        assert isinstance(placed, ndx_pose.MultiCameraPoseEstimation)
        assert list(placed.skeleton.nodes[:]) == views.KEYPOINTS
        for k, name in enumerate(views.KEYPOINTS):
            series = placed.pose_estimation_series[name]
            assert series.unit == "millimeters"
            same(series.data[:], poses.xyz[:, k])
            same(series.confidence[:], poses.confidence[:, k])
            np.testing.assert_array_equal(np.asarray(series.timestamps), poses.t_s)
        same(behavior["covariance_arena"].data[:], poses.covariance)
        same(behavior["views_arena"].data[:], poses.views)
        for camera in views.cameras():
            device = nwb.devices[camera.name]
            assert isinstance(device, ndx_pose.CalibratedCamera)
            same(device.intrinsic_matrix[:], camera.matrix)
            same(device.rotation_matrix[:], camera.rotation_matrix)
            same(device.translation_vector[:], camera.translation)
        assert nwb.events["rule_events"].to_dataframe()["camera"].tolist() == ["arena"]
    assert list(differing_parts(out, session)) == []
    found = read_nwb_poses(out, "b")
    assert found.xy.shape == (views.FRAMES, K, 2), "the poses in the plane are read as ever"
    with h5py.File(out, "a") as file:
        file["processing/behavior/MultiCameraPoseEstimation_arena/nose/data"][0] += 1.0
        del file["processing/behavior/views_arena"]
    assert list(differing_parts(out, session)) == [
        "group 'arena': MultiCameraPoseEstimation_arena/nose/data is not that of the log",
        "group 'arena': views_arena/data cannot be compared: it is not there",
    ]


def test_the_inspector_finds_nothing_critical(session: Session, tmp_path: Path) -> None:
    inspector = pytest.importorskip("nwbinspector")
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(export(session, tmp_path / "a.nwb"))))
    grave = [m for m in found if m.importance.name in ("CRITICAL", "ERROR", "PYNWB_VALIDATION")]
    assert [(m.check_function_name, m.message) for m in grave] == []


def test_the_calibration_is_deposited(session: Session, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    archive = pack(session)
    with tarfile.open(fileobj=io.BytesIO(archive.tobytes()), mode="r:xz") as found:
        assert "views/arena.toml" in found.getnames()
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file["scratch/rt_pose_session"] = archive
    folder = tmp_path / "unpacked"
    folder.mkdir()
    assert unpack(tmp_path / "a.nwb", folder)
    for name in ("views/arena.toml", "session.json", "log.mcap"):
        assert (folder / name).read_bytes() == (session.path / name).read_bytes()


def test_what_was_deposited_is_replayed(tmp_path: Path) -> None:
    """A session of the real loop: its tracks in space follow from what the file carries."""
    pytest.importorskip("ndx_pose")
    config = views_config(1, tmp_path / "calibration.toml")
    write_random_session(tmp_path / "session", 1, 60, config, DrawnPlaces(1, config))
    session = Session.read(tmp_path / "session")
    export(session, tmp_path / "a.nwb")
    folder = tmp_path / "unpacked"
    folder.mkdir()
    assert unpack(tmp_path / "a.nwb", folder)
    deposited = Session.read(folder)
    found = replay_session(deposited)
    assert found.identical
    assert found.tracks_in_space == len(session.tracks3d) > 0
    assert list(differing_parts(tmp_path / "a.nwb", deposited)) == []


def test_a_recording_is_read_by_rerun(session: Session, poses: SpatialPoses, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    from rerun.chunk import RrdReader

    reader = RrdReader(export(session, tmp_path / "a.rrd"))
    assert len(reader.blueprints()) == 1
    chunks = {(chunk.entity_path, chunk.is_static): chunk.to_record_batch() for chunk in reader.stream()}
    batch = chunks["/arena/pose", False]
    seen = np.isfinite(poses.xyz).all(axis=-1)
    assert batch["Points3D:keypoint_ids"].to_pylist() == [np.flatnonzero(row).tolist() for row in seen]
    points = np.array([xyz for row in batch["Points3D:positions"].to_pylist() for xyz in row])
    same(points, poses.xyz[seen])
    t_ns = batch["exposure"].cast("int64").to_numpy()
    np.testing.assert_array_equal(t_ns, np.rint(poses.t_s * 1e9).astype(np.int64))
    assert {f"/arena/cameras/{name}" for name in "abc"} <= {path for path, _ in chunks}


def test_what_has_no_place_is_said(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(session, tmp_path / "a.csv", "--camera", "a")
    assert "tracks in space of the group arena" in capsys.readouterr().out
    for words, message in (
        (["--out", "a.slp", "--camera", "arena"], "expected one of csv, netcdf, parquet, nwb, rerun"),
        (["--out", "a.nwb", "--camera", "arena"], "nwb holds a group beside its cameras"),
        (["--out", "b.csv", "--camera", "aerna"], "the session has a, b, c, arena, did you mean 'arena'"),
        (["--out", "b.csv"], "it has the cameras a, b, c and, in space, arena, and csv holds one"),
    ):
        out = [str(tmp_path / word) if word[1:2] == "." else word for word in words]
        assert main(["export", str(session.path), *out]) == ExitCode.MISTAKE, words
        assert message in capsys.readouterr().err, words


def test_a_group_that_placed_nothing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], session: Session
) -> None:
    empty = Session.read(session.path)
    empty.tracks3d.clear()
    recording = recording_of_session(empty, ["a"], [views.GROUP])
    assert (recording.spatial, recording.without_tracks) == ([], ["arena"])
