"""The control socket: status, meta, start, stop, arm, disarm, emergency, block, set, mark.

A ROUTER that takes msgpack maps `{v, id, do, ...}` and answers each with `{v, id, ok, ...}`; an unknown `do`
or `v` is answered with an error. Orders reach the loop through an inbox and are answered once it has carried
them out, so that an answer to `arm` means that the loop is armed. `emergency` waits neither for the loop nor
for an order that a hung loop leaves unanswered: all outputs are low when it is answered, and the loop then
logs it and stays disarmed until `arm`.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

from rt_pose.clock import NS_PER_S, Clock, HostClock
from rt_pose.errors import UserError, nearest
from rt_pose.loop.ports import bind
from rt_pose.loop.publish import WIRE_VERSION

ORDERS = ("start", "stop", "arm", "disarm", "block", "set", "mark")
IMMEDIATE_ORDERS = ("status", "meta", "emergency")
"""Answered without the loop."""
POLL_MS = 50
ANSWER_POLL_MS = 2
"""How often orders that the loop has not answered yet are looked at."""
LINGER_MS = 200
ANSWER_TIMEOUT_S = 2.0


@dataclass(slots=True)
class Order:
    """An order on its way to the loop."""

    do: str
    args: dict[str, Any] = field(default_factory=dict)
    origin: str = "control"
    error: str = ""
    """Set by the loop where it refuses."""
    done: threading.Event = field(default_factory=threading.Event)
    _taken: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """Claim the order, to carry it out or to give it up.

        Returns
        -------
        bool
            False where the other side has claimed it already.
        """
        return self._taken.acquire(blocking=False)


@dataclass(slots=True)
class _Unanswered:
    """An order that is with the loop, and whom to answer."""

    envelope: list[bytes]
    id: Any
    order: Order
    give_up_ns: int


class ControlSocket:
    """The socket that takes orders; it is bound before a thread serves it, so that its address is known."""

    def __init__(self, address: str) -> None:
        """Bind the socket.

        Parameters
        ----------
        address
            ZeroMQ address on the loopback interface, such as `tcp://127.0.0.1:5791`.

        Raises
        ------
        UserError
            Where it cannot be bound.
        """
        self.router: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, LINGER_MS)
        try:
            self.address = bind(self.router, address, "publish.control")
        except UserError:
            self.router.close()
            raise


class Control:
    """The thread that serves the control socket, and other rare work that must not be the loop's."""

    def __init__(
        self,
        socket: ControlSocket,
        inbox: deque[Order],
        status: Callable[[], dict[str, Any]],
        meta: Callable[[], dict[str, Any]],
        housekeeping: Callable[[], int],
        make_safe: Callable[[], list[str]],
        clock: Clock | None = None,
    ) -> None:
        """Make the thread; `start` starts it.

        Parameters
        ----------
        socket
            The bound socket.
        inbox
            Orders for the loop, which takes them between frames.
        status
            Returns the answer to `status`.
        meta
            Returns the answer to `meta`.
        housekeeping
            Called between requests; returns after how many ms it wants to be called again.
        make_safe
            Puts every output into its safe state, from any thread; returns what went wrong.
        clock
            Times the orders that wait for an answer; the host's where none is given.
        """
        self.inbox, self.address = inbox, socket.address
        self._status, self._meta, self._housekeeping = status, meta, housekeeping
        self._make_safe = make_safe
        self._clock = clock or HostClock()
        self._unanswered: list[_Unanswered] = []
        self._socket = socket.router
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rt-pose-control", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the socket."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()

    def emergency(self, origin: str) -> list[str]:
        """Stop immediately, from any thread: all outputs go low, and no command goes out until `arm`.

        Parameters
        ----------
        origin
            Who ordered it, for the log.

        Returns
        -------
        list[str]
            What went wrong; empty where nothing did.
        """
        problems = self._make_safe()
        self.inbox.append(Order("emergency", {"problems": problems} if problems else {}, origin))
        return problems

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_ms = min(POLL_MS, self._do_housekeeping())
            if self._socket.poll(min(wait_ms, ANSWER_POLL_MS) if self._unanswered else wait_ms):
                self._serve(self._socket.recv_multipart())
            self._answer_carried_out()
        self._answer_carried_out(ending=True)

    def _do_housekeeping(self) -> int:
        try:
            return self._housekeeping()
        except Exception:  # noqa: BLE001 - the emergency stop must still be heard
            with suppress(OSError, ValueError):  # nobody reads standard error any more
                traceback.print_exc()
            return POLL_MS

    def _serve(self, parts: list[bytes]) -> None:
        # A REQ client puts an empty part between its identity and the request, a DEALER does not.
        envelope = parts[:-1]
        try:
            request = msgspec.msgpack.decode(parts[-1], type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._send(envelope, None, {"ok": False, "error": f"not a msgpack map: {error}"})
            return
        answer = self._answer(request, envelope)
        if answer is not None:
            self._send(envelope, request.get("id"), answer)

    def _send(self, envelope: list[bytes], number: Any, answer: dict[str, Any]) -> None:
        answer = {"v": WIRE_VERSION, "id": number, **answer}
        self._socket.send_multipart([*envelope, msgspec.msgpack.encode(answer)])

    def _answer(self, request: dict[str, Any], envelope: list[bytes]) -> dict[str, Any] | None:
        """The answer; None where the loop has to say it first."""
        version, do = request.get("v"), request.get("do")
        if version != WIRE_VERSION:
            return {"ok": False, "error": f"v: expected {WIRE_VERSION}, got {version!r}"}
        if do in IMMEDIATE_ORDERS:
            return self._answer_at_once(do)
        if do not in ORDERS:
            hint = nearest(str(do), (*IMMEDIATE_ORDERS, *ORDERS))
            return {"ok": False, "error": f"do: unknown order {do!r}{hint}"}
        order = Order(do, {k: v for k, v in request.items() if k not in ("v", "id", "do")})
        give_up_ns = self._clock.now_ns() + round(ANSWER_TIMEOUT_S * NS_PER_S)
        self._unanswered.append(_Unanswered(envelope, request.get("id"), order, give_up_ns))
        self.inbox.append(order)
        return None

    def _answer_at_once(self, do: str) -> dict[str, Any]:
        if do == "status":
            return {"ok": True, "status": self._status()}
        if do == "meta":
            return {"ok": True, "meta": self._meta()}
        problems = self.emergency("control")
        return {"ok": False, "error": "; ".join(problems)} if problems else {"ok": True}

    def _answer_carried_out(self, *, ending: bool = False) -> None:
        """Answer the orders that the loop is done with; give up those that it does not take in time."""
        left = []
        for waiting in self._unanswered:
            order = waiting.order
            if order.done.is_set():
                answer: dict[str, Any] = {"ok": not order.error}
                answer |= {"error": order.error} if order.error else {}
            elif (ending or self._clock.now_ns() >= waiting.give_up_ns) and order.take():
                # Given up: the loop will pass over it, so the answer stays true.
                why = "the run ended" if ending else f"the loop did not answer within {ANSWER_TIMEOUT_S:g} s"
                answer = {"ok": False, "error": f"{order.do}: {why}"}
            else:
                left.append(waiting)
                continue
            self._send(waiting.envelope, waiting.id, answer)
        self._unanswered = left
