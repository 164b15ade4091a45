"""Addresses of a run, with real sockets in their way."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.free_port import free_address as free

from rt_pose.config.schema import PublishConfig
from rt_pose.errors import UserError
from rt_pose.loop.ports import listener, reserve_addresses


def check_addresses(publish: PublishConfig) -> None:
    """That all of them can be had now."""
    with reserve_addresses(publish):
        pass


@pytest.fixture
def taken() -> Iterator[str]:
    """An address at which this process listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"


def test_every_address_in_use_is_told_with_who_has_it_and_what_to_give(taken: str) -> None:
    with pytest.raises(UserError) as raised:
        check_addresses(PublishConfig(taken, taken))
    first, second = str(raised.value).split("\n")
    for key, line in (("publish.address", first), ("publish.control", second)):
        assert line.startswith(f"{key}: {taken} is in use by process {os.getpid()} (")
        assert f"--{key} tcp://127.0.0.1:5890" in line


def test_one_address_for_both_sockets_is_refused() -> None:
    address = free()
    with pytest.raises(UserError, match=r"publish\.control: .* is in use"):
        check_addresses(PublishConfig(address, address))


def test_addresses_that_can_be_had_are_free_again_afterwards() -> None:
    publish = PublishConfig(free(), free())
    for _ in range(3):
        check_addresses(publish)
    for address in (publish.address, publish.control):
        with socket.socket() as other:
            other.bind(("127.0.0.1", int(address.rpartition(":")[2])))
            assert other.getsockname()[1] == int(address.rpartition(":")[2])


def test_what_is_held_nobody_else_gets(taken: str) -> None:
    wanted = PublishConfig(taken, free())
    with reserve_addresses(wanted, or_free=True) as bound:
        assert bound["publish.address"] != taken
        assert bound["publish.control"] == wanted.control
        for address in bound.values():
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", int(address.rpartition(":")[2])))
    check_addresses(PublishConfig(**dict(zip(("address", "control"), bound.values(), strict=True))))


def test_a_free_port_mends_nothing_but_a_port_in_use() -> None:
    with (
        pytest.raises(UserError, match="is open to other machines"),
        reserve_addresses(PublishConfig("tcp://*:1"), True),
    ):
        pass


def test_who_listens(taken: str) -> None:
    assert f"process {os.getpid()} (" in listener(taken)
    assert listener(free()) == ""
    assert listener("ipc:///tmp/none") == ""


def test_an_ipc_address_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(UserError, match=r"publish\.control: ipc://.* .*exists already and is no socket"):
        check_addresses(PublishConfig(free(), f"ipc://{notes}"))
    assert notes.read_text() == "mine"


def test_an_ipc_address_of_a_living_process_is_in_use(tmp_path: Path) -> None:
    name = str(tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(name)
        living.listen()
        with pytest.raises(UserError, match=r"publish\.control: ipc://.* is in use"):
            check_addresses(PublishConfig(free(), f"ipc://{name}"))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(name)
    check_addresses(PublishConfig(free(), f"ipc://{name}"))  # whoever had it is gone
