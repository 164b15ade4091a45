"""The other side of network drivers: small programs on real sockets, each in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any, Self

import zmq
from support.patience import PATIENCE_S

from rt_pose.clock import HostClock

POLL_MS = 20
PAUSE_S = 0.01
ATTEMPTS = round(PATIENCE_S / PAUSE_S)


def beat_until_fault(output: Any) -> None:
    """Heartbeats as the output's thread sends them, until one raises."""
    for _ in range(ATTEMPTS):
        output.heartbeat(True)
        threading.Event().wait(PAUSE_S)


def bound(kind: int, address: str) -> zmq.Socket[bytes]:
    """A ZeroMQ socket; a port that has just been given up is waited for."""
    made = zmq.Context.instance().socket(kind)
    made.setsockopt(zmq.LINGER, 0)
    for attempt in range(ATTEMPTS):
        try:
            made.bind(address)
            return made
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE or attempt == ATTEMPTS - 1:
                made.close()
                raise
            threading.Event().wait(PAUSE_S)
    raise AssertionError


class Peer:
    """Collects what it receives, with the time; use it in a `with`."""

    def __init__(self) -> None:
        self.clock = HostClock()
        self.received: list[tuple[int, Any]] = []
        """(host time ns, content)."""
        self._more = threading.Condition()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def add(self, content: Any) -> None:
        with self._more:
            self.received.append((self.clock.now_ns(), content))
            self._more.notify_all()

    @property
    def contents(self) -> list[Any]:
        with self._more:
            return [content for _, content in self.received]

    def wait_for(self, condition: Callable[[list[Any]], Any]) -> list[Any]:
        """What was received, once it fulfils a condition."""
        with self._more:
            done = self._more.wait_for(lambda: condition([c for _, c in self.received]), PATIENCE_S)
            contents = [content for _, content in self.received]
        assert done, f"not within {PATIENCE_S:g} s; received {contents}"
        return contents

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        raise NotImplementedError


class UdpReceiver(Peer):
    """Takes datagrams."""

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.settimeout(POLL_MS / 1000)
        self.port: int = self._socket.getsockname()[1]

    def _run(self) -> None:
        with self._socket:
            while not self._end.is_set():
                try:
                    self.add(self._socket.recv(65536))
                except TimeoutError:
                    continue


class OscServer(Peer):
    """python-osc's own server; takes every address."""

    def __init__(self) -> None:
        from pythonosc.dispatcher import Dispatcher
        from pythonosc.osc_server import BlockingOSCUDPServer

        super().__init__()
        dispatcher = Dispatcher()
        dispatcher.set_default_handler(lambda address, *values: self.add((address, *values)))
        self._server = BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher)
        self.port: int = self._server.server_address[1]

    def _run(self) -> None:
        self._server.timeout = POLL_MS / 1000
        while not self._end.is_set():
            self._server.handle_request()
        self._server.server_close()


class Puller(Peer):
    """Binds a PULL socket."""

    def __init__(self, address: str = "tcp://127.0.0.1:*") -> None:
        super().__init__()
        self._socket = bound(zmq.PULL, address)
        self.address: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def _run(self) -> None:
        with self._socket:
            while not self._end.is_set():
                if self._socket.poll(POLL_MS):
                    self.add(self._socket.recv())


class OpenEphysServer(Peer):
    """Answers as the documentation of the plugin Network Events says; `received` holds the requests."""

    def __init__(self, port: int | None = None) -> None:
        super().__init__()
        self._socket = bound(zmq.REP, f"tcp://127.0.0.1:{port or '*'}")
        self.port = int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self.acquiring = True
        self.old = False
        """Whether it is of the form that knows `Channel=` and `on=` alone."""
        self.answers = threading.Event()
        """Cleared: it hangs with the request that it has."""
        self.answers.set()
        self.events: list[tuple[int, int, int]] = []
        """(host time ns, line from 1, state) of every TTL event that got into the recording."""

    def level(self, line: int) -> int:
        return next((state for _, number, state in reversed(self.events) if number == line), 0)

    def _run(self) -> None:
        with self._socket:
            while not self._end.is_set():
                if not self._socket.poll(POLL_MS):
                    continue
                request = self._socket.recv_string()
                self.add(request)
                while not self.answers.wait(POLL_MS / 1000) and not self._end.is_set():
                    pass
                self._socket.send_string(self._answer(request))

    def _answer(self, request: str) -> str:
        word, *pairs = request.split()
        given = dict(pair.partition("=")[::2] for pair in pairs)
        fixed = {
            "StartAcquisition": "StartedAcquisition",
            "StopAcquisition": "StoppedAcquisition",
            "StartRecord": "StartedRecording",
            "StopRecord": "StoppedRecording",
            "IsAcquiring": str(int(self.acquiring)),
        }
        if word != "TTL":
            return fixed.get(word, "NotHandled")
        line, state = (given.get("Channel"), given.get("on")) if self.old else (given["Line"], given["State"])
        line, state = int(line or 1), int(state or 0)
        if not 1 <= line <= 256:
            return "InvalidLine"
        if self.acquiring:
            self.events.append((self.clock.now_ns(), line, state))
        return f"TTLHandled: Channel={line} on={state}"


class LslTaker(Peer):
    """Takes every stream of a name, whenever it comes; `received` holds (sample, time stamp)."""

    def __init__(self, name: str) -> None:
        from pylsl import ContinuousResolver

        super().__init__()
        self._resolver = ContinuousResolver("name", name, forget_after=1.0)
        self.inlets: dict[str, Any] = {}

    def _run(self) -> None:
        from pylsl import StreamInlet
        from pylsl.util import LostError, TimeoutError

        lost: set[str] = set()
        while not self._end.is_set():
            for info in self._resolver.results():
                if info.uid() not in self.inlets and info.uid() not in lost:
                    inlet = StreamInlet(info, recover=False)
                    try:
                        inlet.open_stream(1.0)
                    except (LostError, TimeoutError):
                        continue
                    self.inlets[info.uid()] = inlet
            for uid, inlet in list(self.inlets.items()):
                try:
                    while (pulled := inlet.pull_sample(0.0))[0] is not None:
                        self.add(pulled)
                except LostError:
                    lost.add(uid)
                    del self.inlets[uid]
            self._end.wait(0.005)
        self.inlets.clear()
