"""What verbs share: exit codes, and the parser of their options and of their configuration's keys."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rt_pose.config.build import hints_of, read_section
from rt_pose.config.files import read_config
from rt_pose.config.keys import help_text, keys_of
from rt_pose.config.overrides import field_name, is_key, nearest_option, set_option
from rt_pose.config.source import Place, Source
from rt_pose.errors import ExitCode, UserError

EXIT_OK, EXIT_FAILED, EXIT_USER = ExitCode.DONE, ExitCode.FAILED, ExitCode.MISTAKE
EXIT_INTERRUPTED = ExitCode.INTERRUPTED
"""Ended by Ctrl-C: 128 plus the signal's number, as in shells."""

KEYS_TITLE = """
keys of the configuration{file}, as options `--KEY VALUE` or `--KEY=VALUE`
  Text as it is, everything else as in YAML; lists as '[a, b]' or a b.
"""
WIDEST = 110
Check = Callable[[Source, argparse.Namespace], None]


class Parser(argparse.ArgumentParser):
    """Parses the options of one verb, and the keys of the configuration that it takes.

    An option's words may be joined by `-` or by `_`. Options win over the configuration's file.
    """

    def __init__(self, verb: str, description: str | None) -> None:
        """Make the parser of a verb that takes nothing yet.

        Parameters
        ----------
        verb
            The verb, e.g. `train fit`.
        description
            Printed by `--help`.
        """
        self.verb = verb
        self.kind: type | None = None
        self.takes_file = False
        self._check: Check | None = None
        self.spelled: dict[str, str] = {}
        """The verb's own options: how each is spelled, by its name."""
        super().__init__(
            prog=f"rt-pose {verb}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """See `argparse.ArgumentParser.add_argument`; a default is stated in the help."""
        self.spelled |= {field_name(name[2:]): name for name in names if name.startswith("--")}
        if settings.get("default") not in (None, "", [], argparse.SUPPRESS):
            settings["help"] = f"{settings['help']} (default: %(default)s)"
        return super().add_argument(*names, **settings)

    def takes(self, kind: type, file: bool = False, check: Check | None = None) -> None:
        """Take every key of a configuration as an option.

        Parameters
        ----------
        kind
            Dataclass of the configuration.
        file
            Whether a YAML file of the configuration is taken too.
        check
            Reports in the source what the types cannot tell; `config` of the options that it is given is None
            where the types are wrong already.
        """
        self.kind, self.takes_file, self._check = kind, file, check
        if file:
            self.usage = "%(prog)s [CONFIG.yaml] [--KEY VALUE ...]"
            self.add_argument("--config", metavar="CONFIG.yaml", help="YAML file; options win over it.")

    def options(self) -> set[str]:
        """List every option, those of the configuration included.

        Returns
        -------
        set[str]
            As the help spells them.
        """
        keys = [key.name for key in keys_of(self.kind)] if self.kind else []
        return {*self.spelled.values(), *(f"--{key}" for key in keys)}

    def format_help(self) -> str:
        """See `argparse.ArgumentParser.format_help`; the keys of the configuration follow the options."""
        if self.kind is None:
            return super().format_help()
        title = KEYS_TITLE.format(file=" in CONFIG.yaml" if self.takes_file else "")
        width = min(WIDEST, shutil.get_terminal_size().columns)
        return super().format_help() + title + "\n" + help_text(self.kind, width) + "\n"

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse a verb's options.

        Parameters
        ----------
        words
            The command line behind the verb.

        Returns
        -------
        argparse.Namespace
            The options; `config` is the configuration that was built of file and options, if any.

        Raises
        ------
        UserError
            With everything that is wrong with the configuration.
        """
        own, settings, unknown = self._split(words)
        if self.takes_file and own and not own[0].startswith("-"):
            own = ["--config", *own]
        options = self.parse_args(own)
        source = Source({}, self.verb, by_options=True)
        if self.takes_file and options.config is not None:
            source = self._read(options.config)
        source.problems += unknown
        if self.kind is not None:
            for name, values in settings:
                set_option(source, self.kind, name, values)
            options.config = read_section(self.kind, source.plain, (), source)
        if self._check is not None:
            self._check(source, options)
        source.check()
        return options

    def _split(
        self, words: Sequence[str]
    ) -> tuple[list[str], list[tuple[str, list[str]]], list[tuple[Place, str]]]:
        """The words of the verb's own options, those that set keys, and what is wrong with the others."""
        own: list[str] = []
        settings: list[tuple[str, list[str]]] = []
        unknown = []
        target = own
        for word in words:
            name, equals, value = word.removeprefix("--").partition("=")
            if word.startswith("--") and name.endswith(".help"):  # of a section: the help shows them all
                own.append("--help")
            elif not word.startswith("--") or word == "--":
                target = own if word == "-h" else target
                target.append(word)
            elif spelled := self.spelled.get(field_name(name)):
                target = own
                target.append(spelled + equals + value)
            else:
                target = [value] if equals else []
                if self.kind is not None and is_key(self.kind, name):
                    settings.append((name, target))
                else:
                    unknown.append(self._unknown(name))
        return own, settings, unknown

    def _unknown(self, name: str) -> tuple[Place, str]:
        known = [o.removeprefix("--") for o in self.spelled.values()]
        known += hints_of(self.kind) if self.kind else []
        return Place(f"--{name}"), f"{self.verb}: unknown option --{name}{nearest_option(name, known)}"

    def _read(self, name: str) -> Source:
        if Path(name).is_dir() and self.kind is not None and "data" in hints_of(self.kind):
            raise UserError(f"{name} is a folder, not a configuration file; write --data {name}")
        return read_config(name)


def boolean(text: str) -> bool:
    """Parse true or false as a user writes it.

    Parameters
    ----------
    text
        true, false, yes or no.

    Returns
    -------
    bool
        Its value.

    Raises
    ------
    argparse.ArgumentTypeError
        Where it is none of these.
    """
    if text.lower() not in ("true", "false", "yes", "no"):
        raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")
    return text.lower() in ("true", "yes")


def add_tolerance(parser: Parser) -> None:
    """Add the option of verbs that match events to episodes of the truth.

    Parameters
    ----------
    parser
        Gets `--tolerance-ms`.
    """
    parser.add_argument(
        "--tolerance-ms",
        type=float,
        default=100.0,
        help="So far from the episode it belongs to may an event take effect (ms).",
    )


def add_overwrite(parser: Parser) -> None:
    """Add the option of verbs that write files which the user names.

    Parameters
    ----------
    parser
        Gets `--overwrite`.
    """
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="Replace files that are there already. Without it only an earlier result of the same command is "
        "replaced; what the command reads never is.",
    )


def no_options(parser: Parser) -> None:
    """Add nothing, for verbs without options."""


def length_mm(text: str, option: str) -> float:
    """Read a length that must be metric.

    Parameters
    ----------
    text
        Such as `24 mm`.
    option
        The option that it was given by, for messages.

    Returns
    -------
    float
        In mm.

    Raises
    ------
    UserError
        Where it is no length, or one in px.
    """
    from rt_pose.rules.units import read_length

    value, metric = read_length(text, option)
    if not metric:
        raise UserError(f"{option}: expected a length in mm, cm or m, got {text!r}")
    return value
