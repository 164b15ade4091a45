"""Ctrl-C, or a polite kill, in a training: it ends after its step, and in every process that takes part."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import pytorch_lightning as lightning

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What a terminal sends at Ctrl-C, and what `kill`, a container's or a cluster's end of time send."""
Handler = Callable[[int, FrameType | None], None]


class StopOnSignal(lightning.Callback):
    """The first signal to stop ends the training after its step, validated and saved; a second one at once.

    Lightning itself would end the whole process, at a SIGTERM with status 0, as if all were done. Of several
    processes that train together the first one handles Ctrl-C, the others start with it blocked, and all stop
    after the same step: one that went on would wait for ever for the others' gradients.
    """

    def __init__(self) -> None:
        self.asked = False
        """Whether it came; in the process that listens."""
        self._handler: Handler | None = None

    @contextmanager
    def listening(self, together: bool) -> Iterator[None]:
        """Handle the signals within the context, on the main thread; a second Ctrl-C is a KeyboardInterrupt.

        Parameters
        ----------
        together
            Whether Lightning is about to start other processes, which must start with the signal blocked.
        """

        def ask() -> None:
            self.asked = True

        with on_stop_signal(ask) as self._handler:
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

    def on_train_start(self, *_: Any) -> None:
        """See `Callback.on_train_start`. By now Lightning has put its own handler of SIGTERM in our place."""
        if self._handler is not None and not self.asked:
            signal.signal(signal.SIGTERM, self._handler)

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
def on_stop_signal(do: Callable[[], object]) -> Iterator[Handler | None]:
    """Call a function at the first signal to stop within the context; a second acts as before.

    Only the main thread can handle signals.

    Parameters
    ----------
    do
        Called in the signal's handler.

    Yields
    ------
    Handler or None
        The handler; None on any other thread, where nothing is handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def first(_signal: int, _frame: FrameType | None) -> None:
        restore()
        do()

    for number in STOP_SIGNALS:
        signal.signal(number, first)
    try:
        yield first
    finally:
        restore()


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
