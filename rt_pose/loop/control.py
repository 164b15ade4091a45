"""The control socket: status, meta, start, stop, arm, disarm, emergency, block, set, mark.

A ROUTER that takes msgpack maps `{v, id, do, ...}` and answers each with `{v, id, ok, ...}`; an unknown `do`
or `v` is an error, not silence. Orders reach the loop through an inbox and are answered once it has carried
them out, so that an answer of `arm` means armed. `emergency` does not wait for the loop: all outputs are low
when it is answered, and the loop then logs it and stays disarmed until `arm`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

from rt_pose.errors import UserError, nearest
from rt_pose.loop.publish import WIRE_VERSION, bind

ORDERS = ("start", "stop", "arm", "disarm", "block", "set", "mark")
AT_ONCE = ("status", "meta", "emergency")
"""Answered without the loop."""
POLL_MS = 50
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
        """Claim the order, to carry it out or to give it up; False where the other side was first."""
        return self._taken.acquire(blocking=False)


class Control:
    """The thread that owns the control socket, and other rare work that must not be the loop's."""

    def __init__(
        self,
        address: str,
        status: Callable[[], dict[str, Any]],
        meta: Callable[[], dict[str, Any]],
        housekeeping: Callable[[], int],
        make_safe: Callable[[], list[str]],
    ) -> None:
        """`housekeeping` is called between requests and says in how many ms it wants to be called again.

        `make_safe` puts every output into its safe state, from any thread, and says what went wrong.
        """
        self.inbox: deque[Order] = deque()
        """Orders for the loop, which takes them between frames."""
        self._status, self._meta, self._housekeeping = status, meta, housekeeping
        self._make_safe = make_safe
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        try:
            self.address = bind(self._socket, address, "publish.control")
        except UserError:
            self._socket.close()
            raise
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rt-pose-control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the socket."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()

    def emergency(self, origin: str) -> list[str]:
        """Immediate stop, from any thread: everything low, nothing goes out until `arm`; what went wrong."""
        problems = self._make_safe()
        self.inbox.append(Order("emergency", {"problems": problems} if problems else {}, origin))
        return problems

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_ms = min(POLL_MS, self._housekeeping())
            if self._socket.poll(wait_ms):
                self._serve(self._socket.recv_multipart())

    def _serve(self, parts: list[bytes]) -> None:
        # A REQ client puts an empty part between its identity and the request, a DEALER does not.
        envelope = parts[:-1]
        try:
            request = msgspec.msgpack.decode(parts[-1], type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            answer: dict[str, Any] = {"id": None, "ok": False, "error": f"not a msgpack map: {error}"}
        else:
            answer = {"id": request.get("id"), **self._answer(request)}
        self._socket.send_multipart([*envelope, msgspec.msgpack.encode({"v": WIRE_VERSION, **answer})])

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        version, do = request.get("v"), request.get("do")
        if version != WIRE_VERSION:
            return {"ok": False, "error": f"v: expected {WIRE_VERSION}, got {version!r}"}
        if do in AT_ONCE:
            return self._answer_at_once(do)
        if do not in ORDERS:
            hint = nearest(str(do), (*AT_ONCE, *ORDERS))
            return {"ok": False, "error": f"do: unknown order {do!r}{hint}"}
        return self._have_done(do, {k: v for k, v in request.items() if k not in ("v", "id", "do")})

    def _answer_at_once(self, do: str) -> dict[str, Any]:
        if do == "status":
            return {"ok": True, "status": self._status()}
        if do == "meta":
            return {"ok": True, "meta": self._meta()}
        problems = self.emergency("control")
        return {"ok": False, "error": "; ".join(problems)} if problems else {"ok": True}

    def _have_done(self, do: str, args: dict[str, Any]) -> dict[str, Any]:
        order = Order(do, args)
        self.inbox.append(order)
        if not order.done.wait(ANSWER_TIMEOUT_S) and order.take():
            # Given up: the loop will pass over it, so the answer stays true.
            return {"ok": False, "error": f"{do}: the loop did not answer within {ANSWER_TIMEOUT_S:g} s"}
        order.done.wait()
        return {"ok": not order.error, **({"error": order.error} if order.error else {})}
