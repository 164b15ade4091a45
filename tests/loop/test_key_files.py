"""Who gets in to the control socket, and the file that lets them."""

from __future__ import annotations

import json
import os
import socket as system
import stat
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import zmq
from support.patience import PATIENCE_S

from rt_pose.cli.main import main
from rt_pose.clock import FakeClock
from rt_pose.errors import UserError
from rt_pose.loop.control import Control, ControlSocket
from rt_pose.loop.curve import ClientKeys, CurveServer, ServerKeys, make_permanent_keys, read_keys
from rt_pose.loop.key_files import KeyFile, key_folders, key_name, remove_left_by
from rt_pose.loop.publish import Publisher
from rt_pose.session.orders import open_control, request, send_order

KILLED = """
import os, signal, sys
from rt_pose.loop.control import ControlSocket
socket = ControlSocket(sys.argv[1])
print(socket.address, socket.key_file.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def serve(address: str = "tcp://127.0.0.1:*", curve: CurveServer | None = None) -> Control:
    control = Control(ControlSocket(address, curve), deque(), dict, dict, lambda: 10, list)
    control.start()
    return control


@pytest.fixture
def control() -> Iterator[Control]:
    made = serve()
    yield made
    made.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rt_pose.session.orders.ANSWER_MS", 1000)


def file_of(control: Control) -> Path:
    return key_folders()[0] / key_name(control.address)


def killed(address: str = "tcp://127.0.0.1:*") -> tuple[str, Path, int]:
    """Address and key file of a control socket whose process was killed."""
    program = subprocess.Popen([sys.executable, "-c", KILLED, address], stdout=subprocess.PIPE, text=True)
    address, file = program.communicate()[0].split()
    return address, Path(file), program.pid


def test_the_file_is_this_users_alone_named_by_the_port_and_goes_with_the_socket(control: Control) -> None:
    path = file_of(control)
    assert path.name == f"control-{control.address.rpartition(':')[2]}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert send_order(control.address, "status")["ok"]
    control.stop()
    assert not path.exists()


def test_without_a_runtime_folder_it_lies_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    control = serve()
    try:
        assert file_of(control).parent == tmp_path / "cache" / "rt-pose" / "keys"
        assert stat.S_IMODE(file_of(control).parent.stat().st_mode) == 0o700
        assert main(["order", "emergency", "--connect", control.address]) == 0
    finally:
        control.stop()


@pytest.mark.parametrize("wrong", ["no keys", "own keys", "own keys, right server", "another server"])
def test_who_does_not_hold_the_keys_gets_no_answer(control: Control, wrong: str) -> None:
    keys = read_keys(file_of(control), ClientKeys, "test")
    public, secret = (key.decode() for key in zmq.curve_keypair())
    other = zmq.curve_keypair()[0].decode()
    chosen = {
        "own keys": ClientKeys(other, public, secret),
        "own keys, right server": ClientKeys(keys.server_public, public, secret),
        "another server": ClientKeys(other, keys.client_public, keys.client_secret),
    }.get(wrong)
    with zmq.Context.instance().socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        if chosen is not None:
            chosen.secure(socket)
        socket.connect(control.address)
        socket.send(request("emergency"))
        assert not socket.poll(700)
    assert not control.inbox
    assert send_order(control.address, "status")["ok"], "who holds them is still served"


def test_what_a_browser_sends_reaches_nothing(control: Control) -> None:
    port = int(control.address.rpartition(":")[2])
    with system.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n" + 200 * b"x")
        with suppress(OSError):  # reset, or closed in order
            while connection.recv(100):
                pass
    assert not control.inbox
    assert send_order(control.address, "status")["ok"]


@pytest.mark.usefixtures("impatient")
def test_a_program_that_took_the_port_learns_nothing() -> None:
    for curve in (None, CurveServer()):
        address, path, _ = killed()
        kept = path.rename(path.with_name("kept.json"))
        server = zmq.Context.instance().socket(zmq.ROUTER) if curve is None else curve.socket(zmq.ROUTER)
        with server:
            server.setsockopt(zmq.LINGER, 0)
            server.bind(address)
            with pytest.raises(UserError, match=r"what listens at .* does not take the keys of .*kept\.json"):
                send_order(address, "arm", keys=kept)
            assert not server.poll(0)
        if curve is not None:
            curve.close()


def test_a_refusal_names_the_file_and_says_why(
    control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = control.address.rpartition(":")[2]
    cases = {
        r"order arm: the key file .*control-9\.json.* is not there; does a run of yours listen": (
            "tcp://127.0.0.1:9",
            None,
        ),
        r"order arm: the key file .*none\.json is not there": (control.address, tmp_path / "none.json"),
        r"order arm: .*text\.json is no key file for a client": (control.address, tmp_path / "text.json"),
        r"order arm: what listens at .* does not take the keys of .*other\.json: they are of another run": (
            control.address,
            tmp_path / "other.json",
        ),
        r"order arm: nobody answered at tcp://127\.0\.0\.1:9; .*other\.json": (
            "tcp://127.0.0.1:9",
            tmp_path / "other.json",
        ),
    }
    (tmp_path / "text.json").write_text('{"server_public": "a", "client_public": "b", "client_secret": "c"}')
    other = serve()
    (tmp_path / "other.json").write_bytes(file_of(other).read_bytes())
    other.stop()
    with monkeypatch.context() as patch:
        patch.setattr("rt_pose.session.orders.ANSWER_MS", 1000)
        for message, (address, keys) in cases.items():
            with pytest.raises(UserError, match=message):
                send_order(address, "arm", keys=keys)
    assert main(["order", "status2", "--connect", control.address]) == 2
    assert main(["order", "emergency", "--connect", f"tcp://localhost:{port}"]) == 0
    assert main(["order", "emergency", "--connect", control.address, "--keys", str(file_of(control))]) == 0


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(control: Control) -> None:
    file_of(control).chmod(0)
    with pytest.raises(UserError, match=r"the key file .* cannot be read: Permission denied"):
        send_order(control.address, "arm")


def test_a_dead_runs_file_is_told_from_a_living_ones_and_replaced() -> None:
    address, path, pid = killed()
    assert path.is_file()
    with pytest.raises(UserError, match=rf"is of a run that has ended \(process {pid}\)"):
        send_order(address, "arm")
    control = serve(address)
    try:
        assert json.loads(path.read_bytes())["pid"] == os.getpid()
        assert send_order(address, "emergency")["ok"]
    finally:
        control.stop()
    address, path, pid = killed()
    remove_left_by(pid)
    assert not path.exists()


def test_a_living_runs_file_is_never_touched(control: Control) -> None:
    path = file_of(control)
    before = path.read_bytes(), path.stat().st_ino
    with pytest.raises(UserError, match=rf"is of a run that lives \(process {os.getpid()}\)"):
        KeyFile(control.address, ClientKeys("a", "b", "c"))
    remove_left_by(os.getpid())
    assert (path.read_bytes(), path.stat().st_ino) == before
    assert [p for p in path.parent.iterdir() if p.name.startswith(path.name + ".")] == []


def test_an_ipc_socket_wants_keys_too_and_takes_no_place_of_another(tmp_path: Path) -> None:
    place = tmp_path / "control"
    control = serve(f"ipc://{place}")
    try:
        assert main(["order", "emergency", "--connect", control.address]) == 0
        with pytest.raises(UserError, match=r"publish\.control: ipc.* is in use"):
            ControlSocket(f"ipc://{place}")
        assert main(["order", "emergency", "--connect", control.address]) == 0
    finally:
        control.stop()
    note = tmp_path / "note"
    note.write_text("mine")
    with pytest.raises(UserError, match="exists already and is no socket"):
        ControlSocket(f"ipc://{note}")
    assert note.read_text() == "mine"
    address, _, _ = killed(f"ipc://{place}")
    assert place.is_socket()
    control = serve(address)
    assert main(["order", "emergency", "--connect", control.address]) == 0
    control.stop()


def test_keys_for_other_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = tmp_path / "rig.json"
    assert main(["keys", "--out", str(server)]) == 0
    client = tmp_path / "rig.client.json"
    assert str(client) in capsys.readouterr().out
    assert {stat.S_IMODE(path.stat().st_mode) for path in (server, client)} == {0o600}
    assert "server_secret" not in client.read_text()
    assert main(["keys", "--out", str(server)]) == 2
    assert "File exists" in capsys.readouterr().err

    curve = CurveServer(read_keys(server, ServerKeys, "test"))
    publisher = Publisher("tcp://0.0.0.0:*", "s", FakeClock(), curve)
    control = serve("tcp://0.0.0.0:*", curve)
    here = f"tcp://127.0.0.1:{control.address.rpartition(':')[2]}"
    try:
        for keys in ("--keys", str(client)), ():
            assert main(["order", "emergency", "--connect", here, *keys]) == 0
        assert receives(publisher, read_keys(client, ClientKeys, "test"), PATIENCE_S)
        assert not receives(publisher, None, 1.0)
    finally:
        control.stop()
        publisher.close()
        curve.close()


def receives(publisher: Publisher, keys: ClientKeys | None, within_s: float) -> bool:
    with zmq.Context.instance().socket(zmq.SUB) as subscriber:
        if keys is not None:
            keys.secure(subscriber)
        subscriber.subscribe(b"")
        subscriber.connect(f"tcp://127.0.0.1:{publisher.address.rpartition(':')[2]}")
        for _ in range(round(within_s / 0.02)):
            publisher.send("hello", {})
            if subscriber.poll(20):
                return True
    return False


def test_permanent_keys_leave_nothing_half(tmp_path: Path) -> None:
    (tmp_path / "a.client.json").write_text("mine")
    with pytest.raises(UserError, match=r"a\.client\.json cannot be written"):
        make_permanent_keys(tmp_path / "a.json")
    assert [p.name for p in tmp_path.iterdir()] == ["a.client.json"]


def test_an_answer_is_read_by_any_client(control: Control) -> None:
    keys = read_keys(file_of(control), ClientKeys, "test")
    with open_control(control.address, zmq.REQ, keys) as socket:
        socket.send(msgspec.msgpack.encode({"v": 1, "id": "a", "do": "status"}))
        assert msgspec.msgpack.decode(socket.recv()) == {"v": 1, "id": "a", "ok": True, "status": {}}
