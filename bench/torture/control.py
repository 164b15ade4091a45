"""Cases of a run that decides at 60 frames a second while its sockets are sent anything at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq

from bench.torture.mutate import WORDS, mutate_bytes
from bench.torture.runs import configuration, followed
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.loop.curve import ClientKeys, read_keys
from rt_pose.loop.requests import ORDERS
from rt_pose.session.orders import open_control, request
from rt_pose.session.read import Session

MOST_SECONDS = 60.0
"""Of a run, which is stopped after the flood."""
AFTER_NS = NS_PER_S // 2
"""So long it goes on after that."""
MESSAGES = 4000
"""Sent in one case, as fast as they are answered."""
SUBSCRIPTION_EVERY = 10
"""One message of so many is a subscription, or the end of one."""
A_SUBSCRIBER = 100
"""Subscriptions after which the next subscriber begins; the run disconnects one that has more than 64."""
OUTSTANDING = 100
"""Requests that wait for their answers at most."""
ANSWER_MS = 10_000


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
    messages = make_messages(MESSAGES, seed)
    config, errors = configuration(work.parent / "package", MOST_SECONDS), work / "errors.txt"
    with followed(config, work / "session", errors) as run:
        while run.open and not run.addresses:
            run.receive(1.0)
        if not run.addresses:
            return f"the run did not begin: {run.refused}"
        flood = Flood(run.addresses)
        with flood.opened():
            flood.send_all(messages)
            flooded_ns = HostClock().now_ns()
            HostClock().sleep_until_ns(flooded_ns + AFTER_NS)
            flood.send_all([FuzzMessage(request("stop"))])
        while run.open:
            run.receive(1.0)
        if alive := run.await_end():
            return f"{', '.join(alive)} did not end"
    printed = errors.read_text(errors="replace")
    if run.outcome.get("status") != "complete" or "Traceback" in printed:
        return f"the run ended as {run.outcome}: {printed[-1500:]}"
    if flood.unanswered:
        return f"{flood.unanswered} of {flood.sent} requests were not answered"
    decided_ns = [record.t_ns for record in Session.read(work / "session").observations]
    return "" if decided_ns and decided_ns[-1] > flooded_ns else "nothing was decided on after the flood"


@dataclass(frozen=True, slots=True)
class FuzzMessage:
    """One request, or one topic to a subscriber."""

    content: bytes
    subscribes: bool | None = None
    """Whether it begins or ends a subscription; None for a request."""


def make_messages(number: int, seed: int) -> list[FuzzMessage]:
    """Make messages.

    Parameters
    ----------
    number
        How many.
    seed
        Draws them.

    Returns
    -------
    list[FuzzMessage]
        Requests, and a subscription or the end of one among every `SUBSCRIPTION_EVERY`.
    """
    random = np.random.default_rng(seed)
    return [
        FuzzMessage(random.bytes(int(random.integers(0, 60))), bool(random.random() < 0.8))
        if at % SUBSCRIPTION_EVERY == 0
        else FuzzMessage(make_request(random))
        for at in range(number)
    ]


def make_request(random: np.random.Generator) -> bytes:
    """Make a request: any bytes, a damaged one, or one with arguments of any kind.

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


@dataclass
class Flood:
    """Sends messages to a run, and counts what it answers."""

    addresses: dict[str, str]
    """Of the run."""
    sent: int = 0
    done: int = 0
    """Answers that say that an order was carried out."""
    refused: int = 0
    """Answers that say why not."""
    subscriptions: int = 0
    """Begun and ended."""
    unanswered: int = 0
    """Requests to which no answer came."""
    _sockets: dict[str, zmq.Socket[bytes]] = field(default_factory=dict)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Connect to the run."""
        keys = read_keys(Path(self.addresses["keys"]), ClientKeys, "torture")
        self._sockets["control"] = open_control(self.addresses["control"], zmq.DEALER, keys)
        self._open_subscriber()
        try:
            yield
        finally:
            for socket in self._sockets.values():
                socket.close(linger=0)

    def send_all(self, messages: list[FuzzMessage], seconds: float = 0.0) -> None:
        """Send messages, and wait for the answers.

        Parameters
        ----------
        messages
            What to send.
        seconds
            How long the sending takes, s; 0 sends as fast as answers come.
        """
        clock = HostClock()
        begun_ns = clock.now_ns()
        for at, message in enumerate(messages):
            clock.sleep_until_ns(begun_ns + round(at * seconds * NS_PER_S / len(messages)))
            if message.subscribes is None:
                self._sockets["control"].send_multipart([b"", message.content])
                self.sent += 1
            else:
                self._subscribe(message)
            self._count_answers(OUTSTANDING)
        self._count_answers(0)
        self.unanswered = self._outstanding

    @property
    def _outstanding(self) -> int:
        return self.sent - self.done - self.refused

    def _count_answers(self, outstanding: int) -> None:
        """Take in what has come; wait where more than so many requests are not answered."""
        socket = self._sockets["control"]
        while socket.poll(ANSWER_MS if self._outstanding > outstanding else 0):
            answer: dict[str, Any] = msgspec.msgpack.decode(socket.recv_multipart()[-1])
            self.done += bool(answer["ok"])
            self.refused += not answer["ok"]

    def _subscribe(self, message: FuzzMessage) -> None:
        if self.subscriptions % A_SUBSCRIBER == A_SUBSCRIBER - 1:
            self._open_subscriber()
        subscriber = self._sockets["subscriber"]
        subscriber.setsockopt(zmq.SUBSCRIBE if message.subscribes else zmq.UNSUBSCRIBE, message.content)
        self.subscriptions += 1

    def _open_subscriber(self) -> None:
        if "subscriber" in self._sockets:
            self._sockets["subscriber"].close(linger=0)
        subscriber: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        subscriber.setsockopt(zmq.LINGER, 0)
        subscriber.connect(self.addresses["publish"])
        self._sockets["subscriber"] = subscriber
