"""The configurations that come with rt-pose: listed, copied, and found by name where no such file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from rt_pose.cli.main import main
from rt_pose.config.build import load
from rt_pose.config.files import find_config
from rt_pose.config.schema import RunConfig
from rt_pose.config.shipped import FOLDER, find_shipped, shipped_configs
from rt_pose.config.views import place_calibrations
from rt_pose.decisions.check import check
from rt_pose.errors import UserError
from rt_pose.views.calibration_file import read_calibration
from rt_pose.views.view_poses import cameras_of
from train.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]


def test_every_file_of_configs_is_listed_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    messages = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    folder = ROOT / "configs"
    assert set(messages) == {path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")}
    assert messages["video.yaml"].startswith("A recorded video through the live path")
    assert all(len(about) > 20 for about in messages.values())


@pytest.mark.parametrize("name", ["video", "video.yaml", "configs/video.yaml", "./configs/video.yaml"])
def test_a_name_is_found_outside_of_the_clone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == FOLDER / "video.yaml"


def test_a_file_goes_before_what_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("video.yaml").write_text("budget_ms: 20\n")
    assert find_config("video.yaml") == Path("video.yaml")
    assert find_shipped("video.yaml") == FOLDER / "video.yaml"


def test_what_is_neither_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no such file, and none that comes .*did you mean 'video.yaml'"):
        find_config("vidoe.yaml")
    with pytest.raises(UserError, match="is a folder"):
        find_config(tmp_path)


def test_a_shipped_configuration_is_run_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["rules", "check", "demo"]) == 0
    assert "inside centre" in capsys.readouterr().out
    assert main(["run", "rigs/simulated", "--model", "nowhere"]) == 2
    assert "model package nowhere: no such folder" in capsys.readouterr().err


def test_copy_writes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["configs", "copy", "train/demo"]) == 0
    assert Path("demo.yaml").read_bytes() == (FOLDER / "train" / "demo.yaml").read_bytes()
    Path("demo.yaml").write_text("mine\n")
    assert main(["configs", "copy", "demo"]) == 2
    assert "demo.yaml exists already; give another --out" in capsys.readouterr().err
    assert Path("demo.yaml").read_text() == "mine\n"
    assert main(["configs", "copy", "demo", "--out", "other.yaml"]) == 0
    assert Path("other.yaml").read_bytes() == (FOLDER / "demo.yaml").read_bytes()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["copy"], "there is no ''; valid here: "),
        (["copy", "vidoe"], "did you mean 'video.yaml'"),
        (["print", "video"], "expected `configs`, or `configs copy NAME`, got 'print'"),
        (["copy", "video", "--out", "no/such/folder.yaml"], "cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["configs", *words]) == 2
    assert expected in capsys.readouterr().err


def test_the_package_holds_the_clone_s_own_files() -> None:
    """One folder with two doors, so that there is nothing to keep in step."""
    assert FOLDER.resolve() == (ROOT / "configs").resolve()
    assert len(shipped_configs()) >= 10


def test_the_calibration_of_a_configuration_is_copied_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["configs", "copy", "views", "--out", "mine.yaml"]) == 0
    assert Path("mine.yaml").read_bytes() == (FOLDER / "views.yaml").read_bytes()
    assert Path("views.toml").read_bytes() == (FOLDER / "views.toml").read_bytes()
    assert capsys.readouterr().out == "configuration: mine.yaml\nit refers to: views.toml\n"


def test_a_file_above_the_configuration_is_copied_beside_it_and_named_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = (FOLDER / "experiments" / "rearing.yaml").read_text()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["configs", "copy", "experiments/rearing"]) == 0
    assert Path("rearing.yaml").read_text() == shipped.replace("calibration: ../views", "calibration: views")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["here", "rearing.yaml", "views.toml"]
    capsys.readouterr()
    assert main(["configs", "copy", "views"]) == 0
    assert "it refers to: views.toml, which was there already" in capsys.readouterr().out


def test_nothing_is_written_where_another_file_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("views.toml").write_text("mine\n")
    assert main(["configs", "copy", "views"]) == 2
    assert "configs copy: views.toml exists already; give another --out" in capsys.readouterr().err
    assert not Path("views.yaml").exists()
    Path("views.yaml").write_text("mine\n")
    assert main(["configs", "copy", "views"]) == 2
    assert "views.yaml, views.toml exist already" in capsys.readouterr().err


def test_every_configuration_loads_where_it_was_copied_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in an empty folder, as `rt-pose run`, `rules check` and `train fit` read it."""
    for shipped in shipped_configs():
        folder = tmp_path / shipped.name.replace("/", "-")
        folder.mkdir()
        monkeypatch.chdir(folder)
        assert main(["configs", "copy", shipped.name]) == 0
        copied = Path(shipped.path.name)
        if shipped.name.startswith("train/"):
            assert load(TrainConfig, copied) == load(TrainConfig, shipped.path)
            continue
        config = load(RunConfig, copied)
        place_calibrations(config.views, copied)
        for name, group in config.views.items():
            found = cameras_of(
                read_calibration(Path(group.calibration)), list(group.camera_names.values()), name
            )
            assert len(found) == len(group.cameras)
        for rule in config.rules:
            rule.yoke_times_s = None if rule.yoke is None else []  # that session is the user's
        check(config)
