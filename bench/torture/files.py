"""Cases of damaged files: whatever reads them gives one message, or does without what is gone."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

from bench.torture.mutate import mutate_bytes, mutate_text
from rt_pose.audit.audit import Audit, audit
from rt_pose.config.build import load
from rt_pose.config.schema import RunConfig
from rt_pose.config.shipped import shipped_configs
from rt_pose.decisions.check import check
from rt_pose.errors import ExitCode, UserError
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.package import GOLDEN, MANIFEST, NETWORK, read_package
from rt_pose.reports.session_report import make_report
from rt_pose.session.log_file import LOG_NAME, read_log
from rt_pose.session.read import INFO_NAME
from train.config import TrainConfig

LABELS = "CollectedData.csv"
REPORT_EVERY = 10
"""One damaged log of so many is reported as well, which takes ten times as long as its replay."""


def damaged_yaml(work: Path, seed: int) -> str:
    """Check a shipped configuration with some of its text changed.

    Parameters
    ----------
    work
        Folder of the case.
    seed
        Draws the configuration and the changes.

    Returns
    -------
    str
        What did not hold; empty where all did.
    """
    random = np.random.default_rng(seed)
    shipped = shipped_configs()
    chosen = shipped[random.integers(len(shipped))].path
    file = work / "changed.yaml"
    text = mutate_text(chosen.read_text(encoding="utf-8"), random)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(UserError):
        if chosen.parent.name == "train":
            load(TrainConfig, file)
        else:
            check(load(RunConfig, file))
    return ""


def damaged_package(work: Path, seed: int) -> str:
    """Read a model package of which one file is damaged; a manifest sometimes with its hash mended.

    Parameters
    ----------
    work
        Folder of the case; `package` beside it is the whole one.
    seed
        Draws the file and the damage.

    Returns
    -------
    str
        What did not hold; empty where all did.
    """
    random = np.random.default_rng(seed)
    package = Path(shutil.copytree(work.parent / "package", work / "package"))
    file = package / (MANIFEST, NETWORK, GOLDEN)[random.integers(3)]
    before = file.read_bytes()
    if file.name == MANIFEST and random.integers(2):
        after = _rehashed(mutate_text(before.decode(), random)).encode("utf-8", "surrogatepass")
    else:
        after = mutate_bytes(before, random)
    file.write_bytes(after)
    try:
        read_package(package)
    except UserError:
        return ""
    whole = after == before or file.name == MANIFEST  # whose text may change in what means nothing
    return "" if whole else f"a damaged {file.name} was taken for whole"


def _copy_session(work: Path) -> Path:
    return Path(shutil.copytree(work.parent / "session", work / "session"))


def damaged_session(work: Path, seed: int) -> str:
    """Replay and report a session whose description is damaged.

    Parameters
    ----------
    work
        Folder of the case; `session` beside it is the whole one.
    seed
        Draws the damage.

    Returns
    -------
    str
        What did not hold; empty where all did.
    """
    random = np.random.default_rng(seed)
    session = _copy_session(work)
    file = session / INFO_NAME
    file.write_bytes(mutate_bytes(file.read_bytes(), random))
    with contextlib.suppress(UserError):
        audit(session, Audit())
    with contextlib.suppress(UserError):
        make_report(session)
    return ""


def damaged_log(work: Path, seed: int) -> str:
    """Read and replay a session whose log is damaged, and now and then report it.

    Parameters
    ----------
    work
        Folder of the case; `session` beside it is the whole one.
    seed
        Draws the damage.

    Returns
    -------
    str
        What did not hold; empty where all did.
    """
    random = np.random.default_rng(seed)
    session = _copy_session(work)
    log = session / LOG_NAME
    log.write_bytes(mutate_bytes(log.read_bytes(), random))
    whole, (read, gaps) = _records(work.parent / "session"), read_log(log)
    exit_code = ExitCode.MISTAKE
    with contextlib.suppress(UserError):
        exit_code = audit(session, Audit()).exit_code
    if random.integers(REPORT_EVERY) == 0:
        with contextlib.suppress(UserError):
            make_report(session)
    found = Counter((message.topic, message.payload) for message in read)
    missing, new = (whole - found).total(), len(found.keys() - whole.keys())
    if new:
        return f"{new} records were read that nobody wrote"
    if missing and not gaps:
        return f"{missing} records are missing without a word"
    if missing and exit_code == ExitCode.DONE:
        return f"{missing} records are missing, and replay says that all is well"
    if found == whole and exit_code == ExitCode.FAILED:
        return "all records were read, and replay says that they differ"
    return ""


@cache
def _records(session: Path) -> Counter[tuple[str, bytes]]:
    """Every record of a session that is whole."""
    messages, _ = read_log(session / LOG_NAME)
    return Counter((message.topic, message.payload) for message in messages)


def damaged_labels(work: Path, seed: int) -> str:
    """Read a table of labels, and the same as predictions, with some of its text changed.

    Parameters
    ----------
    work
        Folder of the case; `labels` beside it is a labeled folder.
    seed
        Draws the changes.

    Returns
    -------
    str
        What did not hold; empty where all did.
    """
    from train.data.labels import read_labels  # here: it needs the extra [train]

    random = np.random.default_rng(seed)
    folder = Path(shutil.copytree(work.parent / "labels", work / "labels"))
    table = folder / LABELS
    table.write_bytes(mutate_text(table.read_text(encoding="utf-8"), random).encode("utf-8", "surrogatepass"))
    with contextlib.suppress(UserError):
        read_labels(folder, "")
    with contextlib.suppress(UserError):
        read_predictions(table, scored=False)
    return ""


def _rehashed(text: str) -> str:
    """A manifest's text with the hash that it should have, where it is still JSON."""
    try:
        plain = json.loads(text)
        plain["sha256"] = ""
    except (ValueError, TypeError, RecursionError):
        return text
    plain["sha256"] = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    return json.dumps(plain)
