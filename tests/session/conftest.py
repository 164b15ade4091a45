"""Sessions that the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.synthetic_session import write_session


@pytest.fixture(scope="session")
def synthetic_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 made-up frames at 50 a second, written by a real recorder. Read only."""
    path = tmp_path_factory.mktemp("synthetic") / "session"
    write_session(path, frames=600)
    return path
