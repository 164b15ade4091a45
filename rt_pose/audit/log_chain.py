"""The chain of hashes within a log, followed from its beginning to the first link that does not hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rt_pose.records import ChainLink
from rt_pose.session.log_file import LogGaps, iterate_log


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


def read_chain(log: Path) -> Chain:
    """Follow the chain of a log.

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
            try:
                link = decoder.decode(message.payload)
            except (msgspec.MsgspecError, ValueError):
                chain.broken = f"the link in the part at byte {message.chunk_at:,} cannot be read"
                break
            moved = message.chunk_at - link.bytes
            if moved:
                what = f"{-moved:,} bytes were taken out" if moved < 0 else f"{moved:,} bytes were put in"
                chain.broken = f"{what} after byte {chain.proven_bytes:,}, before byte {message.chunk_at:,}"
                break
            try:
                digest.update(file.read(link.bytes - chain.proven_bytes))
            except OSError as error:
                chain.broken = f"it cannot be read after byte {chain.proven_bytes:,}: {error.strerror}"
                break
            if digest.hexdigest() != link.sha256:
                chain.broken = (
                    f"bytes between {chain.proven_bytes:,} and {link.bytes:,} are not what was written"
                )
                break
            chain.links, chain.proven_bytes = chain.links + 1, link.bytes
        chain.gaps = str(gaps)
    return chain
