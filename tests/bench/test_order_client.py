"""Orders that a benchmark gives to a control socket: each is carried out, refused, or cut off by the end."""

from __future__ import annotations

from collections import deque

import pytest
from support.patience import wait_until

from bench import order_client
from bench.order_client import Orders, format_orders
from rt_pose.loop.control import Control, ControlSocket, Order


def test_every_order_is_carried_out_refused_or_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_client, "PERIOD_S", 0.001)
    inbox: deque[Order] = deque()
    socket = ControlSocket("tcp://127.0.0.1:*")
    assert socket.key_file is not None
    control = Control(socket, inbox, dict, dict, lambda: 5, list)
    orders = Orders({"control": socket.address, "keys": str(socket.key_file.path)})
    control.start()
    orders.start()
    for number, error in ((1, ""), (2, "mark: no")):
        wait_until(lambda: inbox)
        taken = inbox.popleft()
        assert (taken.do, taken.args) == ("mark", {"text": f"mark {number}"})
        assert taken.take()
        taken.error = error
        taken.done.set()
    wait_until(lambda: inbox)  # under way when the run ends
    orders.ended.set()
    control.stop()
    orders.stop()
    found = orders.sum_up(marks_logged=1)
    assert found["answer_ms"]["n"] == 1
    assert (found["refused"], found["unanswered"], found["cut_off"]) == ({"mark: no": 1}, 0, 1)
    line = format_orders(found)
    assert "1 carried out" in line
    assert "(1 in the log)" in line
    assert "refused: mark: no (1)" in line
