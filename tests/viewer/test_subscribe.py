"""The subscription: never waits, counts what it cannot read, says what is wrong with an address."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
from support.fake_publisher import FakePublisher

from rt_pose.errors import UserError
from rt_pose.viewer.messages import WireMessage
from rt_pose.viewer.subscribe import Subscription


def test_what_is_published_arrives_in_order(fake: FakePublisher, until: Callable[..., None]) -> None:
    first: list[WireMessage] = []
    rest: list[WireMessage] = []

    def poses(messages: list[WireMessage]) -> list[int]:
        return [message.header.seq for message in messages if message.kind == "pose"]

    with closing(Subscription(fake.address)) as subscription:
        assert subscription.drain() == []
        until(lambda: first, lambda: (fake.meta(), first.extend(subscription.drain())))
        for index in range(20):
            fake.pose(index, index / 100)
        until(lambda: poses(rest) == list(range(20)), lambda: rest.extend(subscription.drain(limit=7)))
        assert subscription.unreadable == 0


def test_a_message_that_cannot_be_read_is_counted(fake: FakePublisher, until: Callable[..., None]) -> None:
    readable: list[WireMessage] = []
    with closing(Subscription(fake.address)) as subscription:

        def send_nonsense() -> None:
            fake.publisher.send("stats", {"stats": "all is well"})
            fake.meta()
            readable.extend(subscription.drain())

        until(lambda: readable and subscription.unreadable, send_nonsense)
        assert {message.kind for message in readable} == {"meta"}
        assert "stats" in subscription.last_problem


@pytest.mark.parametrize("address", ["localhost", "tcp://127.0.0.1", "smoke://signals:1"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    with pytest.raises(UserError, match="expected an address such as tcp://"):
        Subscription(address)
