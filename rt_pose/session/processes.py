"""How the processes of a run are started: loop, recorder, processors, and what stands by for safe outputs.

Each is spawned: an interpreter of its own that shares no thread, no lock and no open file with its parent, so
that it outlives whatever becomes of that.
"""

import multiprocessing

context: multiprocessing.context.SpawnContext = multiprocessing.get_context("spawn")
"""Makes the processes and their pipes."""
