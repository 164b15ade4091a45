"""`rt-pose VERB`: the verbs there are. Each is a function beside the options it takes, in the module of its
area (`training.py` and so on). Heavy imports live in the functions, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

from rt_pose import __version__
from rt_pose.cli import benchmarks as bench
from rt_pose.cli import importing as imports
from rt_pose.cli import live, offline, session
from rt_pose.cli import training as train
from rt_pose.cli.options import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USER, no_options
from rt_pose.config.build import build, filled, load_yaml
from rt_pose.config.schema import RunConfig
from rt_pose.console import log_to_console
from rt_pose.errors import UserError

DESCRIPTION = """Real-time closed-loop animal pose tracking.

A first look, with nothing else at hand:
    rt-pose demo
Your own labeled frames to a model:
    rt-pose train fit --data FOLDER --out OUT
The model on a recorded video, live:
    rt-pose run configs/video.yaml --model OUT/package --camera VIDEO.mp4
What a session was like, and its decisions once more:
    rt-pose report SESSION
    rt-pose replay SESSION
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; 0 well, 1 not as it should be, 2 a mistake the user can mend, 130 ended by Ctrl-C."""
    log_to_console()
    argv = _name_configs(list(sys.argv[1:] if argv is None else argv))
    try:
        argv = _check_config(argv)
        parser = _parser(argv)
        arguments = parser.parse_args(argv)
        verb, options = _chosen(arguments)
        if verb not in VERBS:
            parser.print_help()
            return EXIT_USER
        return VERBS[verb][1](options)
    except UserError as error:
        print(f"rt-pose: {error}", file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt:
        print("rt-pose: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; a further word would only raise again.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return EXIT_FAILED


Verb = tuple[Callable[[ArgumentParser], None], Callable[[Namespace], int]]
VERBS: dict[str, Verb] = {
    "demo": (live.demo_parser, live.demo),
    "train fit": (train.fit_parser, train.train_fit),
    "train distill": (train.distill_parser, train.train_distill),
    "train show-augmented": (train.show_augmented_parser, train.train_show_augmented),
    "train calibrate": (train.calibrate_parser, train.train_calibrate),
    "train evaluate": (train.evaluate_parser, train.train_evaluate),
    "train quantise": (train.quantise_parser, train.train_quantise),
    "predict": (offline.predict_parser, offline.predict),
    "smooth": (offline.smooth_parser, offline.smooth),
    "run": (live.run_parser, live.run),
    "bench latency": (bench.latency_parser, bench.bench_latency),
    "bench triggers": (bench.triggers_parser, bench.bench_triggers),
    "import onnx": (imports.import_onnx_parser, imports.import_onnx),
    "import dlc": (imports.import_original_parser, imports.import_dlc),
    "import sleap": (imports.import_original_parser, imports.import_sleap),
    "view": (live.view_parser, live.view),
    "order": (live.order_parser, live.order),
    "replay": (session.replay_parser, session.replay),
    "report": (session.session_parser, session.report),
    "rules check": (live.rules_parser, live.rules_check),
    "rules words": (no_options, live.rules_words),
    "devices": (no_options, live.devices),
}
GROUPS = {
    "train": "Make models.",
    "bench": "Measure.",
    "rules": "Look at rules.",
    "import": "Models trained elsewhere, as model packages.",
}
CONFIGURED = ("train fit", "train distill", "train show-augmented", "run")
"""Verbs whose first word may be a configuration file."""
MANY_OPTIONS = 12


class _Parser(ArgumentParser):
    """Names the option nearest to one that there is not."""

    options: tuple[str, ...] = ()
    """Of the verb at hand."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say it, with how the verb is used, and exit with 2."""
        message = re.sub(r'Parser key "([\w.]+)"', r"--\1", message)
        unknown = message.partition("unrecognized arguments: ")[2].split(" ")[0].split("=")[0]
        close = difflib.get_close_matches(unknown, self.options, n=1) if unknown else []
        super().error(message + (f"; did you mean {close[0]}?" if close else ""), ex)


class _HelpFormatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Leaves the lines of the description as they are written."""


def _parser(argv: list[str]) -> ArgumentParser:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = _Parser(
        prog="rt-pose", description=DESCRIPTION, version=__version__, formatter_class=_HelpFormatter
    )
    verbs = parser.add_subcommands(required=False, dest="verb", metavar="VERB")
    nested: dict[str, Any] = {}
    for name, (fill, function) in VERBS.items():
        group, _, leaf = name.rpartition(" ")
        verb_parser = _Parser(description=function.__doc__)
        # Only the verb at hand gets its options: building all of them would cost `--help` its second.
        if argv[: len(name.split())] == name.split():
            fill(verb_parser)
            verb_parser.usage = _usage(name, verb_parser)
            verb_parser.options = tuple(o for action in verb_parser._actions for o in action.option_strings)
        if not group:
            verbs.add_subcommand(name, verb_parser, help=function.__doc__)
            continue
        if group not in nested:
            group_parser = ArgumentParser(description=GROUPS[group])
            verbs.add_subcommand(group, group_parser, help=GROUPS[group])
            nested[group] = group_parser.add_subcommands(required=True, dest="what", metavar="WHAT")
        nested[group].add_subcommand(leaf, verb_parser, help=function.__doc__)
    return parser


def _usage(verb: str, parser: ArgumentParser) -> str | None:
    """Short for a verb with many options, of which a list would be no usage; None: all of them."""
    if len(parser._actions) <= MANY_OPTIONS:
        return None
    first = [action.dest.upper() for action in parser._actions if not action.option_strings]
    first += ["[CONFIG.yaml]"] if verb in CONFIGURED else []
    return " ".join(["rt-pose", verb, *first, "[--KEY VALUE ...]"])


def _name_configs(argv: list[str]) -> list[str]:
    """`run FILE ...` as `run --config FILE ...`."""
    verb = _configured(argv)
    rest = argv[len(verb) :]
    if verb and rest and not rest[0].startswith("-"):
        return [*verb, "--config", *rest]
    return argv


def _check_config(argv: list[str]) -> list[str]:
    """Check a configuration file before the parser sees it: our messages name the nearest key.

    The words with which the parser gets it: it does not take a section that was left empty.
    """
    verb = _configured(argv)
    if not verb or "--config" not in argv[:-1]:
        return argv
    kind: type = RunConfig
    if verb == ["train", "distill"]:
        from train.distillation.config import DistillConfig

        kind = DistillConfig
    elif verb[0] == "train":
        from train.config import TrainConfig

        kind = TrainConfig
    place = argv.index("--config") + 1
    if verb[0] == "train" and Path(argv[place]).is_dir():
        raise UserError(f"{argv[place]} is a folder, not a configuration file; write --data {argv[place]}")
    data = load_yaml(Path(argv[place]))
    build(kind, data, argv[place])
    whole = filled(kind, data)
    return argv if whole == data else [*argv[:place], yaml.safe_dump(whole), *argv[place + 1 :]]


def _configured(argv: list[str]) -> list[str]:
    """The words of the verb at hand, where it takes a configuration file."""
    return next((v.split() for v in CONFIGURED if argv[: len(v.split())] == v.split()), [])


def _chosen(arguments: Namespace) -> tuple[str, Namespace]:
    verb = arguments.get("verb")
    options = arguments.get(verb) if verb else Namespace()
    if verb in GROUPS:
        what = options.get("what")
        return f"{verb} {what}", options.get(what)
    return str(verb), options
