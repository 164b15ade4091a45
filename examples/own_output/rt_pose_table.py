"""The output `table`: its commands become rows of a file, written by this module instead of a device."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TextIO

from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError
from rt_pose.types import Ack, Command, OutputInfo


@dataclass
class TableOptions:
    """What a configuration may say under `outputs.NAME.options`."""

    path: str
    """The file; rows are added at its end."""
    lines: int = 2
    """How many lines it has."""
    delay_ms: float = 0.1
    """From the command to the effect: of a device measure it."""


@output_driver("table")
class TableOutput:
    """A row says when (ns, the host's clock), what, the line, how strongly, and for how long (us)."""

    Options: ClassVar[type] = TableOptions

    def __init__(self, name: str, options: TableOptions, context: DriverContext) -> None:
        if not 1 <= options.lines <= 64:
            raise UserError(f"outputs.{name}.options: lines must be between 1 and 64, got {options.lines}")
        if not 0.0 <= options.delay_ms <= 1000.0:
            raise UserError(
                f"outputs.{name}.options: delay_ms must be between 0 and 1000, got {options.delay_ms:g}"
            )
        self._name, self._options, self._clock = name, options, context.clock
        self._file: TextIO | None = None
        self._lock = threading.Lock()  # `safe_state` comes from any thread, also in the middle of a `send`

    @classmethod
    def find(cls) -> list[FoundDevice]:
        # A real driver asks its library here, and imports it here.
        return [FoundDevice("table", "", "rows in a file")]

    def open(self) -> OutputInfo:
        # A real driver connects to the device here; every line is low when it returns.
        self.close()
        try:
            self._file = Path(self._options.path).open("a", encoding="utf-8")  # noqa: SIM115 - see `close`
        except OSError as error:
            where = f"outputs.{self._name}.options: path: {self._options.path}"
            raise UserError(f"{where} cannot be written: {error.strerror}; give another file") from error
        self.safe_state()
        return OutputInfo(
            name=self._name,
            driver="table",
            serial=self._options.path,
            delay_ms=self._options.delay_ms,
            echoes=False,  # a device that answers sets `t_ack_ns` of each `Ack`
            lines=self._options.lines,
            actions=["pulse", "level", "stop"],
        )

    def send(self, command: Command) -> Ack:
        refusal = self._refusal(command)
        t_sent_ns = None if refusal else self._write(command)
        if t_sent_ns is None:
            refusal = refusal or "the output is not open"
        return Ack(command.id, self._name, t_sent_ns, None, None, ok=not refusal, detail=refusal)

    def safe_state(self) -> None:
        # A real driver raises where its device does not confirm.
        self._write(None)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _refusal(self, command: Command) -> str:
        """Why a command cannot be carried out; the program says it to the user."""
        if command.action not in ("pulse", "level", "stop"):
            return f"a table takes no {command.action}"
        return "" if 0 <= command.line < self._options.lines else "no such line"

    def _write(self, command: Command | None) -> int | None:
        """Write the row of a command, or of the safe state; its time, None where there is no file."""
        row = "safe 0 0 0"
        if command is not None:
            row = f"{command.action} {command.line} {command.amplitude:g} {command.duration_us}"
        with self._lock:
            if self._file is None:
                return None
            self._file.write(f"{self._clock.now_ns()} {row}\n")
            self._file.flush()
            return self._clock.now_ns()
