"""Every format, read back by the program that it is for: numbers, names, times, and what is missing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.export_session import FILMED, NOT_FILMED, OFFSET_XY, SKELETON, START_UTC_NS
from support.random_session import KEYPOINTS

from rt_pose.cli.main import main
from rt_pose.errors import ExitCode
from rt_pose.export.formats import CONTENT, FORMATS, documentation
from rt_pose.export.losses import losses
from rt_pose.export.poses import Poses, Recording, held_rows, recording_of_session, spread
from rt_pose.offline.pose_files import read_pose_file
from rt_pose.session.frame_numbers import NOT_IN_VIDEO
from rt_pose.session.read import Session

EDGES = [(KEYPOINTS.index(a), KEYPOINTS.index(b)) for a, b in SKELETON]


@pytest.fixture
def poses(recording: Recording) -> Poses:
    """Those of the camera that was filmed."""
    found = next(one for one in recording.cameras if one.camera == FILMED)
    assert np.isnan(found.xy).any()
    assert found.unnumbered > 0
    assert (np.diff(found.numbers[held_rows(found)]) > 1).any()
    return found


def export(session: Session, out: Path, *more: str) -> Path:
    """The file, of the filmed camera where nothing else is asked for."""
    words = more if "--camera" in more or "all" in more else ("--camera", FILMED, *more)
    assert main(["export", str(session.path), "--out", str(out), *(w for w in words if w != "all")]) == 0
    return out


def same(found: Any, expected: Any) -> None:
    """Equal as float32, and missing where it was missing."""
    np.testing.assert_array_equal(np.asarray(found, np.float32), np.asarray(expected, np.float32))


def test_what_a_session_gives(session: Session, recording: Recording, poses: Poses) -> None:
    """Times are exposures, lost keypoints are missing, and each pose is that of its frame."""
    tracks = {track.seq: track for track in session.tracks}
    seen = {(o.stamps.index, o.stamps.epoch): o for o in session.observations if o.camera == FILMED}
    exposures = [o.stamps.t_exposure_ns for o in seen.values() if o.stamps.t_exposure_ns is not None]
    stamps = [frame.stamps for frame in session.frames]
    zero = min(s.t_exposure_ns for s in stamps if s.t_exposure_ns is not None)
    assert set(exposures) <= set((np.rint(poses.t_s * 1e9) + zero).astype(np.int64).tolist())
    assert poses.times.startswith("exposure; of ")
    assert (np.diff(poses.t_s) > 0).all()
    arrival = {o.stamps.index: o for o in seen.values()}
    for row in range(0, len(poses.frames), 7):
        track = tracks[arrival[int(poses.frames[row])].seq]
        lost = np.array(track.lost)
        np.testing.assert_array_equal(np.isnan(poses.xy[row, 0]).any(axis=-1), lost)
        np.testing.assert_array_equal(poses.xy[row, 0][~lost], track.xy.array()[0][~lost] - OFFSET_XY)
    assert {event.outcome for event in recording.events} >= {"fired", "suppressed"}
    assert recording.stimuli
    assert all(
        one.t_s == pytest.approx(one.sent_s + 0.002) for one in recording.stimuli if one.timed_by == "sent"
    )
    assert recording.start_utc_ns is not None
    assert abs(recording.start_utc_ns - START_UTC_NS) < 1e9


def test_tables_are_read_by_pandas_as_deeplabcut_does(session: Session, poses: Poses, tmp_path: Path) -> None:
    """And by this program; rows stand at the numbers of their frames."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    csv = export(session, tmp_path / "a.csv")
    hdf = export(session, tmp_path / "a.h5", "--format", "dlc-h5")
    expected = spread(np.concatenate([poses.xy, poses.confidence[..., None]], axis=-1), poses)[:, 0]
    for table in (pd.read_csv(csv, header=[0, 1, 2], index_col=0), pd.read_hdf(hdf)):
        assert table.columns.names == ["scorer", "bodyparts", "coords"]
        assert list(table.columns.get_level_values(1).unique()) == KEYPOINTS
        assert table.index.tolist() == list(range(len(expected)))
        same(table.to_numpy().reshape(expected.shape), expected)
    for file in (csv, hdf):
        found = read_pose_file(file)
        same(found.xy, expected[..., :2])
        same(found.likelihood, expected[..., 2])


def test_sleaps_files_are_read_by_sleap_io(session: Session, poses: Poses, tmp_path: Path) -> None:
    """And by this program; frames have the film's numbers, and those without an animal are not there."""
    sio = pytest.importorskip("sleap_io")
    slp = export(session, tmp_path / "a.slp")
    table = export(session, tmp_path / "a.h5", "--format", "analysis-h5")
    held = held_rows(poses)
    held = held[np.isfinite(poses.xy[held]).any(axis=(1, 2, 3))]
    for labels in (
        sio.load_slp(str(slp), open_videos=False),
        sio.load_file(str(table), format="analysis_h5"),
    ):
        skeleton = labels.skeletons[0]
        assert skeleton.node_names == KEYPOINTS
        assert [tuple(edge) for edge in skeleton.edge_inds] == EDGES
        assert [frame.frame_idx for frame in labels] == poses.numbers[held].tolist()
        same(np.stack([frame.instances[0].numpy() for frame in labels]), poses.xy[held, 0])
    assert Path(labels.videos[0].filename).name == f"{FILMED}.mkv"
    for file in (slp, table):
        found = read_pose_file(file)
        assert found.keypoints == KEYPOINTS
        assert found.skeleton == SKELETON
        rows = np.isfinite(found.xy).any(axis=(1, 2))
        assert [int(f) for f, row in zip(found.frames, rows, strict=True) if row] == poses.numbers[
            held
        ].tolist()
        same(found.xy[rows], poses.xy[held, 0])
        seen = np.isfinite(poses.xy[held, 0]).all(axis=-1)
        same(found.likelihood[rows][seen], poses.confidence[held, 0][seen])


def test_netcdf_keeps_the_true_times(session: Session, poses: Poses, tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xr.open_dataset(export(session, tmp_path / "a.nc"), engine="h5netcdf") as data:
        assert data.attrs["ds_type"] == "poses"
        assert data.position.dims == ("time", "space", "keypoints", "individuals")
        assert data.keypoints.values.tolist() == KEYPOINTS
        np.testing.assert_array_equal(data.time.values, poses.t_s)
        same(data.position.values[..., 0].transpose(0, 2, 1), poses.xy[:, 0])
        same(data.confidence.values[..., 0], poses.confidence[:, 0])
        np.testing.assert_array_equal(data.frame.values, poses.frames)


def test_movement_reads_what_it_can(session: Session, poses: Poses, tmp_path: Path) -> None:
    """Its speeds from the netCDF file are right across gaps; its own readers count frames of the film."""
    load = pytest.importorskip("movement.io.load_poses", reason="movement has an environment of its own")
    import xarray as xr
    from movement.kinematics import compute_velocity

    with xr.open_dataset(export(session, tmp_path / "a.nc"), engine="h5netcdf") as data:
        speed = compute_velocity(data.position).values[..., 0].transpose(0, 2, 1)
    expected = np.gradient(poses.xy[:, 0], poses.t_s, axis=0)
    np.testing.assert_allclose(speed, expected, rtol=1e-4, atol=1e-6)
    table = export(session, tmp_path / "a.h5", "--format", "analysis-h5")
    for data in (load.from_dlc_file(export(session, tmp_path / "a.csv")), load.from_sleap_file(table)):
        assert data.keypoints.values.tolist() == KEYPOINTS
        xy = data.position.values[..., 0].transpose(0, 2, 1)
        same(xy, spread(poses.xy, poses)[: len(xy), 0])


def test_parquet_has_a_column_a_number(session: Session, recording: Recording, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(export(session, tmp_path / "a.parquet", "all"))
    begin = 0
    for poses in recording.cameras:
        rows = table.slice(begin, len(poses.frames))
        begin += len(poses.frames)
        assert rows["camera"].unique().to_pylist() == [poses.camera]
        np.testing.assert_array_equal(rows["t_s"].to_numpy(), poses.t_s)
        same(rows["paw.x"].to_numpy(), poses.xy[:, 0, 1, 0])
        assert poses.covariance is not None
        same(rows["paw.sxy"].to_numpy(), poses.covariance[:, 0, 1, 1])
    assert begin == table.num_rows
    about = json.loads(table.schema.metadata[b"rt_pose"])
    assert about["keypoints"] == KEYPOINTS
    assert about["start_utc_ns"] == recording.start_utc_ns


def test_a_recording_is_read_by_rerun(session: Session, recording: Recording, tmp_path: Path) -> None:
    """Poses, pictures and events on one time line, of both cameras, with a layout."""
    pytest.importorskip("rerun")
    from rerun.chunk import RrdReader

    reader = RrdReader(export(session, tmp_path / "a.rrd", "all"))
    assert len(reader.blueprints()) == 1
    chunks = {(chunk.entity_path, chunk.is_static): chunk.to_record_batch() for chunk in reader.stream()}
    for poses in recording.cameras:
        batch = chunks[f"/{poses.camera}/pose", False]
        t_ns = batch["exposure"].cast("int64").to_numpy()
        np.testing.assert_array_equal(t_ns, np.rint(poses.t_s * 1e9).astype(np.int64))
        seen = np.isfinite(poses.xy[:, 0]).all(axis=-1)
        assert batch["Points2D:keypoint_ids"].to_pylist() == [np.flatnonzero(row).tolist() for row in seen]
        points = np.array([xy for row in batch["Points2D:positions"].to_pylist() for xy in row])
        same(points, poses.xy[:, 0][seen] + 0.5)
        assert len(chunks[f"/speed/{poses.camera}/nose", False]) == int(seen[:, 0].sum())
    pictures = next(one for one in recording.cameras if one.camera == FILMED).pictures
    assert pictures is not None
    shown = chunks[f"/{FILMED}/video", False]["VideoFrameReference:timestamp"].to_pylist()
    assert len(shown) == len({stamp for (stamp,) in shown}) == len(pictures.t_s)
    texts = [text for (text,) in chunks["/events", False]["TextLog:text"].to_pylist()]
    assert len(texts) == len(recording.events) + len(recording.stimuli)


def test_a_film_shows_every_frame_at_its_own_time(session: Session, poses: Poses, tmp_path: Path) -> None:
    from rt_pose.video import read_frames

    out = export(session, tmp_path / "a.mp4")
    assert poses.pictures is not None
    plain = [frame.image for frame in read_frames(poses.pictures.path, 3)]
    drawn = list(read_frames(out, 3))
    assert len(drawn) == len(plain) == len(poses.pictures.row)
    np.testing.assert_allclose(
        [frame.t_ns / 1e9 for frame in drawn], poses.pictures.t_s - poses.pictures.t_s[0], atol=1e-4
    )
    nose = poses.xy[poses.pictures.row, 0, 0]
    row = int(np.flatnonzero(((nose > 30) & (nose < 200)).all(axis=-1) & (poses.pictures.row >= 0))[5])
    x, y = np.rint(nose[row]).astype(int)
    assert np.abs(drawn[row].image[y, x].astype(int) - plain[row][y, x]).max() > 60


def test_a_file_of_predictions_has_the_times_of_its_video(
    session: Session, poses: Poses, tmp_path: Path, capsys: Any
) -> None:
    table = export(session, tmp_path / "a.csv")
    film = str(session.path / f"{FILMED}.mkv")
    words = ["export", str(table), "--out", str(tmp_path / "b.mp4"), "--format", "film"]
    assert main(words) == ExitCode.MISTAKE
    assert "it has no times; give its video with --video" in capsys.readouterr().err
    assert main([*words, "--video", film]) == 0
    said = capsys.readouterr().out
    assert f"frame times of {FILMED}.mkv" in said
    assert "left out" in said
    slp = ["export", str(table), "--out", str(tmp_path / "b.slp"), "--fps", "100"]
    assert main(slp) == 0
    assert len(read_pose_file(tmp_path / "b.slp").frames) > 50


def test_what_is_wrong_is_said_and_nothing_is_replaced(session: Session, tmp_path: Path, capsys: Any) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("precious")
    for words, message in (
        (["--out", "a.xyz"], "its ending does not say the format"),
        (["--out", "a.h5"], "one of dlc-h5, analysis-h5"),
        (["--out", "a.nc", "--format", "netcfd"], "did you mean 'netcdf'"),
        (["--out", "a.csv", "--format", "slp"], "by the ending .slp"),
        (["--out", "a.csv", "--camera", "sdie"], "the session has top, side, did you mean 'side'"),
        (["--out", "a.csv"], "csv holds one; say which with --camera"),
        (["--out", "a.mp4", "--camera", NOT_FILMED], "there is no film to draw on"),
        (["--out", "a.csv", "--fps", "30"], "has its own times"),
        (["--out", str(tmp_path / "no" / "a.csv")], "there is no folder"),
        (["--out", str(mine), "--camera", FILMED], "is there already"),
    ):
        out = [str(tmp_path / word) if word.startswith("a.") else word for word in words]
        assert main(["export", str(session.path), *out]) == ExitCode.MISTAKE, words
        assert message in capsys.readouterr().err, words
    assert mine.read_text() == "precious"
    film = session.path / f"{FILMED}.mkv"
    before = film.read_bytes()
    link = session.path.parent / "film.mp4"
    link.symlink_to(film)
    words = ["export", str(session.path), "--camera", FILMED, "--out", str(link), "--overwrite"]
    assert main(words) == ExitCode.MISTAKE
    assert "is what the command reads" in capsys.readouterr().err
    assert film.read_bytes() == before
    link.unlink()
    assert main(["export", str(session.path), "--camera", FILMED, "--out", str(mine), "--overwrite"]) == 0
    said = capsys.readouterr().out
    assert f"numbered by the frames of the film {FILMED}.mkv" in said
    for part in (
        "skeleton",
        "frames that the video lacks",
        "times of exposures",
        f"the cameras {NOT_FILMED}",
    ):
        assert part in said
    assert not list(tmp_path.glob(".part-*"))


def test_the_page_says_what_a_format_holds() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    assert "\n".join(documentation()) in page
    for one in FORMATS.values():
        assert set(one.holds) <= set(CONTENT)


def test_frames_outside_the_video_have_no_number(poses: Poses, recording: Recording) -> None:
    other = next(one for one in recording.cameras if one.camera == NOT_FILMED)
    assert other.unnumbered == 0
    assert len(set(other.numbers.tolist())) == len(other.numbers), (
        "counted on where the recording was wound back"
    )
    filmed = poses.numbers[poses.numbers != NOT_IN_VIDEO]
    assert len(set(filmed.tolist())) == len(filmed)


def test_what_a_session_lacks_is_said(session: Session) -> None:
    cut = dataclasses.replace(session, tracks=session.tracks[:-3], cut="it breaks off")
    of_one = [event.event.camera for event in session.events].count(NOT_FILMED)
    said = list(losses(recording_of_session(cut, [FILMED])))
    assert "the log ends early: it breaks off" in said
    assert f"{of_one} events of other cameras" in said
    lost = {track.seq for track in session.tracks[-3:]}
    untracked = sum(seen.camera == FILMED and seen.seq in lost for seen in session.observations)
    assert f"{untracked} observations of camera '{FILMED}' without a track in the log" in said
    twin = dataclasses.replace(session, observations=[*session.observations, session.observations[0]])
    first = session.observations[0].camera
    said = list(losses(recording_of_session(twin, [first])))
    assert f"1 observations of camera '{first}' at the time of another one" in said


def test_tables_go_on_to_the_end_of_the_film(poses: Poses) -> None:
    assert poses.pictures is not None
    frames = len(poses.pictures.row)
    assert poses.video_frames == frames
    longer = dataclasses.replace(poses, video_frames=frames + 7)
    table = spread(poses.xy, longer)
    assert len(table) == frames + 7
    assert np.isnan(table[-7:]).all()
