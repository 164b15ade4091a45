"""Ctrl-C in a training: it ends after its step, and in every process that takes part."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import pytorch_lightning as lightning


class StopOnCtrlC(lightning.Callback):
    """The first Ctrl-C ends the training after its step, validated and saved; a second one ends it at once.

    Lightning itself would end the whole process. Of several processes that train together the first one
    listens, the others begin with it blocked, and all stop after the same step: one that went on would wait
    for ever for the others' gradients.
    """

    def __init__(self) -> None:
        self.asked = False
        """Whether it came; in the process that listens."""

    @contextmanager
    def listening(self, together: bool) -> Iterator[None]:
        """Within it Ctrl-C is handled, where this is the main thread; a second one is a KeyboardInterrupt.

        `together`: Lightning is about to begin other processes, which are to block it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            self.asked = True
            signal.signal(signal.SIGINT, before)

        signal.signal(signal.SIGINT, stop)
        try:
            with block_sigint() if together else nullcontext():
                yield
        except SystemExit:
            if self.asked:  # Lightning's answer to the second
                raise KeyboardInterrupt from None
            raise
        finally:
            signal.signal(signal.SIGINT, before)

    def setup(self, trainer: lightning.Trainer, *_: Any, **__: Any) -> None:
        """The other processes are there."""
        if trainer.is_global_zero:
            unblock_sigint()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._stop_together(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._stop_together(trainer)

    def _stop_together(self, trainer: lightning.Trainer) -> None:
        if trainer.strategy.reduce_boolean_decision(self.asked, all=False):
            trainer.should_stop = True


@contextmanager
def block_sigint() -> Iterator[None]:
    """Within it a Ctrl-C waits; a process that begins within it blocks it until it calls `unblock_sigint`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_sigint() -> None:
    """Unblock it: a Ctrl-C that waits comes now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
