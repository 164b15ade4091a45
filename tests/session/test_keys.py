"""Single keys, on a terminal of their own."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest
from support.patience import PATIENCE_S

from rt_pose.session.keys import KeyListener

PROGRAM = """
import fcntl, os, sys, termios, threading
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from rt_pose.session.keys import KeyListener
came = threading.Semaphore(0)
watch = KeyListener(lambda: (os.write(1, b'STOP '), came.release()))
os.write(1, b'ready %d ' % watch.active)
for _ in range(3):
    came.acquire()
watch.close()
watch.close()
os.write(1, b'closed')
"""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal."""
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def read_until(fd: int, word: bytes) -> bytes:
    got = b""
    while word not in got:
        got += os.read(fd, 100)
    return got


def test_a_key_is_heard_without_enter_and_the_terminal_is_given_back(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    before = termios.tcgetattr(theirs)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=theirs, stdout=theirs, start_new_session=True
    )
    assert b"ready 1" in read_until(ours, b"ready 1")
    os.write(ours, b"q ")
    assert read_until(ours, b"STOP").count(b"STOP") == 1, "other keys are nothing"
    os.write(ours, b"x")
    assert read_until(ours, b"STOP").count(b"STOP") == 1
    os.write(ours, b"\x1b[A")  # an arrow is not Esc
    os.write(ours, b"q")
    assert not select.select([ours], [], [], 0.5)[0]
    os.write(ours, b"\x1b")
    assert b"closed" in read_until(ours, b"closed")
    assert program.wait(PATIENCE_S) == 0
    assert termios.tcgetattr(theirs) == before


def test_without_a_terminal_there_are_no_keys() -> None:
    watch = KeyListener(lambda: None)
    assert not watch.active
    watch.close()


OTHERS = """
import fcntl, os, sys, termios, threading
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from rt_pose.session.keys import KeyListener
end = threading.Event()
keys = KeyListener(lambda: (os.write(1, b'STOP '), end.set()))
keys.listen_for({b'l': 'lick', b'A': 'up'}, lambda name: os.write(1, name.encode() + b' '))
os.write(1, b'ready ')
end.wait()
keys.close()
os.write(1, b'closed')
"""


def test_other_keys_are_for_what_they_were_given(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    program = subprocess.Popen(
        [sys.executable, "-c", OTHERS], stdin=theirs, stdout=theirs, start_new_session=True
    )
    read_until(ours, b"ready ")
    os.write(ours, b"lql")
    assert read_until(ours, b"lick lick ") == b"lick lick "
    os.write(ours, b"\x1b[A")  # an arrow holds no A
    assert not select.select([ours], [], [], 0.5)[0]
    os.write(ours, b"lx")
    got = read_until(ours, b"closed")
    assert got == b"STOP closed", "an emergency goes alone"
    assert program.wait(PATIENCE_S) == 0
