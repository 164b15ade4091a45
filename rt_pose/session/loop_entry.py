"""Where the loop's process begins.

What only the loop needs (compiler, network, sockets) takes a second to import. The supervisor, which has to
name this function, does not wait for that.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.connection import Connection

from rt_pose.config.schema import RunConfig


def main(
    link: Connection,
    config: RunConfig,
    session_id: str,
    register: Callable[[], None],
    recorder: str | None = None,
) -> None:
    """Run one loop; the target of a spawned process.

    Parameters
    ----------
    link, config, session_id, register, recorder
        See `rt_pose.session.loop_process.main`.
    """
    from rt_pose.session.loop_process import main as run_loop

    run_loop(link, config, session_id, register, recorder)
