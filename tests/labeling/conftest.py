"""A short recording of moving discs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.labeled_folder import make_discs_video


@pytest.fixture(scope="session")
def qt_app() -> Any:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from support.qt import QtWidgets

    return QtWidgets.QApplication.instance() or QtWidgets.QApplication(["rt-pose"])


@pytest.fixture(scope="session")
def discs_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_discs_video(tmp_path_factory.mktemp("videos") / "discs.avi", frames=40)
