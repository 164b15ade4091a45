"""Ctrl-C in a training: it ends after its step, and in every process that takes part."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import pytorch_lightning as lightning


class StopOnCtrlC(lightning.Callback):
    """The first Ctrl-C ends the training after its step, validated and saved; a second one ends it at once.

    Lightning itself would end the whole process. Of several processes that train together the first one
    handles the signal, the others start with it blocked, and all stop after the same step: one that went on
    would wait for ever for the others' gradients.
    """

    def __init__(self) -> None:
        self.asked = False
        """Whether it came; in the process that listens."""

    @contextmanager
    def listening(self, together: bool) -> Iterator[None]:
        """Handle Ctrl-C within the context, on the main thread; a second one is a KeyboardInterrupt.

        Parameters
        ----------
        together
            Whether Lightning is about to start other processes, which must start with the signal blocked.
        """

        def ask() -> None:
            self.asked = True

        with on_ctrl_c(ask):
            try:
                with block_sigint() if together else nullcontext():
                    yield
            except SystemExit:
                if self.asked:  # Lightning's answer to the second
                    raise KeyboardInterrupt from None
                raise

    def setup(self, trainer: lightning.Trainer, *_: Any, **__: Any) -> None:
        """See `Callback.setup`. The other processes have started, so the signal is unblocked in the first."""
        if trainer.is_global_zero:
            unblock_sigint()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """See `Callback.on_train_batch_end`."""
        self._stop_together(trainer)

    def on_validation_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """See `Callback.on_validation_end`."""
        self._stop_together(trainer)

    def _stop_together(self, trainer: lightning.Trainer) -> None:
        if trainer.strategy.reduce_boolean_decision(self.asked, all=False):
            trainer.should_stop = True


@contextmanager
def on_ctrl_c(do: Callable[[], object]) -> Iterator[None]:
    """Call a function at the first Ctrl-C within the context, on the main thread; a second acts as before.

    Parameters
    ----------
    do
        Called in the signal's handler.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def first(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        do()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def block_sigint() -> Iterator[None]:
    """Hold back Ctrl-C within the context; a process started in it has it blocked until `unblock_sigint`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_sigint() -> None:
    """Let Ctrl-C through again: one that was held back arrives now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
