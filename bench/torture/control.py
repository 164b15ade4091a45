"""Cases of a run that decides at 60 frames a second while its sockets are sent anything at all."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import zmq

from bench.torture.kills import ENDS_S, command
from bench.torture.mutate import WORDS, mutate_bytes
from rt_pose.loop.key_files import find_client_keys
from rt_pose.loop.requests import ORDERS
from rt_pose.session.orders import open_control, request
from rt_pose.session.read import Session

SECONDS = 4.0
MESSAGES = 4000
"""Sent in one case, as fast as they go."""
SUBSCRIPTIONS = 40
LEAST_SHARE = 0.7
"""Of the frames of a run, those that are decided on while it is flooded on a machine of two cores."""


def flooded_run(work: Path, seed: int) -> str:
    """Flood the sockets of a run, and look whether it goes on.

    Parameters
    ----------
    work
        Folder of the case; `package` beside it is the model.
    seed
        Draws the messages.

    Returns
    -------
    str
        What did not hold; empty where all did.
    """
    random = np.random.default_rng(seed)
    words = command(work / "session", work.parent / "package", SECONDS)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        ready = json.loads(run.stdout.readline() or "{}")
        if not ready:
            return f"the run did not begin: {run.communicate()[1][-300:]}"
        answered = _flood(ready, random)
        _, err = run.communicate(timeout=ENDS_S)
    if not answered:
        return "no answer to `status` after the flood"
    if run.returncode != 0 or "Traceback" in err:
        return f"the run ended with {run.returncode}: {err[-300:]}"
    session = Session.read(work / "session")
    captured, decided = len(session.frames), len(session.observations)
    if decided < LEAST_SHARE * captured:
        return f"of {captured} frames {decided} were decided on"
    return ""


def make_message(random: np.random.Generator) -> bytes:
    """Make a message: any bytes, a damaged request, or a request with arguments of any kind.

    Parameters
    ----------
    random
        Draws it.

    Returns
    -------
    bytes
        One part.
    """
    kind = random.integers(4)
    if kind == 0:
        return random.bytes(int(random.integers(1, 200)))
    # `stop` and its kin would end the run well, which is not what is looked at.
    do = str(random.choice([order for order in ORDERS if order not in ("stop", "start")]))
    values: tuple[object, ...] = (None, -1, 1e300, float("nan"), True, [], {}, [[[[1]]]], *WORDS)
    args = {
        str(random.choice(("name", "parameter", "value", "text", "do", "v"))): values[
            random.integers(len(values))
        ]
        for _ in range(random.integers(0, 4))
    }
    whole = request(do, {key: value for key, value in args.items() if key not in ("do", "v")})
    if kind == 1:
        return mutate_bytes(whole, random)
    return whole if kind == 2 else msgspec.msgpack.encode(args)


def _flood(ready: dict[str, str], random: np.random.Generator) -> bool:
    """Whether the run answers to `status` afterwards."""
    _, keys = find_client_keys(ready["control"], None, "torture")
    subscriber: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    subscriber.setsockopt(zmq.LINGER, 0)
    subscriber.connect(ready["publish"])
    flood = open_control(ready["control"], zmq.DEALER, keys)
    for number in range(MESSAGES):
        flood.send_multipart([b"", make_message(random)])
        if number % (MESSAGES // SUBSCRIPTIONS) == 0:
            subscriber.subscribe(random.bytes(int(random.integers(1, 60))))
    asking = open_control(ready["control"], zmq.REQ, keys)
    asking.send(request("status"))
    answered = bool(asking.poll(10_000))
    for socket in (subscriber, flood, asking):
        socket.close(linger=0)
    return answered
