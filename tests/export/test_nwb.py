"""NWB: read by pynwb and ndx-pose, found valid, replayed from itself, and read back by this program."""

from __future__ import annotations

import dataclasses
import datetime
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.export_session import FILMED, METADATA, NOT_FILMED, SKELETON, START_UTC_NS
from support.random_session import KEYPOINTS

from rt_pose.cli.export import _print_metadata
from rt_pose.cli.main import main
from rt_pose.errors import ExitCode, UserError
from rt_pose.export import deposit
from rt_pose.export.events import stimuli
from rt_pose.export.nwb import write_nwb
from rt_pose.export.poses import Recording
from rt_pose.offline.nwb_poses import read_nwb_poses
from rt_pose.session.read import STAGES, OwnModelInfo, Session

pynwb = pytest.importorskip("pynwb")
ndx_pose = pytest.importorskip("ndx_pose")
h5py = pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def exported(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("nwb") / "session.nwb"
    assert main(["export", str(session.path), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def nwb(exported: Path) -> Iterator[Any]:
    with pynwb.NWBHDF5IO(str(exported), "r") as file:
        yield file.read()


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(np.asarray(found, np.float32), np.asarray(expected, np.float32))


def test_it_is_valid_and_carries_the_metadata(exported: Path, nwb: Any, recording: Recording) -> None:
    assert nwb.subject.subject_id == METADATA["subject"]["subject_id"]
    assert nwb.lab == "ours"
    assert list(nwb.experimenter) == METADATA["experimenter"]
    assert recording.start_utc_ns is not None
    assert nwb.session_start_time.timestamp() == pytest.approx(recording.start_utc_ns / 1e9, abs=1e-5)
    assert abs(nwb.session_start_time.timestamp() - START_UTC_NS / 1e9) < 1.0
    assert list(pynwb.validate(path=str(exported))) == []


def test_the_inspector_finds_nothing_critical(exported: Path) -> None:
    inspector = pytest.importorskip("nwbinspector")
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(exported)))
    grave = [m for m in found if m.importance.name in ("CRITICAL", "ERROR", "PYNWB_VALIDATION")]
    assert [(m.check_function_name, m.message) for m in grave] == []


def test_poses_of_both_cameras(nwb: Any, recording: Recording) -> None:
    behavior = nwb.processing["behavior"]
    for poses in recording.cameras:
        estimation = behavior[f"PoseEstimation_{poses.camera}"]
        assert list(estimation.skeleton.nodes[:]) == KEYPOINTS
        assert np.asarray(estimation.skeleton.edges).tolist() == [list(edge) for edge in poses.skeleton]
        for k, name in enumerate(KEYPOINTS):
            series = estimation.pose_estimation_series[name]
            same(series.data[:], poses.xy[:, 0, k])
            same(series.confidence[:], poses.confidence[:, 0, k])
            np.testing.assert_array_equal(np.asarray(series.timestamps), poses.t_s)
        assert poses.velocity is not None
        assert poses.covariance is not None
        same(behavior[f"velocity_{poses.camera}"].data[:], poses.velocity[:, 0])
        same(behavior[f"covariance_{poses.camera}"].data[:], poses.covariance[:, 0])
        latency = behavior[f"latency_{poses.camera}"]
        assert latency.data.shape == (len(poses.t_s), len(STAGES))
        same(latency.data[:], poses.latency_s)
    film = nwb.acquisition[f"film_{FILMED}"]
    assert recording.cameras[0].pictures is not None
    np.testing.assert_array_equal(film.timestamps[:], recording.cameras[0].pictures.t_s)
    assert f"film_{NOT_FILMED}" not in nwb.acquisition


def test_events_and_stimuli(nwb: Any, recording: Recording) -> None:
    events = nwb.events["rule_events"].to_dataframe()
    assert events["rule"].tolist() == [event.rule for event in recording.events]
    assert events["outcome"].tolist() == [event.outcome for event in recording.events]
    np.testing.assert_array_equal(events["timestamp"], [event.t_s for event in recording.events])
    stimuli = nwb.events["stimuli"].to_dataframe()
    np.testing.assert_array_equal(stimuli["timestamp"], [one.t_s for one in recording.stimuli])
    assert set(stimuli["duration"]) == {0.005}
    assert set(stimuli["rule"]) == {"fast", "left"}


def test_every_stimulus_follows_from_what_was_deposited(exported: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["verify", str(exported)]) == ExitCode.DONE, capsys.readouterr().out
    said = capsys.readouterr().out
    for part in ("identical", "the manifest of the one that ran", "stimuli and poses are those of the log"):
        assert part in said
    copy = tmp_path / "copy.nwb"
    shutil.copy(exported, copy)
    with h5py.File(copy, "a") as file:
        file["events/stimuli/timestamp"][0] += 0.5
    assert main(["verify", str(copy), "--replay", "no"]) == ExitCode.FAILED
    assert "table stimuli: its column 'timestamp' is not that of the log" in capsys.readouterr().out
    with h5py.File(copy, "a") as file:
        data = file["scratch/rt_pose_session"]
        data[len(data) // 2 : len(data) // 2 + 8] = 0
    assert main(["verify", str(copy), "--replay", "no"]) in (ExitCode.MISTAKE, ExitCode.FAILED)
    with h5py.File(copy, "a") as file:
        del file["scratch/rt_pose_session"]
    capsys.readouterr()
    assert main(["verify", str(copy)]) == ExitCode.MISTAKE
    assert "it carries no session of rt-pose" in capsys.readouterr().err


def test_it_is_read_back(exported: Path, recording: Recording) -> None:
    with pytest.raises(UserError, match=r"several; one can be read: side, top"):
        read_nwb_poses(exported)
    for poses in recording.cameras:
        found = read_nwb_poses(exported, poses.camera)
        held = poses.numbers >= 0
        assert found.keypoints == KEYPOINTS
        assert found.skeleton == SKELETON
        assert [int(frame) for frame in found.frames] == poses.numbers[held].tolist()
        assert found.unnumbered == poses.unnumbered
        np.testing.assert_array_equal(found.t_s, poses.t_s[held])
        same(found.xy, poses.xy[held, 0])
        same(found.likelihood, poses.confidence[held, 0])


def write_foreign(path: Path, lengths: tuple[int, int] = (6, 6), unit: str = "pixels") -> None:
    """Poses as another program writes them: names in no order, lost frames, no numbers."""
    begin = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)
    nwb = pynwb.NWBFile(session_description="poses", identifier="1", session_start_time=begin)
    skeleton = ndx_pose.Skeleton(name="s", nodes=["tail", "nose"], edges=np.array([[0, 1]], np.uint8))
    series = [
        ndx_pose.PoseEstimationSeries(
            name=name,
            description="x, y",
            data=np.full((lengths[0], 2), value),
            unit=unit,
            reference_frame="upper left",
            confidence=np.ones(lengths[1]),
            timestamps=np.array([5.3, 5.4, 5.5, 9.5, 9.6, 9.7])[: lengths[0]],
        )
        for name, value in (("tail", 1.0), ("nose", 2.0))
    ]
    behavior = nwb.create_processing_module("behavior", "poses")
    behavior.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    behavior.add(ndx_pose.PoseEstimation(pose_estimation_series=series, skeleton=skeleton))
    with pynwb.NWBHDF5IO(str(path), "w") as file:
        file.write(nwb)


def test_poses_of_another_program(tmp_path: Path) -> None:
    write_foreign(tmp_path / "a.nwb")
    found = read_nwb_poses(tmp_path / "a.nwb")
    assert found.keypoints == ["tail", "nose"]
    assert found.xy[0].tolist() == [[1.0, 1.0], [2.0, 2.0]]
    assert [int(frame) for frame in found.frames] == [0, 1, 2, 42, 43, 44]
    write_foreign(tmp_path / "b.nwb", (6, 5))
    with pytest.raises(UserError, match="6 positions and 5 confidences"):
        read_nwb_poses(tmp_path / "b.nwb")
    write_foreign(tmp_path / "c.nwb", unit="meters")
    with pytest.raises(UserError, match="in meters; expected two columns in pixels"):
        read_nwb_poses(tmp_path / "c.nwb")
    (tmp_path / "d.nwb").write_text("no NWB")
    with pytest.raises(UserError, match="its poses cannot be read"):
        read_nwb_poses(tmp_path / "d.nwb")


def test_smooth_takes_files_of_several_programs(
    session: Session, exported: Path, tmp_path: Path, capsys: Any
) -> None:
    pytest.importorskip("sleap_io")
    slp = tmp_path / "a.slp"
    assert main(["export", str(exported), "--camera", FILMED, "--out", str(slp)]) == 0
    one = tmp_path / "one.nwb"
    assert main(["export", str(session.path), "--camera", FILMED, "--out", str(one)]) == 0
    assert main(["smooth", str(slp), str(one), "--out", str(tmp_path / "b.csv")]) == 0
    said = capsys.readouterr().out
    assert "numbered by the frames of session" in said
    assert "smoothed: " in said
    assert main(["smooth", str(slp), str(exported), "--out", str(tmp_path / "b.csv")]) == ExitCode.MISTAKE
    assert "--camera NAME --out poses.csv" in capsys.readouterr().err


def test_hindsight_takes_them_as_the_truth(
    session: Session, exported: Path, tmp_path: Path, capsys: Any
) -> None:
    copy = tmp_path / "session"
    shutil.copytree(session.path, copy)
    words = ["replay", str(copy), "--hindsight", "--truth"]
    assert main([*words, str(exported)]) == ExitCode.MISTAKE
    assert f"write --truth {FILMED}=" in capsys.readouterr().err
    assert main([*words, f"{FILMED}={exported}", "--truth", f"{NOT_FILMED}={exported}"]) == 0
    said = capsys.readouterr().out
    assert f"truth: session.nwb, frames of the film {FILMED}.mkv" in said


def test_every_column_and_series_is_compared(exported: Path, tmp_path: Path, capsys: Any) -> None:
    copy, series = tmp_path / "copy.nwb", "PoseEstimation_top/paw/confidence"
    shutil.copy(exported, copy)
    with h5py.File(copy, "a") as file:
        file["events/stimuli/amplitude"][0] += 0.5
        del file["events/stimuli/duration"]
        file["events/stimuli/delivery"][0] = b"\xff"
        file["events/rule_events/trial"][-1] += 1
        file[f"processing/behavior/{series}"][0] = 0.123
        file["processing/behavior/covariance_side/data"][3] = 1.0
    assert main(["verify", str(copy), "--replay", "no"]) == ExitCode.FAILED
    said = capsys.readouterr().out
    for part in (
        "table stimuli: its column 'amplitude' is not that of the log",
        "table stimuli: its column 'duration' cannot be compared: it is not there",
        "table stimuli: its column 'delivery' cannot be compared",
        "table rule_events: its column 'trial' is not that of the log",
        f"camera 'top': {series} is not that of the log",
        "camera 'side': covariance_side/data is not that of the log",
    ):
        assert part in said
    assert said.count("is not that of the log") == 4
    with h5py.File(copy, "a") as file:
        del file["general/devices"]
    assert main(["verify", str(copy), "--replay", "no"]) == ExitCode.FAILED
    assert "devices: none of them is a camera of the session" in capsys.readouterr().out


def test_what_a_deposit_claims_is_bounded(
    exported: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = ["verify", str(exported), "--replay", "no"]
    for limit, value, words in (
        ("HEADER_BYTES", 100, "a part of it claims"),
        ("SMALL_BYTES", 100, "there is room for"),
        ("MOST_BYTES", 100, "claims to hold"),
    ):
        monkeypatch.setattr(deposit, "MOST_RATIO", 0)
        with monkeypatch.context() as patch:
            patch.setattr(deposit, limit, value)
            assert main(verify) == ExitCode.MISTAKE
        assert words in capsys.readouterr().err
    copy = tmp_path / "copy.nwb"
    shutil.copy(exported, copy)
    with h5py.File(copy, "a") as file:
        del file["scratch/rt_pose_session"]
        file.create_group("scratch/rt_pose_session")
    assert main(["verify", str(copy)]) == ExitCode.MISTAKE
    assert "'rt_pose_session' is no array of bytes" in capsys.readouterr().err


def of_another(recording: Recording, **changes: Any) -> Recording:
    """The recording of a session that describes itself otherwise."""
    session = recording.session
    assert session is not None
    return dataclasses.replace(
        recording, session=dataclasses.replace(session, info=dataclasses.replace(session.info, **changes))
    )


def test_only_the_manifest_of_the_model_that_ran_is_deposited(
    session: Session, recording: Recording, tmp_path: Path, capsys: Any
) -> None:
    own = Path(session.info.package.path) / "manifest.json"
    assert deposit.manifests(session) == {"manifest.json": own}
    copy = tmp_path / "session" / "sub" / "package"
    copy.mkdir(parents=True)
    (copy / "manifest.json").write_text("{}")  # the first place holds another; the next one will do
    shutil.copytree(own.parent, tmp_path / "sub" / "package")
    package = dataclasses.replace(session.info.package, path="sub/package")
    moved = of_another(recording, package=package).session
    assert moved is not None
    moved = dataclasses.replace(moved, path=tmp_path / "session")
    assert deposit.manifests(moved) == {"manifest.json": tmp_path / "sub" / "package" / "manifest.json"}
    other = of_another(recording, package=dataclasses.replace(package, sha256="0" * 64))
    _print_metadata(other)
    assert "manifest.json is not deposited" in capsys.readouterr().out


def test_metadata_and_names_of_any_kind_are_written(recording: Recording, tmp_path: Path) -> None:
    metadata = {
        "notes": ["one", "two\0"],
        "lab": {"room": 3},
        "experimenter": ["Doe, Jane", 7],
        "subject": [1],
    }
    poses = dataclasses.replace(recording.cameras[0], keypoints=["no/se", "paw:1", "tail"], pictures=None)
    out, other = tmp_path / "a.nwb", of_another(recording, config={"metadata": metadata})
    assert other.session is not None
    empty = dataclasses.replace(other.session, path=tmp_path)  # so that there is nothing to deposit
    other = dataclasses.replace(other, session=empty, cameras=[poses], events=[], stimuli=[])
    write_nwb(other, out)
    with pynwb.NWBHDF5IO(str(out), "r") as file:
        nwb = file.read()
        assert (nwb.notes, nwb.lab, list(nwb.experimenter)) == ("one; two", "room: 3", ["Doe, Jane", "7"])
    found = read_nwb_poses(out)
    assert found.keypoints == ["no_se", "paw_1", "tail"]
    assert len(found.skeleton) == len(SKELETON)
    poses.keypoints[1] = "no:se"
    with pytest.raises(UserError, match="two keypoints have the same name: no/se, no:se, tail"):
        write_nwb(other, out)


def test_a_stimulus_that_was_never_answered_may_have_been(session: Session) -> None:
    pulses = {record.command.id for record in session.commands if record.command.action == "pulse"}
    answers = [record for record in session.acks if record.ack.command_id in pulses]
    acks = [record for record in session.acks if record is not answers[0]]
    whole, cut = stimuli(session, 0), stimuli(dataclasses.replace(session, acks=acks), 0)
    assert len(cut) == len(whole)
    (one,) = [stimulus for stimulus in cut if stimulus.timed_by == "asked"]
    assert (one.delivery, np.isnan(one.sent_s)) == ("unknown", True)
    assert min(abs(one.t_s - stimulus.t_s) for stimulus in whole) < 0.01


def test_rows_that_are_no_frame_of_the_video_are_counted(
    exported: Path, recording: Recording, tmp_path: Path, capsys: Any
) -> None:
    poses = next(one for one in recording.cameras if one.camera == FILMED)
    out = ["export", str(exported), "--camera", FILMED, "--out", str(tmp_path / "a.csv")]
    assert main(out) == 0
    said = capsys.readouterr().out
    assert f"missing: {poses.unnumbered} rows that are no frame of the video" in said
    assert "missing: of the file positions, confidences and their times are taken, nothing else" in said
    copy = tmp_path / "copy.nwb"
    shutil.copy(exported, copy)
    with h5py.File(copy, "a") as file:
        file[f"processing/behavior/frame_numbers_{FILMED}/data"][...] = -1
    assert main(["export", str(copy), *out[2:], "--overwrite"]) == ExitCode.MISTAKE
    assert "is a frame of its video" in capsys.readouterr().err


def test_the_manifest_of_a_camera_with_its_own_model_is_deposited_too(
    session: Session, recording: Recording, tmp_path: Path
) -> None:
    package = session.info.package
    own = OwnModelInfo(package.path, package.sha256, package.tracking)
    with_own = of_another(recording, own_models={FILMED: own, NOT_FILMED: OwnModelInfo()}).session
    assert with_own is not None
    found = deposit.manifests(with_own)
    assert list(found) == ["manifest.json", f"{FILMED}.manifest.json", f"{NOT_FILMED}.manifest.json"]
    assert (found[f"{FILMED}.manifest.json"], found[f"{NOT_FILMED}.manifest.json"]) == (
        found["manifest.json"],
        None,
    )
    with tarfile.open(fileobj=io.BytesIO(deposit.pack(with_own).tobytes()), mode="r:xz") as archive:
        deposit._extract(archive, tmp_path, 1 << 30)
    names = {"manifest.json", f"{FILMED}.manifest.json", "session.json", "log.mcap", "seal.json"}
    assert {file.name for file in tmp_path.iterdir()} == names
