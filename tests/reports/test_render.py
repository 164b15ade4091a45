"""Templates escape what they are given, want all that they name, and travel in the wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup
from support.html_page import ESCAPED, NASTY, check_page

from rt_pose.reports.render import number, render
from rt_pose.reports.svg_elements import element

ROOT = Path(__file__).resolve().parent.parent.parent


def test_text_is_escaped_and_markup_is_not() -> None:
    text = render("hindsight.html", title=NASTY, truths=[])
    check_page(text)
    assert f"<title>{ESCAPED}</title>" in text
    svg = element("g", NASTY, element("line", x1=1.5, stroke_width=0.333), Markup("<b/>"), class_=NASTY)
    assert svg == f'<g class="{ESCAPED}">{ESCAPED}<line x1="1.5" stroke-width="0.33"/><b/></g>'


def test_a_value_that_was_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="truths"):
        render("hindsight.html", title="t")


def test_what_was_not_measured_is_a_dash() -> None:
    assert [number(1234), number(0.5, ".2f"), number(None, ".2f")] == ["1,234", "0.50", "–"]


def test_the_wheel_holds_every_template(tmp_path: Path) -> None:
    source, packages = tmp_path / "source", ("rt_pose", "train", "rigs", "bench")
    for name in packages:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(source)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    here = {path.relative_to(source) for name in packages for path in (source / name).rglob("templates/*")}
    there = {path.relative_to(tmp_path / "installed") for path in tmp_path.glob("installed/**/templates/*")}
    assert there == here
    assert len(here) > 5
    program = (
        "from bench.tables import Table, tables_page\n"
        "print(tables_page('Found', [], [Table('One', ['head'], [['cell']])]))"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-c", program]
    assert "<td>cell</td>" in subprocess.check_output(command, env=environment, cwd=tmp_path, text=True)
