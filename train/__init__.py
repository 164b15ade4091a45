"""Training: from labels and video to model packages.

The threads of torch's OpenMP spin while they wait for each other. On a machine with other work, a second
training for instance, each step then costs several times as much. So before anything here can import torch,
they are made to sleep instead, unless the environment says how they wait.
"""

import os

PASSIVE_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}

if not any(name in os.environ for name in PASSIVE_THREADS):
    os.environ.update(PASSIVE_THREADS)
