"""A torch program (`.pt2`) read without running what may be pickled in it, or machine code that it brings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rt_pose.errors import UserError, first_line

FORCE_TENSORS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""With it torch reads the tensors of a pickle and nothing else, also where it would else run the pickle."""


def read_program(path: Path) -> Any:
    """Read a program of tensors and operators.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    torch.export.ExportedProgram
        The program.

    Raises
    ------
    UserError
        Where torch cannot load it, or it holds objects that only running them would bring back.
    """
    import torch
    from torch.export.pt2_archive import constants
    from torch.export.pt2_archive._package import PT2ArchiveReader

    prefixes = (constants.CUSTOM_OBJ_FILENAME_PREFIX, constants.OPAQUE_OBJ_FILENAME_PREFIX)
    run = (constants.AOTINDUCTOR_DIR, *(constants.CONSTANTS_DIR + prefix for prefix in prefixes))
    try:
        with PT2ArchiveReader(str(path)) as archive:
            found = [name for name in archive.get_file_names() if name.startswith(run)]
        if found:
            raise ValueError(f"{found[0]} would have to be run")
        with _tensors_only():
            return torch.export.load(path)
    except Exception as error:
        raise UserError(
            f"network {path}: torch cannot load it: {first_line(error)}; export the package again"
        ) from error


@contextmanager
def _tensors_only() -> Iterator[None]:
    before = os.environ.get(FORCE_TENSORS)
    os.environ[FORCE_TENSORS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FORCE_TENSORS]
        else:
            os.environ[FORCE_TENSORS] = before
