"""Processes that claim and hold folders."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.session.folder import SessionFolder
from rt_pose.session.locks import temporary_folder
from rt_pose.session.read import RUNNING


def claim_at_once(path: Path, begin: Barrier, result: Connection) -> None:
    """Claim a session's folder when all are ready; tells this process, or 0 where it was refused."""
    begin.wait()
    try:
        SessionFolder.claim(path, {"schema": 1, "status": RUNNING, "id": str(os.getpid())})
    except UserError:
        result.send(0)
    else:
        result.send(os.getpid())


def hold_temporary_folder(announce: Connection) -> None:
    """Hold a temporary folder until killed."""
    with temporary_folder() as folder:
        (folder / "records").write_text("")
        announce.send(folder)
        signal.pause()
