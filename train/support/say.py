"""How a training speaks to its user."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], object]
