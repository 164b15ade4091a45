"""What works on this machine, what does not, and the command that would repair it."""

from __future__ import annotations

import dataclasses
import grp
import importlib
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.config.schema import PublishConfig
from rt_pose.errors import UserError
from rt_pose.extras import EXTRAS, installed, missing, remedy
from rt_pose.session.describe import machine, versions

LIVE = ("numpy", "numba", "openvino", "av", "cv2", "zmq", "msgspec", "mcap", "jinja2", "yaml", "serial")
"""Libraries that a closed-loop run imports."""
GROUPS = {"dialout": "serial ports", "video": "cameras of Video4Linux"}
LEAST_DISK_GIB, LEAST_SHARED_MIB = 2.0, 512
"""Space for a session, and for the frames in memory that the processes of a run share."""
NICE_LIMIT = 30
"""RLIMIT_NICE that allows a nice value of -10: 20 less the nice value."""


@dataclass
class Check:
    """One thing that was examined."""

    what: str
    works: bool
    found: str
    remedy: str = ""
    """The command that would repair it."""
    needed: bool = False
    """Whether no experiment runs without it."""


def examine() -> list[Check]:
    """Make every check; one that fails itself is one more finding and does not end the others.

    Returns
    -------
    list[Check]
        In the order of `CHECKS`.
    """
    found: list[Check] = []
    for look in CHECKS:
        try:
            found += look()
        except Exception as error:  # noqa: BLE001 - whatever is broken here is what was to be found
            name = look.__name__.strip("_").replace("_", " ")
            found.append(Check(name, False, f"{type(error).__name__}: {error}"))
    return found


def runs(checks: list[Check]) -> bool:
    """Tell whether an experiment can run here.

    Parameters
    ----------
    checks
        What `examine` found.

    Returns
    -------
    bool
        Whether everything works that is needed.
    """
    return all(check.works for check in checks if check.needed)


def as_json(checks: list[Check]) -> dict[str, Any]:
    """Convert the findings to plain values, with the machine and the versions of everything.

    Parameters
    ----------
    checks
        What `examine` found.

    Returns
    -------
    dict[str, Any]
        What `rt-pose doctor --json` prints.
    """
    return {
        "schema": 1,
        "ok": runs(checks),
        "machine": machine(),
        "versions": versions(),
        "checks": [dataclasses.asdict(check) for check in checks],
    }


def lines(checks: list[Check]) -> list[str]:
    """Format the findings for people.

    Parameters
    ----------
    checks
        What `examine` found.

    Returns
    -------
    list[str]
        A line a check, and one that says whether experiments can run.
    """
    width = max(len(check.what) for check in checks)
    messages = []
    for check in checks:
        mark = "ok" if check.works else "FAILS" if check.needed else "no"
        mend = f"; {check.remedy}" if check.remedy and not check.works else ""
        messages.append(f"{mark:6}{check.what:{width}}  {check.found}{mend}")
    failing = [check.what for check in checks if check.needed and not check.works]
    last = f"no experiment can run here: see {', '.join(failing)}" if failing else "experiments can run here"
    return [*messages, last]


def _versions() -> Iterator[Check]:
    found = versions()
    yield Check("rt-pose", True, f"{found['rt-pose'] or 'not installed, run from its folder'}")
    yield Check("python", True, f"{found['python']}")
    broken = []
    for module in LIVE:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - a library may fail in any way when it is loaded
            broken.append(f"{module} ({error})")
    text = f"cannot be imported: {', '.join(broken)}" if broken else f"{len(LIVE)} of {len(LIVE)} imported"
    yield Check("libraries", not broken, text, "pip install --force-reinstall rt-pose", needed=True)


def _processor() -> Iterator[Check]:
    from rt_pose.inference.device import physical_cores

    about = machine()
    features = ", ".join(about["features"]) or "no features that matter"
    text = f"{about['cpu']}, {physical_cores()} cores, {about['memory_gib']} GiB, {features}; {about['os']}"
    yield Check("processor", True, text)


def _engines() -> Iterator[Check]:
    from rt_pose.inference.device import cuda_devices
    from rt_pose.inference.engine import engines

    gpus = cuda_devices()
    for backend, cls in engines().items():
        name, extra = f"engine {backend}", "gpu" if cls.device == "gpu" else "train"
        if not installed(cls.library):
            mend = "pip install tensorrt" if backend == "tensorrt" else f"{remedy(extra)}"
            yield Check(name, False, f"{cls.library} is not installed", mend, cls.order == 0)
        elif cls.device == "gpu" and not gpus:
            yield Check(name, False, "there is no GPU")
        else:
            text = f"{cls.device}, precisions {', '.join(cls.precisions())}"
            yield Check(name, True, text, needed=cls.order == 0)


def _gpu() -> Iterator[Check]:
    from rt_pose.inference.device import cuda_devices
    from rt_pose.inference.gpu.device import open_gpu

    if cuda_devices() == 0:
        yield Check("gpu", False, "no CUDA device; a processor serves")
        return
    try:
        number = open_gpu()
    except UserError as error:
        yield Check("gpu", False, str(error))
    else:
        yield Check("gpu", True, f"CUDA device {number} can be used")


def _preprocessing() -> Iterator[Check]:
    from rt_pose.inference.preprocess_compiled import CompiledPreprocess
    from rt_pose.package import InputSpec

    spec = InputSpec(16, 16, 1, mean=[0.0], std=[1.0])
    level = CompiledPreprocess(spec)([np.full((32, 32, 1), 100, np.uint8)])
    right = bool(np.allclose(level, 100.0, atol=1e-3))
    text = "serves wherever it keeps a package's golden keypoints in place, which each start tries"
    yield Check("compiled resize", right, text if right else "computes wrong numbers", needed=True)
    dali = installed("nvidia.dali")
    text = "defines the resize, and trains" if dali else "is not installed: the compiled resize alone serves"
    yield Check("DALI", dali, text, remedy("gpu"))


def _devices() -> Iterator[Check]:
    import rigs
    from rt_pose.drivers import find_devices

    rigs.register()
    for kind, device in find_devices():
        name = " ".join(filter(None, [device.driver, device.serial]))
        yield Check(f"{kind} {name}", device.usable, device.description, device.remedy)


def _permissions() -> Iterator[Check]:
    known = {group.gr_name: group.gr_gid for group in grp.getgrall()}
    for group, what in GROUPS.items():
        if group in known:
            allowed = os.geteuid() == 0 or known[group] in os.getgroups()
            text = f"may open {what}" if allowed else f"may not open {what}"
            yield Check(f"group {group}", allowed, text, f"sudo usermod -aG {group} $USER, and log in again")
    soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
    allowed = os.geteuid() == 0 or soft == resource.RLIM_INFINITY or soft >= NICE_LIMIT
    text = "engine.priority: high is allowed" if allowed else "engine.priority: high is not allowed"
    yield Check("priority", allowed, text, "/etc/security/limits.conf: `USER - nice -10`")


def _ports() -> Iterator[Check]:
    import zmq

    from rt_pose.loop.publish import bind

    defaults = PublishConfig()
    for key, address in (("publish.address", defaults.address), ("publish.control", defaults.control)):
        socket: zmq.Socket[bytes]
        with zmq.Context.instance().socket(zmq.PUB) as socket:
            try:
                bind(socket, address, key)
            except UserError as error:
                yield Check(f"port {key}", False, str(error).partition(": ")[2])
            else:
                yield Check(f"port {key}", True, f"{address} is free")


def _room() -> Iterator[Check]:
    here = Path.cwd()
    free = shutil.disk_usage(here).free / 2**30
    enough, text = free >= LEAST_DISK_GIB, f"{free:.1f} GiB free in {here}"
    yield Check("disk", enough, text, "make room, or run elsewhere")
    may = os.access(here, os.W_OK | os.X_OK)
    text = f"{here} {'takes' if may else 'does not take'} sessions and trainings"
    yield Check("folder", may, text, "run elsewhere, or give --out FOLDER")
    shared = Path("/dev/shm")
    free = shutil.disk_usage(shared).free / 2**20 if os.access(shared, os.W_OK) else 0.0
    enough = free >= LEAST_SHARED_MIB
    text = f"{free:.0f} MiB free in {shared}, where the frames of a run lie"
    yield Check("shared memory", enough, text, "in a container: docker run --shm-size=1g", needed=True)


def _extras() -> Iterator[Check]:
    for extra in EXTRAS:
        absent = missing(extra)
        text = f"not installed: {', '.join(absent)}" if absent else "installed"
        yield Check(f"extra {extra}", not absent, text, remedy(extra))


def _window() -> Iterator[Check]:
    from rt_pose.viewer import screen_problem

    problem = screen_problem()
    yield Check("window", problem is None, problem or "`rt-pose view` can open one")


CHECKS: tuple[Callable[[], Iterator[Check]], ...] = (
    *(_versions, _processor, _engines, _gpu, _preprocessing, _devices),
    *(_permissions, _ports, _room, _extras, _window),
)
