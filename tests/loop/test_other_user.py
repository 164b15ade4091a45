"""Two users of one machine: who does not run the experiment cannot arm it, and reads no keys of it."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.other_user import try_as_another_user

from rt_pose.loop.control import Control, ControlSocket
from rt_pose.loop.key_files import key_folders, key_name
from rt_pose.session import processes
from rt_pose.session.locks import temporary_folder
from rt_pose.session.orders import send_order

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
DENIED = "[Errno 13] Permission denied"


@pytest.fixture
def open_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody can enter, as the user's cache often is; the run makes its folders in it."""
    with tempfile.TemporaryDirectory(prefix="rt-pose-open-", dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield place


def attempts(address: str, keys: Path, folders: list[Path]) -> dict[str, str]:
    """What came of each attempt of another user's process."""
    ours, theirs = processes.context.Pipe(duplex=False)
    work = (address, str(keys), [str(folder) for folder in folders], theirs)
    other = processes.context.Process(target=try_as_another_user, args=work, name="rt-pose-other-user")
    other.start()
    theirs.close()
    found: dict[str, str] = ours.recv()
    other.join()
    ours.close()
    if not found:
        pytest.skip("this root may not become another user")
    return found


def test_another_user_cannot_arm_and_reads_no_keys(open_place: Path) -> None:
    control = Control(ControlSocket("tcp://127.0.0.1:*"), deque(), dict, dict, lambda: 10, list)
    control.start()
    keys = key_folders()[0] / key_name(control.address)
    before = keys.read_bytes()
    try:
        with temporary_folder() as records:  # in which the recorder's socket lies
            folders = [open_place, keys.parent, records]
            found = attempts(control.address, keys, folders)
            assert found.pop("list folder 0") == "done", "it comes as far as that"
            assert [name for name, said in found.items() if said == "done"] == []
            assert "is not there; does a run of yours listen at" in found["arm"]
            assert "cannot be read: Permission denied" in found["arm with the file's name"]
            assert found["arm with keys of one's own"] == "no answer"
            keys.parent.chmod(0o755)
            found = attempts(control.address, keys, folders)
            assert found["list folder 1"] == "done", "from here on the file's own mode alone protects it"
            assert all(found[f"{verb} the keys"].startswith(DENIED) for verb in ("read", "write", "remove"))
            assert "cannot be read: Permission denied" in found["arm"]
        assert keys.read_bytes() == before
        assert not control.inbox
        assert send_order(control.address, "status")["ok"], "its own user is still served"
    finally:
        control.stop()
