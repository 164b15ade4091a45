"""A session of two animals in every format: each keeps its name, and an empty slot is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import recorded_session as recorded

from rt_pose.cli.main import main
from rt_pose.errors import UserError
from rt_pose.export.film import animal_colour, draw
from rt_pose.export.nwb_check import differing_parts
from rt_pose.export.poses import Poses, recording_of_session, spread
from rt_pose.offline.nwb_poses import read_nwb_poses
from rt_pose.offline.pose_files import read_pose_file
from rt_pose.session.read import Session

EMPTY = list(recorded.BO_EMPTY)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return Session.read(recorded.write_recorded_session(tmp_path_factory.mktemp("several") / "session"))


@pytest.fixture(scope="module")
def poses(session: Session) -> Poses:
    return recording_of_session(session, ["left"]).cameras[0]


def export(session: Session, out: Path, *more: str) -> Path:
    assert main(["export", str(session.path), "--out", str(out), *more]) == 0
    return out


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(np.asarray(found, np.float32), np.asarray(expected, np.float32))


def test_slots_have_names_confidences_and_gaps(poses: Poses) -> None:
    assert poses.individuals == recorded.INDIVIDUALS
    assert poses.xy.shape == (recorded.FRAMES, 2, 2, 2)
    same(poses.xy[10], recorded.keypoints(10))
    same(poses.confidence[10], [[0.9, 0.8], [0.7, 0.6]])  # those of the detections that the slots took
    assert np.flatnonzero(np.isnan(poses.xy[:, 1]).all(axis=(1, 2))).tolist() == EMPTY
    assert np.isnan(poses.confidence[EMPTY, 1]).all()
    assert poses.identity_p is not None
    assert np.flatnonzero(poses.identity_p[:, 1] < 0.9).tolist() == list(recorded.BO_UNSURE)
    assert np.isnan(poses.xy[25, 1, 1]).all(), "its tail was lost"


def test_tables_have_a_row_of_individuals(
    session: Session, poses: Poses, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    csv = export(session, tmp_path / "a.csv", "--camera", "left")
    assert "left out, since csv has no place for it: probabilities of identity" in capsys.readouterr().out
    hdf = export(session, tmp_path / "a.h5", "--format", "dlc-h5", "--camera", "left")
    expected = spread(np.concatenate([poses.xy, poses.confidence[..., None]], axis=-1), poses)
    for table in (pd.read_csv(csv, header=[0, 1, 2, 3], index_col=0), pd.read_hdf(hdf)):
        assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
        assert list(table.columns.get_level_values(1).unique()) == recorded.INDIVIDUALS
        same(table.to_numpy().reshape(expected.shape), expected)


def test_sleap_gets_a_track_each(session: Session, poses: Poses, tmp_path: Path) -> None:
    sio = pytest.importorskip("sleap_io")
    slp = export(session, tmp_path / "a.slp", "--camera", "left")
    table = export(session, tmp_path / "a.h5", "--format", "analysis-h5", "--camera", "left")
    for labels in (
        sio.load_slp(str(slp), open_videos=False),
        sio.load_file(str(table), format="analysis_h5"),
    ):
        assert [track.name for track in labels.tracks] == recorded.INDIVIDUALS
        assert [len(frame.instances) for frame in labels] == [
            1 if i in recorded.BO_EMPTY else 2 for i in range(recorded.FRAMES)
        ]
        by_name = {instance.track.name: instance for instance in labels[30].instances}
        for n, name in enumerate(recorded.INDIVIDUALS):
            same(by_name[name].numpy(), poses.xy[30, n])
        assert by_name["bo"].tracking_score == pytest.approx(0.8)
    for path in (slp, table):
        found = read_pose_file(path, several=True)
        assert found.individuals == recorded.INDIVIDUALS
        same(found.xy, poses.xy)
        with pytest.raises(UserError, match="frames hold more than one animal"):
            read_pose_file(path)


def test_netcdf_and_parquet_keep_who_is_who(session: Session, poses: Poses, tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    pq = pytest.importorskip("pyarrow.parquet")
    out = export(session, tmp_path / "a.nc", "--camera", "left")
    with xr.open_dataset(out, engine="h5netcdf") as data:
        assert data.individuals.values.tolist() == recorded.INDIVIDUALS
        same(data.position.sel(individuals="bo").values.transpose(0, 2, 1), poses.xy[:, 1])
        same(data.covariance.values[0, :, 0, 0], [1.0, 0.0, 1.0])
        same(data.identity_p.values, poses.identity_p)
    table = pq.read_table(export(session, tmp_path / "a.parquet"))
    assert table.num_rows == 2 * 2 * recorded.FRAMES
    rows = table.filter((np.array(table["camera"]) == "left") & (np.array(table["individual"]) == "bo"))
    same(rows["nose.x"].to_numpy(), poses.xy[:, 1, 0, 0])
    assert poses.identity_p is not None
    same(rows["identity_p"].to_numpy(), poses.identity_p[:, 1])
    assert json.loads(table.schema.metadata[b"rt_pose"])["keypoints"] == recorded.KEYPOINTS


def test_nwb_has_poses_of_each_and_events_say_whose(session: Session, poses: Poses, tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    pytest.importorskip("ndx_pose")
    out = export(session, tmp_path / "a.nwb")
    with pynwb.NWBHDF5IO(str(out), "r") as file:
        nwb = file.read()
        behavior = nwb.processing["behavior"]
        same(behavior["PoseEstimation_left_bo"].pose_estimation_series["nose"].data[:], poses.xy[:, 1, 0])
        same(behavior["identity_p_left_bo"].data[:], poses.identity_p[:, 1])  # type: ignore[index]
        assert set(nwb.events["rule_events"].to_dataframe()["individual"]) == {"ada"}
    assert list(differing_parts(out, session)) == []
    found = read_nwb_poses(out, "left_bo")
    same(found.xy, poses.xy[:, 1])
    assert [int(frame) for frame in found.frames] == poses.numbers.tolist()


def test_a_film_has_a_colour_an_animal(poses: Poses) -> None:
    image = np.zeros((recorded.HEIGHT, recorded.WIDTH, 3), np.uint8)
    draw(poses, 20, image)
    for n in range(2):
        x, y = np.rint(poses.xy[20, n, 0]).astype(int)
        assert tuple(image[y, x]) == animal_colour(n)
    gone = np.zeros_like(image)
    draw(poses, EMPTY[0], gone)
    assert not (gone == animal_colour(1)).all(axis=-1).any()


def test_rerun_has_a_class_an_animal(session: Session, poses: Poses, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    from rerun.chunk import RrdReader

    reader = RrdReader(export(session, tmp_path / "a.rrd", "--camera", "left"))
    chunks = {chunk.entity_path: chunk.to_record_batch() for chunk in reader.stream() if not chunk.is_static}
    seen = np.isfinite(poses.xy).all(axis=-1)
    classes = chunks["/left/pose"]["Points2D:class_ids"].to_pylist()
    assert classes == [np.nonzero(row)[0].tolist() for row in seen]
    assert len(chunks["/speed/left/bo/nose"]) == int(seen[:, 1, 0].sum())
