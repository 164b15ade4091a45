"""The model package: whole, or refused with the reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.tiny_package import make_tiny_package

from rt_pose.errors import UserError
from rt_pose.package import GOLDEN, MANIFEST, NETWORK, Package, golden_check, read_package


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(written: Package, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(written.path, tmp_path / "package"))


def rewrite_manifest(folder: Path, **changes: object) -> None:
    plain = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(plain | changes))


def test_what_was_written_is_read(written: Package, folder: Path) -> None:
    found = read_package(folder)
    assert found.manifest == written.manifest
    assert found.sha256 == written.sha256
    assert len(found.sha256) == 64
    np.testing.assert_array_equal(found.golden.xy, written.golden.xy)
    np.testing.assert_array_equal(found.golden.frames, written.golden.frames)
    assert set(found.manifest.files) == {NETWORK, GOLDEN, "network.pt2"}


@pytest.mark.parametrize("name", [NETWORK, GOLDEN, "network.pt2", MANIFEST])
@pytest.mark.parametrize("where", [0.0, 0.37, 0.999])
def test_one_flipped_byte_is_found(folder: Path, name: str, where: float) -> None:
    data = bytearray((folder / name).read_bytes())
    data[int(where * len(data))] ^= 0x01
    (folder / name).write_bytes(data)
    with pytest.raises(UserError, match=rf"{name} is damaged"):
        read_package(folder)


@pytest.mark.parametrize("name", [NETWORK, GOLDEN, "network.pt2"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        read_package(folder)


def test_no_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    with pytest.raises(UserError, match=f"no {MANIFEST}"):
        read_package(folder)


def test_not_a_folder(folder: Path) -> None:
    for path in (folder / "nowhere", folder / NETWORK):
        with pytest.raises(UserError, match="no such folder"):
            read_package(path)


@pytest.mark.parametrize("schema", [0, 3, "1", None])
def test_another_schema_is_refused(folder: Path, schema: object) -> None:
    rewrite_manifest(folder, schema=schema)
    with pytest.raises(UserError, match=rf"schema {schema!r}, this program reads 1"):
        read_package(folder)


def test_an_edited_manifest_is_refused(folder: Path) -> None:
    rewrite_manifest(folder, keypoints=["a", "b", "c", "d"])
    with pytest.raises(UserError, match="damaged"):
        read_package(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"schema": 1}'])
def test_a_manifest_that_is_none(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=r"damaged|schema"):
        read_package(folder)


def test_golden_check_gives_the_displacement(written: Package) -> None:
    golden = written.golden
    moved = golden.xy + np.array([0.03, 0.0])
    assert golden_check(written, "float32", lambda _: (moved, golden.confidence)) == pytest.approx(0.03)


def test_golden_check_beyond_tolerance(written: Package) -> None:
    golden = written.golden
    moved = golden.xy.copy()
    moved[1, 2, 1] += 0.08
    with pytest.raises(UserError, match=r"float32 moves the golden keypoints by 0.080 px \(largest\)"):
        golden_check(written, "float32", lambda _: (moved, golden.confidence))
    # bf16 was recorded with P95 1.0: one keypoint at 0.08 px is nothing, all at 1.6 px are too much.
    golden_check(written, "bf16", lambda _: (moved, golden.confidence))
    with pytest.raises(UserError, match=r"1.600 px \(P95\), tolerance 1.500 px"):
        golden_check(written, "bf16", lambda _: (golden.xy + np.array([1.6, 0.0]), golden.confidence))


def test_golden_check_looks_at_confident_keypoints_only(written: Package) -> None:
    golden = written.golden
    unsure = golden.confidence.copy()
    unsure[0, 0] = 0.4
    moved = golden.xy.copy()
    moved[0, 0] += 50.0
    package = Package(written.path, written.manifest, type(golden)(golden.frames, golden.xy, unsure))
    assert golden_check(package, "float32", lambda _: (moved, unsure)) == 0.0
    blind = Package(written.path, written.manifest, type(golden)(golden.frames, golden.xy, 0.0 * unsure))
    with pytest.raises(UserError, match="none of its golden keypoints"):
        golden_check(blind, "float32", lambda _: (moved, unsure))


def test_golden_keypoints_that_come_out_nan_are_refused(written: Package) -> None:
    nan = np.full_like(written.golden.xy, np.nan)
    with pytest.raises(UserError, match="nan px"):
        golden_check(written, "float32", lambda _: (nan, written.golden.confidence))


def test_a_precision_never_tried_is_refused(written: Package) -> None:
    with pytest.raises(UserError, match="precision 'int8' was never tried at export"):
        golden_check(written, "int8", lambda _: (written.golden.xy, written.golden.confidence))
