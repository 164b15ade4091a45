"""What the suites share: each test runs once a case."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest


class Suite:
    """A suite over the cases of a subclass."""

    cases: ClassVar[dict[str, Any]] = {}
    """By the name under which the driver is registered, or any other where the case says its driver."""

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Run every test once a case.

        Parameters
        ----------
        metafunc
            The test.

        Raises
        ------
        ValueError
            Where there are no cases: every test would be skipped.
        """
        if not cls.cases:
            raise ValueError(f"{cls.__name__}: there is nothing to run it on; give it `cases`")
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", list(cls.cases.values()), ids=list(cls.cases))

    def driver_of(self, case: Any) -> str:
        """Look up the driver of a case.

        Parameters
        ----------
        case
            One of `cases`.

        Returns
        -------
        str
            The driver's name.
        """
        return case.driver or next(name for name, one in self.cases.items() if one is case)
