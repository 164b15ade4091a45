"""`rt-pose verify`: whether a session is still what its run wrote, and what it proves.

Four witnesses, each by itself: the chain of hashes within the log, the seal over all files, the model
package, and the decisions computed again. A byte that was changed, a part that was taken out and an end that
was cut off are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rt_pose.audit.replay import replay_session
from rt_pose.errors import ExitCode, UserError
from rt_pose.package import MANIFEST, read_manifest, read_package
from rt_pose.records import ChainLink
from rt_pose.session.log_file import LOG_NAME, LogGaps, iterate_log
from rt_pose.session.paths import places_of
from rt_pose.session.read import Session, read_info
from rt_pose.session.seal import Seal, hash_config, hash_file, is_signed_by, read_public_key, read_seal


@dataclass
class Chain:
    """What the chain of a log says."""

    links: int = 0
    """Links that hold."""
    proven_bytes: int = 0
    """Length of the log's beginning that they prove."""
    length: int = 0
    """Of the log."""
    broken: str = ""
    """What was done to the log; empty where every link holds."""
    gaps: str = ""
    """What of the log cannot be read."""


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
                yield f"{word:>4}  {sentence}"


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
        Whether the folder is what another file carried of it: films and the package are then not missed.

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
    found, info = Verification(), read_info(path)
    log = path / LOG_NAME
    if not log.is_file():
        raise UserError(f"session {path}: no {LOG_NAME}; there is nothing to verify")
    _judge_chain(read_chain(log), found)
    seal = read_seal(path)
    if seal is None:
        found.open.append(
            f"seal: there is none: the session was killed, or is older than seals (its status: {info.status})"
        )
        if expected:
            found.fails.append("signature: asked for with --key, but nothing is signed")
    else:
        _judge_seal(path, seal, found, deposited)
        _judge_signature(seal, expected, found)
        if seal.config != hash_config(info.config):
            found.fails.append("configuration: not the one that was sealed")
    if replays:
        session = Session.read(path)
        if deposited:
            _judge_manifest(path, info.package.sha256, found)
        else:
            _judge_package(session, info.package.sha256, found)
        _judge_replay(session, path, found)
    return found


def read_chain(log: Path) -> Chain:
    """Follow the chain of a log, from its beginning to the first link that does not hold.

    Parameters
    ----------
    log
        The file.

    Returns
    -------
    Chain
        What it proves.
    """
    chain, gaps = Chain(length=log.stat().st_size), LogGaps()
    decoder, digest = msgspec.msgpack.Decoder(ChainLink), hashlib.sha256()
    with log.open("rb") as file:
        for message in iterate_log(log, gaps):
            if message.topic != "chain":
                continue
            link = decoder.decode(message.payload)
            moved = message.chunk_at - link.bytes
            if moved:
                what = f"{-moved:,} bytes were taken out" if moved < 0 else f"{moved:,} bytes were put in"
                chain.broken = f"{what} after byte {chain.proven_bytes:,}, before byte {message.chunk_at:,}"
                break
            digest.update(file.read(link.bytes - chain.proven_bytes))
            if digest.hexdigest() != link.sha256:
                chain.broken = (
                    f"bytes between {chain.proven_bytes:,} and {link.bytes:,} are not what was written"
                )
                break
            chain.links, chain.proven_bytes = chain.links + 1, link.bytes
        chain.gaps = str(gaps)
    return chain


def _judge_chain(chain: Chain, found: Verification) -> None:
    proven = f"{chain.links:,} links prove its first {chain.proven_bytes:,} of {chain.length:,} bytes"
    if chain.broken:
        found.fails.append(f"log: {chain.broken}; {proven}")
    elif not chain.links:
        found.open.append("log: it has no chain: it is older than chains are, or a moment long")
    elif chain.gaps:
        found.open.append(f"log: {chain.gaps}; {proven}")
    else:
        found.holds.append(f"log: {proven}")


def _judge_seal(path: Path, seal: Seal, found: Verification, deposited: bool) -> None:
    whole = 0
    for name, sealed in seal.files.items():
        file = path / name
        if not file.is_file() and deposited:
            continue
        if not file.is_file():
            found.fails.append(f"{name}: it was sealed and is not there")
            continue
        now = hash_file(file)
        if now == sealed:
            whole += 1
        elif now.bytes < sealed.bytes:
            found.fails.append(f"{name}: cut: {now.bytes:,} bytes of {sealed.bytes:,} that were sealed")
        else:
            found.fails.append(f"{name}: not what was sealed ({now.bytes:,} bytes, sealed {sealed.bytes:,})")
    found.holds.append(f"seal: {whole} of {len(seal.files)} files are untouched since the end of the run")


def _judge_signature(seal: Seal, expected: str | None, found: Verification) -> None:
    if not seal.signature:
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


def _judge_package(session: Session, sha256: str, found: Verification) -> None:
    try:
        packages = [read_package(place).sha256 for place in places_of(session, session.info.package.path)]
    except UserError:
        packages = []
    if sha256 in packages:
        found.holds.append(f"package: the one that ran ({sha256[:12]})")
    elif packages:
        found.fails.append(f"package: {packages[0][:12]} lies where {sha256[:12]} ran")
    else:
        found.open.append(f"package: {session.info.package.path} is not there ({sha256[:12]} ran)")


def _judge_manifest(path: Path, sha256: str, found: Verification) -> None:
    """The manifest alone, where the networks are not there: its hash is the package's."""
    if not (path / MANIFEST).is_file():
        found.open.append(f"package: its manifest was not deposited ({sha256[:12]} ran)")
    elif (own := read_manifest(path / MANIFEST).sha256) != sha256:
        found.fails.append(f"package: the manifest is of {own[:12]}, {sha256[:12]} ran")
    else:
        found.holds.append(f"package: the manifest of the one that ran ({sha256[:12]})")


def _judge_replay(session: Session, path: Path, found: Verification) -> None:
    result = replay_session(session)
    said = f"replay: {len(session.events):,} events, {len(session.observations):,} observations"
    if result.exit_code == ExitCode.DONE:
        found.holds.append(f"{said}: identical")
    elif result.exit_code == ExitCode.FAILED:
        found.fails.append(f"{said}: its decisions do not follow from its log; see `rt-pose replay {path}`")
    else:
        found.open.append(f"{said}: not all could be judged; see `rt-pose replay {path}`")
