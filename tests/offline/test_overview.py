"""`rt-pose predict --videos`: quality, pictures, Parquet and one table over all, made once and kept."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.disc_videos import SIZE, disc_truth, write_disc_video
from support.tiny_package import make_tiny_package

from rt_pose.cli.main import main
from rt_pose.extras import installed
from rt_pose.offline.contact_sheet import CAPTION_PX, TILE, write_contact_sheet

NETWORK = ["--engine.precision", "float32", "--engine.threads", "1"]
FRAMES = 24


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_package(tmp_path_factory.mktemp("package")).path


@pytest.fixture(scope="module")
def predicted(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `films` and `out`: videos that are good, stand still, are mostly dark, or are none."""
    folder = tmp_path_factory.mktemp("predicted")
    write_disc_video(folder / "films" / "day1" / "good.avi", FRAMES)
    write_disc_video(folder / "films" / "day1" / "still.avi", FRAMES, step=0.0)
    write_disc_video(folder / "films" / "day2" / "dark.avi", FRAMES, step=1e4)
    (folder / "films" / "none.avi").write_text("no video")
    assert main(command(package, folder)) == 1
    return folder


@pytest.fixture
def folder(predicted: Path, tmp_path: Path) -> Path:
    return shutil.copytree(predicted, tmp_path / "copy")


def command(package: Path, folder: Path, *more: str) -> list[str]:
    words = ["predict", "--model", str(package), "--videos", str(folder / "films")]
    return [*words, "--out", str(folder / "out"), *NETWORK, *more]


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "out" / "overview.csv").open(newline="") as file:
        return {Path(row["video"]).name: row for row in csv.DictReader(file)}


def test_every_video_is_graded_and_the_worst_frames_are_drawn(predicted: Path) -> None:
    found = rows(predicted)
    assert {name: row["grade"] for name, row in found.items()} == {
        "good.avi": "good",
        "still.avi": "bad",
        "dark.avi": "bad",
        "none.avi": "failed",
    }
    good, still, dark = (found[f"{name}.avi"] for name in ("good", "still", "dark"))
    assert (good["lost"], good["implausible"], good["frozen"], good["drifted"]) == ("0", "", "0", "0")
    assert float(still["frozen"]) == pytest.approx((FRAMES - 1) / FRAMES, abs=1e-5)
    assert float(dark["lost"]) == pytest.approx((FRAMES - 2) / FRAMES, abs=1e-5)  # frames 0 and 20 are lit
    assert not {"0", "20"} & set(dark["worst_frames"].split())
    assert "not a video" in found["none.avi"]["failure"]
    assert (good["frames"], good["table"]) == (str(FRAMES), "day1/good.csv")
    for row in (good, still, dark):
        picture = cv2.imread(str(predicted / "out" / row["picture"]))
        assert picture.shape == (3 * (TILE[1] + CAPTION_PX), 4 * TILE[0], 3)
    assert not (predicted / "out" / "none.worst.jpg").exists()
    assert (predicted / "out" / "overview.parquet").is_file() == installed("pyarrow")


def test_a_second_go_makes_nothing_again_but_what_is_missing_or_asked_for_otherwise(
    package: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "films" / "none.avi").unlink()
    out = folder / "out" / "day1"
    tables = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("day*/*.csv")}
    assert main(command(package, folder)) == 0
    assert "0 predicted, 3 done before, 0 failed" in capsys.readouterr().out
    (out / "good.worst.jpg").unlink()
    assert main(command(package, folder)) == 0
    assert "1 tables lack their quality, or files next to them" in capsys.readouterr().out
    assert (out / "good.worst.jpg").is_file()
    assert main(command(package, folder, "--quality.frozen_frames", "100", "--quality.worst", "0")) == 0
    messages = capsys.readouterr().out
    assert "3 tables lack" in messages
    assert "engine:" not in messages
    assert rows(folder)["still.avi"]["frozen"] == "0"
    assert {path: path.stat().st_mtime_ns for path in tables} == tables


def test_an_overview_is_made_of_the_records_alone_by_other_limits(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(folder / "films")
    out = folder / "out"
    (out / "day2" / "dark.csv").unlink()
    assert main(["overview", str(out), "--limits.frozen", "0.5", "1"]) == 0
    found = rows(folder)
    assert [found[f"{name}.avi"]["grade"] for name in ("good", "still", "dark", "none")] == [
        *("good", "check", "open", "failed")
    ]
    messages = capsys.readouterr().out
    assert "quality: 1 good, 1 check, 1 open, 1 failed" in messages
    assert "check: day1/still.csv: frozen 96 %; its worst frames: day1/still.worst.jpg" in messages
    (out / "overview.csv").write_text("mine")
    assert main(["overview", str(out)]) == 2
    assert (out / "overview.csv").read_text() == "mine"
    (folder / "empty").mkdir()
    assert main(["overview", str(folder / "empty")]) == 2
    assert main(["overview", str(folder / "nowhere")]) == 2
    messages = capsys.readouterr().err
    assert "not as a result of this command" in messages
    assert "no record of a predicted video" in messages
    assert "no such folder" in messages


def test_videos_one_after_another_and_from_a_list_with_parquet(
    package: Path, predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    films, out = predicted / "films", tmp_path / "out"
    listed = tmp_path / "list.txt"
    listed.write_text(f"{films}/day2/dark.avi\n")
    words = ["predict", "--model", str(package), "--out", str(out), *NETWORK, "--parquet"]
    assert main([*words, "--videos", str(films / "day1" / "good.avi"), "--videos-from", str(listed)]) == 0
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.parquet")) == [
        *("day1/good.parquet", "day2/dark.parquet", "overview.parquet")
    ]
    table = pq.read_table(out / "day1" / "good.parquet").to_pydict()
    assert table["number"] == list(range(FRAMES))
    assert np.allclose(np.diff(table["t_s"]), 1 / 50)
    found = np.stack([table["k1.x"], table["k1.y"]], axis=1)
    assert np.abs(found - [disc_truth(i)[1] for i in range(FRAMES)]).max() < 3.0
    overview = pq.read_table(out / "overview.parquet").to_pylist()
    first = overview[0]
    assert (first["table"], first["parquet"], first["frozen"]) == ("day1/good.csv", "day1/good.parquet", 0.0)
    single = ["predict", "--model", str(package), "--video", str(films / "day1" / "good.avi"), *NETWORK]
    assert main([*single, "--out", str(tmp_path / "one.csv"), "--parquet"]) == 0
    assert pq.read_table(tmp_path / "one.parquet").to_pydict()["k1.x"] == table["k1.x"]
    mine = tmp_path / "two.parquet"
    mine.write_text("mine")
    assert main([*single, "--out", str(tmp_path / "two.csv"), "--parquet"]) == 2
    assert mine.read_text() == "mine"
    assert "not as a result of this command" in capsys.readouterr().err
    assert main([*words, "--videos-from", str(tmp_path / "gone.txt")]) == 2
    assert "--videos-from" in capsys.readouterr().err


def test_a_picture_shows_the_part_of_a_frame_where_the_animal_is(tmp_path: Path) -> None:
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    image[40:60, 50:70] = (0, 0, 255)
    xy = np.array([[60.0, 50.0], [np.nan, np.nan], [310.0, 250.0]])
    seen = np.array([True, False, False])
    write_contact_sheet(tmp_path / "a.jpg", [image], [xy], [seen], ["7 löst"], [(0, 1), (0, 2)])
    picture = cv2.imread(str(tmp_path / "a.jpg"))
    assert picture.shape == (TILE[1] + CAPTION_PX, TILE[0], 3)
    blue = (picture[: TILE[1], :, 0] > 150) & (picture[: TILE[1], :, 2] < 100)
    assert blue.mean() > 3 * (20 * 20) / (SIZE[0] * SIZE[1])  # it is enlarged
    nothing = np.zeros(3, bool)
    write_contact_sheet(tmp_path / "a.jpg", [image] * 5, [xy] * 5, [nothing] * 5, [""] * 5, [])
    picture = cv2.imread(str(tmp_path / "a.jpg"))
    assert picture.shape == (2 * (TILE[1] + CAPTION_PX), 4 * TILE[0], 3)
    assert picture[-TILE[1] :, TILE[0] :].max() < 20  # no fifth, sixth and seventh frame
