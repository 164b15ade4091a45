"""How the processes of a run are started and ended: loop, recorder, processors, the one for safe outputs.

Each is spawned: an interpreter of its own that shares no thread, no lock and no open file with its parent, so
that it outlives whatever becomes of that.
"""

import multiprocessing
from multiprocessing.process import BaseProcess

context: multiprocessing.context.SpawnContext = multiprocessing.get_context("spawn")
"""Makes the processes and their pipes."""
KILL_S = 2.0
"""How long a process may take to end once it was told to; then it is killed."""


def end_process(process: BaseProcess, patience_s: float, kill_s: float = KILL_S) -> bool:
    """Wait for a process's end, and bring it about where it does not come.

    Parameters
    ----------
    process
        The process.
    patience_s
        How long it may take to end by itself, s.
    kill_s
        How long it may take once it was told to, s.

    Returns
    -------
    bool
        Whether it ended by itself.
    """
    process.join(patience_s)
    if not process.is_alive():
        return True
    process.terminate()
    process.join(kill_s)
    if process.is_alive():
        process.kill()
        process.join(kill_s)
    return False
