"""Pages from jinja2 templates: one base, one style and one set of macros, with every value escaped.

A page is one file that loads nothing: style, plots and pictures are inside it.
"""

from __future__ import annotations

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

UNKNOWN = "–"
"""Stands for a figure that was not measured."""


def render(template: str, package: str = "rt_pose.reports", **values: object) -> str:
    """The text of a page.

    Parameters
    ----------
    template : str
        Name of a file in the folder `templates` of `package`, or of this package.
    package : str
        Where the template lies. Its templates may extend and import those of this package.
    **values : object
        What the template names. Plain text is escaped, `markupsafe.Markup` is taken as it is.

    Raises
    ------
    jinja2.UndefinedError
        The template names a value that was not given.
    """
    return _environment(package).get_template(template).render(**values)


def number(value: float | None, form: str = ",") -> str:
    """Format a number; the filter `number` of the templates.

    Parameters
    ----------
    value
        The number; None where it was not measured.
    form
        A format of `format`.

    Returns
    -------
    str
        The number, or a dash for None.
    """
    return UNKNOWN if value is None else format(value, form)


@cache
def _environment(package: str) -> Environment:
    own, shared = PackageLoader(package), PackageLoader("rt_pose.reports")
    made = Environment(
        loader=ChoiceLoader([own, shared]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["number"] = number
    return made
