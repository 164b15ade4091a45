"""The session that the tests of exports share."""

from __future__ import annotations

import pytest
from support.export_session import write_export_session

from rt_pose.export.poses import Recording, recording_of_session
from rt_pose.session.read import Session


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """See `support.export_session`. Read only."""
    return write_export_session(tmp_path_factory.mktemp("exported") / "session")


@pytest.fixture(scope="session")
def recording(session: Session) -> Recording:
    """Both cameras of it."""
    return recording_of_session(session, list(session.info.cameras))
