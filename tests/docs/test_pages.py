"""What README and docs say is so: links, files, messages, configurations, the order of the README."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest
import yaml
from support.pages import BLOCKS, PAGES, ROOT, anchors, prose

from rt_pose.config.build import build
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.decide import make_rules
from train.config import TrainConfig

README = (ROOT / "README.md").read_text(encoding="utf-8")
OTHER_PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "README.md"]
LINKS = [
    (page, target)
    for page in [*PAGES, *OTHER_PAGES]
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page))
]
FILES = sorted(
    {
        (page, path)
        for page in [*PAGES, *OTHER_PAGES]
        for path in re.findall(
            r"(?<![\w/.-])((?:configs|rigs|docs|bench|examples|rt_pose|train|tests)/[\w./-]*\w\.?\w*/?)",
            page.read_text(encoding="utf-8"),
        )
    }
)
REFERENCE = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
"""Modules of the API reference."""


@pytest.mark.parametrize("module", REFERENCE)
def test_a_module_of_the_reference_says_what_it_is(module: str) -> None:
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize(("page", "target"), LINKS, ids=[f"{p.name}:{t}" for p, t in LINKS])
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    if target.startswith("https://"):
        return
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    assert file.exists(), f"{page.name}: {target}"
    if anchor and anchor not in anchors(file):
        assert file.name == "api.md", f"{page.name}: {target}"
        module, _, name = anchor.rpartition(".")
        assert module in REFERENCE
        assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("page", "path"), FILES, ids=[f"{p.name}:{f}" for p, f in FILES])
def test_every_file_and_folder_it_names_is_there(page: Path, path: str) -> None:
    assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_every_page_is_in_the_navigation() -> None:
    assert {p for p in PAGES if p.parent == ROOT / "docs"} == set((ROOT / "docs").glob("*.md"))


def test_the_readme_is_short_and_in_its_order() -> None:
    assert re.findall(r"^## (.+)$", prose(ROOT / "README.md"), re.MULTILINE) == [
        "Install",
        "Demo",
        "Your data in four commands",
        "Your trigger in ten lines",
        "What a session holds",
        "Latency and accuracy",
        "Your camera",
        "Status and limits",
        "Links, licence, citation",
    ]
    assert len(README.split()) < 1100


CONFIGURATIONS = [b for b in BLOCKS if b.language == "yaml" and "--8<--" not in b.text]


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=[f"{b.page}:{b.line}" for b in CONFIGURATIONS])
def test_a_block_of_yaml_is_part_of_a_configuration(block: object) -> None:
    text, page = getattr(block, "text"), getattr(block, "page")  # noqa: B009
    build(TrainConfig if page == "docs/training.md" else RunConfig, yaml.safe_load(text), "the page")


def test_the_trigger_of_the_readme_is_a_rule() -> None:
    (block,) = [b for b in CONFIGURATIONS if b.page == "README.md"]
    assert len(block.text.splitlines()) == 10
    config = build(RunConfig, yaml.safe_load(block.text), "README")
    (rule,) = make_rules(config, ["paw"], {"laser": 2.0})
    assert (rule.name, rule.hold_ns) == ("reach", 20_000_000)


def test_architecture_names_every_folder() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = [p.name for p in (ROOT / "rt_pose").iterdir() if (p / "__init__.py").is_file()]
    folders += [p.name for p in (ROOT / "train").iterdir() if (p / "__init__.py").is_file()]
    for folder in [*folders, "train", "rigs", "bench", "tests", "configs", "examples"]:
        assert f"`{folder}/`" in text, folder


def texts_of_sources() -> str:
    """Every literal text in the sources, pieces of one text side by side, one a line."""
    lines = []
    for wing in ("rt_pose", "train", "rigs"):
        for path in (ROOT / wing).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    lines.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = [p.value if isinstance(p, ast.Constant) else "..." for p in node.values]
                    lines.append("".join(str(part) for part in parts))
    return "\n".join(lines)


SOURCES = texts_of_sources()
MESSAGES = re.findall(
    r"^\| `([^`]+)` \|", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_there_are_messages_to_look_at() -> None:
    assert len(MESSAGES) > 50


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_troubleshooting_is_one_of_the_program(message: str) -> None:
    """Its words stand in one text of the sources; `...` stands for whatever comes between them."""
    pattern = ".*".join(re.escape(part.strip()) for part in message.split("..."))
    assert re.search(pattern, SOURCES), message
