"""Elements of an SVG picture as text, and its colours.

Colours are names of the page's CSS variables (`blue` is `var(--blue)`) or any CSS colour.
"""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from rt_pose.types import FloatArray

VARIABLES = frozenset(["blue", "orange", "red", "green", "grey", "ink", "faint", "panel"])


def colour(name: str) -> str:
    """Get the CSS value of a colour.

    Parameters
    ----------
    name
        A name in `VARIABLES`, or any CSS colour.

    Returns
    -------
    str
        `var(--NAME)`, or the colour as it is.
    """
    return f"var(--{name})" if name in VARIABLES else name


def keypoint_colour(k: int, count: int) -> str:
    """Choose a colour for a keypoint: the hues differ, the lightness is readable on light and on dark.

    Parameters
    ----------
    k
        Index of the keypoint.
    count
        Number of keypoints.

    Returns
    -------
    str
        A CSS colour.
    """
    return f"hsl({(210 + 300 * k / max(count, 1)) % 360:.0f} 75% 52%)"


def element(name: str, *content: str, **attributes: object) -> Markup:
    """Make an SVG element.

    Parameters
    ----------
    name
        Name of the element.
    *content
        What it contains; plain text is escaped, `Markup` is taken as it is.
    **attributes
        A float is written with at most two decimals; `stroke_width` becomes `stroke-width`, and a final `_`
        is removed.

    Returns
    -------
    Markup
        The element.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for key, value in attributes.items()
    )
    inside = "".join(map(escape, content))
    return Markup(f"<{name}{written}>{inside}</{name}>" if content else f"<{name}{written}/>")


def text(x: float, y: float, content: str, anchor: str = "start", **attributes: object) -> Markup:
    """Make a text element.

    Parameters
    ----------
    x, y
        Position, px of the picture.
    content
        The text.
    anchor
        Whether it begins (`start`), ends (`end`) or is centred (`middle`) at x.
    **attributes
        Further attributes.

    Returns
    -------
    Markup
        The element.
    """
    return element("text", content, x=x, y=y, text_anchor=anchor, **attributes)


def line(x0: float, y0: float, x1: float, y1: float, *content: str, **attributes: object) -> Markup:
    """Make a straight line.

    Parameters
    ----------
    x0, y0, x1, y1
        Its ends, px of the picture.
    *content
        What it contains, such as a title.
    **attributes
        Further attributes.

    Returns
    -------
    Markup
        The element.
    """
    return element("line", *content, x1=x0, x2=x1, y1=y0, y2=y1, **attributes)


def circle(x: float, y: float, radius: float, title: str, **attributes: object) -> Markup:
    """Make a circle.

    Parameters
    ----------
    x, y, radius
        Centre and radius, px of the picture.
    title
        Shown under the pointer.
    **attributes
        Further attributes.

    Returns
    -------
    Markup
        The element.
    """
    return element("circle", element("title", title), cx=x, cy=y, r=radius, **attributes)


def path_data(x: FloatArray, y: FloatArray) -> str:
    """Write the `d` attribute of a path.

    Parameters
    ----------
    x, y
        (n,) points, px of the picture; the path is broken where one is NaN.

    Returns
    -------
    str
        Commands `M` and `L`.
    """
    parts, pen_down = [], False
    for px, py in zip(x.tolist(), y.tolist(), strict=True):
        known = math.isfinite(px) and math.isfinite(py)
        if known:
            parts.append(f"{'L' if pen_down else 'M'}{px:.1f} {py:.1f}")
        pen_down = known
    return "".join(parts)


def picture(width: int, height: int, *content: str) -> Markup:
    """Make an SVG element of plots that fills the width it is given.

    The page's style keeps it from becoming unreadably small.

    Parameters
    ----------
    width, height
        Size of its coordinates, px.
    *content
        What it contains.

    Returns
    -------
    Markup
        The element.
    """
    size = {"viewBox": f"0 0 {width} {height}", "style": f"--width: {width}px"}
    return element("svg", *content, class_="plot", role="img", **size)


def _attribute(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else escape(value)
