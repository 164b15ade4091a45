"""Orders from the command line to a real control socket."""

from __future__ import annotations

import pytest

from rt_pose.cli import main
from rt_pose.errors import UserError
from rt_pose.loop.control import Control
from rt_pose.session.orders import give_order


def test_an_order_is_answered_or_says_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    unsafe: list[str] = []
    control = Control("tcp://127.0.0.1:*", dict, dict, lambda: 10, lambda: unsafe)
    control.start()
    try:
        assert give_order(control.address, "emergency")["ok"]
        assert [order.do for order in control.inbox] == ["emergency"]
        assert main(["order", "emergency", "--connect", control.address]) == 0
        assert capsys.readouterr().out == "emergency: done\n"
        unsafe.append("output 'laser': gone")
        assert main(["order", "emergency", "--connect", control.address]) == 2
        assert "order emergency: output 'laser': gone" in capsys.readouterr().err
        with pytest.raises(UserError, match=r"unknown order 'amr', did you mean 'arm'\?"):
            give_order(control.address, "amr")
    finally:
        control.stop()


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rt_pose.session.orders.ANSWER_MS", 100)
    with pytest.raises(UserError, match="nobody answered at tcp"):
        give_order("tcp://127.0.0.1:9", "arm")
    with pytest.raises(UserError, match="cannot connect to 'nowhere'"):
        give_order("nowhere", "arm")
