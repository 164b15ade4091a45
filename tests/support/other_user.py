"""A process of another user of the machine, which tries what it must not be able to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import zmq

from rt_pose.errors import UserError
from rt_pose.loop.curve import ClientKeys
from rt_pose.session.orders import request, send_order

NOBODY = 65534
ANSWER_MS = 700


def try_as_another_user(address: str, keys: str, folders: list[str], answers: Connection) -> None:
    """Become another user, and send what came of each attempt: the words of the refusal, or `done`.

    `address` and `keys` are the run's control socket and key file; `folders` are of the run, the first open
    to everybody. Of the run's environment this process has all, so that it searches where the run wrote. An
    empty answer says that this process may not become another user.
    """
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except PermissionError:
        answers.send({})
        return
    attempts: dict[str, Callable[[], object]] = {
        "arm": lambda: send_order(address, "arm"),
        "arm with the file's name": lambda: send_order(address, "arm", keys=Path(keys)),
        "read the keys": lambda: Path(keys).read_bytes(),
        "write the keys": lambda: Path(keys).write_bytes(b""),
        "remove the keys": lambda: Path(keys).unlink(),
        "arm with keys of one's own": lambda: arm_with_own_keys(address),
    }
    attempts |= {f"list folder {i}": lambda place=place: os.listdir(place) for i, place in enumerate(folders)}
    answers.send({name: outcome(attempt) for name, attempt in attempts.items()})


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (OSError, UserError) as error:
        return str(error)
    return "done"


def arm_with_own_keys(address: str) -> None:
    """Any keys serve where nobody compares them; who has not seen the file does not know the server's."""
    server, (public, secret) = zmq.curve_keypair()[0], zmq.curve_keypair()
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        ClientKeys(server.decode(), public.decode(), secret.decode()).secure(socket)
        socket.connect(address)
        socket.send(request("arm"))
        if not socket.poll(ANSWER_MS):
            raise UserError("no answer")
