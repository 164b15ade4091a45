"""Streams of the Lab Streaming Layer: found by name, opened, and how well their clock is known."""

from __future__ import annotations

import ctypes
from typing import Any

from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError

SEARCH_S = 1.0
"""How long a search for all streams takes."""
BUFFER_S = 10
"""Seconds of a stream, or hundreds of its samples where it has no rate, that may wait to be read."""


def printable(text: str) -> str:
    """Make what a stream says of itself fit for a terminal: it comes from the network.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        Its first 60 characters, a question mark for each that steers.
    """
    return "".join(c if c.isprintable() else "?" for c in text[:60])


def find_streams() -> list[Any]:
    """Search the network for streams.

    Returns
    -------
    list
        A `pylsl.StreamInfo` each.
    """
    from pylsl import resolve_streams

    return list(resolve_streams(SEARCH_S))


def resolve(where: str, name: str, source_id: str, timeout_s: float) -> Any:
    """Find a stream by its name.

    Parameters
    ----------
    where
        Place of the options in the configuration, for messages.
    name
        Name of the stream.
    source_id
        Its source's identifier; empty where the name says enough.
    timeout_s
        How long it is waited for, s.

    Returns
    -------
    pylsl.StreamInfo
        The stream.

    Raises
    ------
    UserError
        Where there is none, or more than one.
    """
    from pylsl import resolve_bypred

    predicate = f"name='{name}'" + (f" and source_id='{source_id}'" if source_id else "")
    found = resolve_bypred(predicate, 1, timeout_s)
    if len(found) == 1:
        return found[0]
    if found:
        sources = ", ".join(printable(f"'{info.source_id()}' at {info.hostname()}") for info in found)
        raise UserError(
            f"{where}: several LSL streams are called '{name}'; give one's `source_id`: {sources}"
        )
    there = ", ".join(printable(f"'{info.name()}' ({info.type()})") for info in find_streams()) or "none"
    raise UserError(
        f"{where}.stream: no LSL stream '{name}' within {timeout_s:g} s; there are: {there}; is its program "
        "running, on this network?"
    )


def open_inlet(where: str, info: Any, timeout_s: float) -> Any:
    """Open a stream.

    Parameters
    ----------
    where
        Place of the options in the configuration, for messages.
    info
        The stream, as found.
    timeout_s
        How long it may take, s.

    Returns
    -------
    pylsl.StreamInlet
        The inlet; its samples are waiting from now on. Where the stream ends, reading raises `LostError`:
        LSL's own way is to wait for one with the same `source_id`, and to say nothing.

    Raises
    ------
    UserError
        Where the stream is gone, or its machine cannot be reached.
    """
    from pylsl import StreamInlet
    from pylsl.util import LostError, TimeoutError

    inlet = StreamInlet(info, max_buflen=BUFFER_S, max_chunklen=1, recover=False)
    try:
        inlet.open_stream(timeout_s)
        inlet.time_correction(timeout_s)
    except (LostError, TimeoutError) as error:
        raise UserError(
            f"{where}: the LSL stream '{info.name()}' at {printable(info.hostname())} was found and cannot "
            f"be read ({error}); does a firewall stand between?"
        ) from error
    return inlet


def clock_error_ns(inlet: Any, timeout_s: float) -> int:
    """Get the bound on the error with which the sender's clock is known, as LSL states it.

    Parameters
    ----------
    inlet
        An open inlet.
    timeout_s
        How long it may take, s.

    Returns
    -------
    int
        The bound, ns.
    """
    _, error_s = _measured(inlet, timeout_s)
    return round(abs(error_s) * NS_PER_S)


def measured_at_s(inlet: Any) -> float:
    """Get when the sender's clock was measured last, which LSL does every two seconds.

    Parameters
    ----------
    inlet
        An open inlet.

    Returns
    -------
    float
        Time of the sender's clock, s; it stays as it is where the sender's machine does not answer.
    """
    return _measured(inlet, 0.0)[0]


def _measured(inlet: Any, timeout_s: float) -> tuple[float, float]:
    """The sender's time at the newest measurement of its clock, and the measurement's error; both in s."""
    from pylsl.lib import lib

    measure = lib.lsl_time_correction_ex  # pylsl itself gives neither
    measure.restype = ctypes.c_double
    remote, error, code = ctypes.c_double(), ctypes.c_double(), ctypes.c_int()
    measure(
        inlet.obj, ctypes.byref(remote), ctypes.byref(error), ctypes.c_double(timeout_s), ctypes.byref(code)
    )
    return remote.value, error.value
