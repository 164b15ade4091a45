"""Fixtures that every test may use."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the processor's cores, where threads of their own would only wait for each other's, and
    # spin meanwhile; and what a test finds among the temporary files is its own.
    for name, value in {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}.items():
        os.environ.setdefault(name, value)
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="rt-pose-test-")
    atexit.register(shutil.rmtree, tempfile.tempdir, ignore_errors=True)

from support import programs, warm_workers  # what they import reads the environment
from support.one_thread import one_thread
from support.patience import PATIENCE_S
from support.shared import shared_folder
from support.synthetic_session import write_session
from support.warm_processes import PROGRAMS, RUNS, WarmContext, server

from rt_pose.session import processes

gc.disable()  # until all is collected: what is imported stays, and to search it again and again takes seconds

ROOT = Path(__file__).resolve().parent.parent
ALONE = "alone"
"""The mark of the tests beside which nothing may run."""
LONG = (
    *("session/test_run.py", "train/support", "train/fitting", "train/distillation", "bench/torture"),
    *("bench/test_safety.py", "cli/test_main.py", "train", "bench", "audit", "session", "rigs", "contracts"),
    *("test_extras.py", "docs", "offline", "cli", "inference", "loop", "examples", "reports", "export"),
    *("test_names.py", "test_logging.py", "decisions/test_aim.py", "experiments"),
)
"""Folders and files of the tests that take longest, these first."""
os.environ.setdefault("LSLAPICFG", str(ROOT / "tests" / "support" / "lsl_api.cfg"))  # read once, by liblsl


def pytest_configure(config: pytest.Config) -> None:
    """Begin what the tests share, before there are any: it imports while they are collected."""
    side_by_side = bool(getattr(config.option, "numprocesses", None))
    if "PYTEST_XDIST_WORKER" in os.environ or not (side_by_side or config.option.markexpr == ALONE):
        return
    for imports in (PROGRAMS, RUNS) if side_by_side else (RUNS,):
        server(imports).ensure_running()
    if side_by_side:
        shared_folder()
        warm_workers.install()
        gc.enable()  # this process collects nothing


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only those marked `alone` are wanted, leave out the many modules that have none."""
    if config.option.markexpr != ALONE or collection_path.suffix != ".py" or has_mark(collection_path):
        return None
    return True


def has_mark(module: Path) -> bool:
    """Whether the text of a module has the mark."""
    return f"pytest.mark.{ALONE}" in module.read_text(encoding="utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that at the end no process waits for another."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT / "tests").as_posix()
        return next((i for i, start in enumerate(LONG) if path.startswith(start)), len(LONG))

    items.sort(key=place)
    for module in {item.path for item in items if item.get_closest_marker(ALONE)}:
        if not has_mark(module):
            raise pytest.UsageError(f"{module}: write `pytest.mark.{ALONE}`, or its tests are never run")


def pytest_collection_finish() -> None:
    """From here on garbage is collected, and not looked for among what was imported."""
    gc.enable()
    gc.freeze()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("RT_POSE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here: no folder {folder}; set RT_POSE_DATA")
    return folder


@pytest.fixture(scope="session")
def mirror_mouse(data_dir: Path) -> Path:
    """Lightning Pose folder of a head-fixed mouse (MIT): 72 labeled frames and a 250 fps video."""
    return data_dir / "mirror-mouse"


@pytest.fixture(scope="session")
def synthetic_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 made-up frames at 50 a second, written by a real recorder. Read only."""
    path = tmp_path_factory.mktemp("synthetic") / "session"
    write_session(path, frames=600)
    return path


@pytest.fixture(scope="session", autouse=True)
def runtime_folder() -> Iterator[Path]:
    """The folder of the runs' key files, and of what is kept between runs: others than those of who tests."""
    with tempfile.TemporaryDirectory(prefix="rt-pose-test-") as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", place)
        patch.setenv("XDG_CACHE_HOME", place)
        yield Path(place)


@pytest.fixture(scope="session", autouse=True)
def engines_of_one_thread() -> Iterator[None]:
    """Engines that leave the other cores to the other workers."""
    with pytest.MonkeyPatch.context() as patch:
        one_thread(patch.setattr)
        yield


@pytest.fixture(scope="session", autouse=True)
def warm_processes() -> Iterator[None]:
    """Runs whose processes begin in milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "context", WarmContext(RUNS))
        yield


@pytest.fixture(scope="module")
def warm_programs() -> Iterator[None]:
    """Programs of ours, and what they spawn, that begin in milliseconds, where a module asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        programs.install(patch.setattr)
        yield


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """A test that leaves one of our threads running fails: in the program it would outlive its session."""
    before = set(threading.enumerate())
    yield
    leaked = []
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("rt-pose"):
            thread.join(PATIENCE_S)
            if thread.is_alive():
                leaked.append(thread.name)
    assert not leaked, f"threads left running: {leaked}"
