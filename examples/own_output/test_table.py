"""The suite that every output driver passes: `pytest examples/own_output`."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rt_pose_table  # noqa: F401 - registers the driver

from rt_pose.contracts.outputs import OutputCase, OutputContract


@contextmanager
def a_file() -> Iterator[dict[str, Any]]:
    """What must be there while the output is open: for a device its simulator, which gives the port."""
    with tempfile.TemporaryDirectory() as folder:
        yield {"path": f"{folder}/table.txt"}


class TestTable(OutputContract):
    cases = {"table": OutputCase(around=a_file)}  # noqa: RUF012
