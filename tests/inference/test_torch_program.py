"""A torch program is read as tensors and operators; what is pickled in it is not run."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_package import make_tiny_package

from rt_pose.errors import UserError
from rt_pose.inference.engine import open_engine
from rt_pose.inference.engines.torch_reference import PROGRAM
from rt_pose.inference.torch_program import FORCE_TENSORS, read_program
from rt_pose.package import Package


class WritesAFile:
    """Comes back from a pickle by writing a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "it was run")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


def pickled(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def rewrite(source: Path, target: Path, changes: dict[str, bytes]) -> None:
    """Copy an archive with other members in it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        changes = {f"{root}/{name}": data for name, data in changes.items()}
        for name in old.namelist():
            if name not in changes:
                new.writestr(name, old.read(name))
        for name, data in changes.items():
            new.writestr(name, data)


def weights_pickled(source: Path) -> bytes:
    with zipfile.ZipFile(source) as archive:
        name = next(n for n in archive.namelist() if n.endswith("model_weights_config.json"))
        return archive.read(name).replace(b'"use_pickle": false', b'"use_pickle": true')


@pytest.mark.parametrize("place", ["sample", "weight", "opaque", "machine code"])
def test_what_would_have_to_be_run_is_refused(package: Package, tmp_path: Path, place: str) -> None:
    marker, file = tmp_path / "marker", tmp_path / PROGRAM
    source, bad = package.path / PROGRAM, pickled(WritesAFile(marker))
    rewrite(
        source,
        file,
        {
            "sample": {"data/sample_inputs/model.pt": bad},
            "weight": {
                "data/weights/model_weights_config.json": weights_pickled(source),
                "data/weights/weight_0": bad,
                "data/weights/weight_1": bad,
            },
            "opaque": {"data/constants/opaque_obj_0": bad},
            "machine code": {"data/aotinductor/model/x.wrapper.so": b""},
        }[place],
    )
    with pytest.raises(UserError, match=r"network .*network\.pt2: torch cannot load it"):
        open_engine("torch", tmp_path, package.manifest.input, "float32", 1)
    assert not marker.exists()


def test_an_archive_that_was_only_copied_is_read(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FORCE_TENSORS, raising=False)
    rewrite(package.path / PROGRAM, tmp_path / PROGRAM, {})
    assert read_program(tmp_path / PROGRAM).state_dict.keys() == {"levels", "kernel"}
    assert FORCE_TENSORS not in os.environ
