"""Qt for tests. Importing this skips the module where the machine lacks the libraries Qt needs."""

from __future__ import annotations

import pytest

from rt_pose.viewer.app import QT_PACKAGES

pytest.importorskip(
    "PySide6.QtWidgets", exc_type=ImportError, reason=f"Qt cannot be loaded; install {QT_PACKAGES}"
)
from PySide6 import QtCore, QtGui, QtTest, QtWidgets

__all__ = ["QtCore", "QtGui", "QtTest", "QtWidgets"]
