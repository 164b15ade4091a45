"""`rt-pose verify`: whether a session is still what its run wrote, and what it proves.

Four witnesses, each by itself: the chain of hashes within the log, the seal over all files, the model
packages, and the decisions computed again. One that cannot be read silences none of the others. A byte that
was changed, a part that was taken out and an end that was cut off are told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rt_pose.audit.log_chain import read_chain
from rt_pose.audit.replay import replay_session
from rt_pose.config.views import VIEWS_FOLDER, copy_name
from rt_pose.errors import ExitCode, NotComparableError, UnknownVersionError, UserError
from rt_pose.package import read_manifest, read_package
from rt_pose.session.log_file import LOG_NAME
from rt_pose.session.paths import find_places, manifest_name
from rt_pose.session.read import OwnModelInfo, PackageInfo, Session, SessionInfo, read_info
from rt_pose.session.seal import (
    SEAL_NAME,
    Seal,
    hash_config,
    hash_file,
    is_signed_by,
    read_public_key,
    read_seal,
)

A = TypeVar("A")
UNREADABLE = (
    *(UserError, msgspec.MsgspecError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, RecursionError, MemoryError, OSError),
)
"""What reading files that are not as they were written can lead to."""


@dataclass
class Verification:
    """What was found, a sentence a witness."""

    holds: list[str] = field(default_factory=list)
    fails: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    """What could not be judged, and why."""

    @property
    def exit_code(self) -> ExitCode:
        """FAILED where something does not hold; INCOMPLETE where something could not be judged."""
        if self.fails:
            return ExitCode.FAILED
        return ExitCode.INCOMPLETE if self.open else ExitCode.DONE

    def lines(self) -> Iterator[str]:
        """Format for people.

        Yields
        ------
        str
            A line, what does not hold first.
        """
        for word, sentences in (("NOT", self.fails), ("open", self.open), ("ok", self.holds)):
            for sentence in sentences:
                # Names come out of files that anybody may have written: no terminal gets their control codes.
                shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in sentence)
                yield f"{word:>4}  {shown}"

    def run(
        self, witness: str, step: Callable[..., A], *inputs: Any, unreadable_fails: bool = False
    ) -> A | None:
        """Question a witness; where it cannot be read, that is noted, and the others are questioned still.

        Parameters
        ----------
        witness
            Its name, for the sentence.
        step, *inputs
            Questions it.
        unreadable_fails
            Whether one that cannot be read is not what was written; otherwise it is left open, as what a
            later program wrote always is.

        Returns
        -------
        A | None
            What the step returned; None where the witness could not be read.
        """
        try:
            return step(*inputs)
        except UNREADABLE as error:
            newer = isinstance(error, UnknownVersionError | NotComparableError)
            sentences = self.fails if unreadable_fails and not newer else self.open
            text = "; ".join(str(error).split("\n"))
            own = isinstance(error, UserError)
            sentences.append(
                f"{witness}: {text if own else f'it cannot be read: {type(error).__name__}: {text}'}"
            )
            return None


def verify_session(
    path: Path, key: Path | None = None, *, replays: bool = True, deposited: bool = False
) -> Verification:
    """Check a session.

    Parameters
    ----------
    path
        The session's folder.
    key
        PEM file of the public key that it should be signed by; None to take any signature.
    replays
        Whether its decisions are computed again too.
    deposited
        Whether the folder is what another file carried of it: films and packages are then not missed.

    Returns
    -------
    Verification
        What holds, what does not, and what could not be judged.

    Raises
    ------
    UserError
        Where the folder is no session, or the key is none.
    """
    expected = None if key is None else read_public_key(key)
    log, found = path / LOG_NAME, Verification()
    if log.is_file():
        found.run("log", _judge_log, log, found)
    elif (path / SEAL_NAME).is_file():
        found.fails.append(f"log: there is no {LOG_NAME}")
    else:
        read_info(path)
        raise UserError(f"session {path}: no {LOG_NAME}; there is nothing to verify")
    info = found.run("description", read_info, path, unreadable_fails=True)
    seal = found.run("seal", read_seal, path, unreadable_fails=True)
    if seal is not None:
        _judge_files(path, seal, found, deposited)
        found.run("signature", _judge_signature, seal, expected, found)
    elif not (path / SEAL_NAME).is_file():
        _miss_seal(info, expected, found)
    if info is not None:
        if seal is not None:
            found.run("description", _judge_description, info, seal, found)
        found.run("calibrations", _judge_calibrations, path, info, found)
        if replays:
            _judge_models(path, info, found, deposited)
            found.run("replay", _judge_replay, path, found, deposited)
    return found


def _judge_log(log: Path, found: Verification) -> None:
    chain = read_chain(log)
    proven = f"{chain.links:,} links prove its first {chain.proven_bytes:,} of {chain.length:,} bytes"
    if chain.broken:
        found.fails.append(f"log: {chain.broken}; {proven}")
    elif chain.gaps:
        found.open.append(f"log: {chain.gaps}; {proven}")
    elif not chain.links:
        found.open.append("log: it has no chain: it is older than chains are, or a moment long")
    else:
        found.holds.append(f"log: {proven}")


def _miss_seal(info: SessionInfo | None, expected: str | None, found: Verification) -> None:
    status = f" (its status: {info.status})" if info else ""
    found.open.append(f"seal: there is none: the session was killed, or is older than seals{status}")
    if expected:
        found.fails.append("signature: asked for with --key, but nothing is signed")


def _judge_files(path: Path, seal: Seal, found: Verification, deposited: bool) -> None:
    whole = 0
    for name, sealed in seal.files.items():
        file = path / name
        if not file.is_file() and deposited:
            continue
        if not file.is_file():
            found.fails.append(f"{name}: it was sealed and is not there")
            continue
        now = found.run(name, hash_file, file)
        if now is None:
            continue
        if now == sealed:
            whole += 1
        elif now.bytes < sealed.bytes:
            found.fails.append(f"{name}: cut: {now.bytes:,} bytes of {sealed.bytes:,} that were sealed")
        else:
            found.fails.append(f"{name}: not what was sealed ({now.bytes:,} bytes, sealed {sealed.bytes:,})")
    found.holds.append(f"seal: {whole} of {len(seal.files)} files are untouched since the end of the run")


def _judge_signature(seal: Seal, expected: str | None, found: Verification) -> None:
    if seal.key and not seal.signature:
        found.fails.append(f"signature: the seal names the key {seal.key}, and is not signed")
    elif not seal.signature:
        if expected is not None:
            found.fails.append("signature: asked for with --key, but the seal is not signed")
        else:
            found.holds.append(
                "signature: none: the seal shows damage, but whoever can write the folder can seal it anew"
            )
    elif not is_signed_by(seal):
        found.fails.append("signature: it does not fit the seal")
    elif expected is None:
        found.holds.append(f"signature: fits the seal, by the key {seal.key}; --key says whose it should be")
    elif seal.key != expected:
        found.fails.append(f"signature: by the key {seal.key}, not by the one of --key")
    else:
        found.holds.append("signature: by the key of --key")


def _judge_description(info: SessionInfo, seal: Seal, found: Verification) -> None:
    """That the seal is of this session."""
    if seal.config != hash_config(info.config):
        found.fails.append("configuration: not the one that was sealed")
    for what, sealed, named in (
        ("package", seal.package, info.package.sha256),
        ("session", seal.session, info.id),
    ):
        if sealed != named:
            found.fails.append(f"{what}: '{named}' is described, '{sealed}' was sealed")


def _judge_calibrations(path: Path, info: SessionInfo, found: Verification) -> None:
    """The copies of the calibrations of groups of views, by the hashes of the description."""
    for name, group in info.views.items():
        file, what = path / VIEWS_FOLDER / copy_name(name), f"calibration of views '{name}'"
        if not file.is_file():
            found.open.append(f"{what}: its copy is not there")
        elif hash_file(file).sha256 != group.calibration_sha256:
            found.fails.append(f"{what}: not the one that the run read")
        else:
            found.holds.append(f"{what}: the one that the run read")


def _judge_models(path: Path, info: SessionInfo, found: Verification, deposited: bool) -> None:
    """The run's model, and those of cameras that have their own."""
    models: dict[str, PackageInfo | OwnModelInfo] = {"": info.package, **info.own_models}
    for camera, model in models.items():
        name = f"package of camera '{camera}'" if camera else "package"
        if deposited:
            manifest = path / manifest_name(camera)
            found.run(name, _judge_manifest, manifest, name, model, found, unreadable_fails=True)
        else:
            found.run(name, _judge_package, path, info, name, model, found, unreadable_fails=True)


def _judge_package(
    path: Path, info: SessionInfo, name: str, model: PackageInfo | OwnModelInfo, found: Verification
) -> None:
    """Any whole copy of it will do; only where there is none is it told what lies in its place."""
    ran = model.sha256[:12]
    others: list[str] = []
    damage: list[Exception] = []
    for place in find_places(path, info.started_in, model.path) if model.path else ():
        try:
            sha256 = read_package(place).sha256
        except UNREADABLE as error:
            damage.append(error)
            continue
        if sha256 == model.sha256:
            found.holds.append(f"{name}: the one that ran ({ran})")
            return
        others.append(sha256)
    if damage:
        raise damage[0]
    if others:
        found.fails.append(f"{name}: {others[0][:12]} lies where {ran} ran")
    else:
        found.open.append(f"{name}: {model.path or 'its folder'} is not there ({ran} ran)")


def _judge_manifest(
    manifest: Path, name: str, model: PackageInfo | OwnModelInfo, found: Verification
) -> None:
    """The manifest alone, where the networks are not there: its hash is the package's."""
    ran = model.sha256[:12]
    if not manifest.is_file():
        found.open.append(f"{name}: its manifest was not deposited ({ran} ran)")
    elif (own := read_manifest(manifest).sha256) != model.sha256:
        found.fails.append(f"{name}: the manifest is of {own[:12]}, {ran} ran")
    else:
        found.holds.append(f"{name}: the manifest of the one that ran ({ran})")


def _judge_replay(path: Path, found: Verification, deposited: bool) -> None:
    session = Session.read(path)
    result = replay_session(session)
    counts = f"replay: {len(session.events):,} events, {len(session.observations):,} observations"
    lines = [*result.differences, *result.unread, result.conclusion]
    more = lines[0] if deposited else f"see `rt-pose replay {path}`"
    if result.exit_code == ExitCode.DONE:
        found.holds.append(f"{counts}: identical")
    elif result.exit_code == ExitCode.FAILED:
        found.fails.append(f"{counts}: its decisions do not follow from its log; {more}")
    else:
        found.open.append(f"{counts}: not all could be judged; {more}")
