#!/usr/bin/env bash
# PyTorch Lightning: a fit that is ended by SIGTERM ends the program with exit status 0.
#
# Surprising: from the first step on, `Trainer.fit` answers SIGTERM itself: after the running step it raises a kind of
# SystemExit without a code, so that the program ends silently, with status 0, nothing saved by callbacks that save at
# the end, and what stands after `fit` never runs. A handler that the program had set is called as well, but does not
# keep the fit from ending so. A program without Lightning would end with status 143.
# Matters for: trainings on clusters, in containers and under service managers, which end a job by SIGTERM and take
# status 0 for success: a job that was cut short counts as done, and what waits for its result starts without it. Set
# the handler again in `on_train_start`, or look whether `trainer.global_step` came to its end.
# Seen: a fit of 1,000,000 steps that gets SIGTERM after its first one: exit status 0, no traceback, the line after
# `fit` not reached; the program's own handler was called; with the handler set again in on_train_start: reached.
# Versions: pytorch-lightning 2.6.6, torch 2.13.0, Python 3.11, Linux x86-64. Date: 2026-12-01.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 pytorch-lightning==2.6.6 numpy==2.4.6 2>&1 | grep -v -i warning || true
cat > fit.py <<'PY'
import os
import signal
import sys
import warnings

import pytorch_lightning as lightning
import torch

warnings.filterwarnings("ignore")
AGAIN = sys.argv[1] == "again"


class Line(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, _):
        return self.layer(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Terminate(lightning.Callback):
    def on_train_start(self, trainer, *_):
        if AGAIN:
            signal.signal(signal.SIGTERM, mine)

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def mine(number, frame):
    print("own handler called", flush=True)
    trainer.should_stop = True


signal.signal(signal.SIGTERM, mine)
trainer = lightning.Trainer(
    accelerator="cpu", max_steps=1_000_000, min_steps=1, logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, callbacks=[Terminate()],
)
trainer.fit(Line(), torch.utils.data.DataLoader(torch.ones(4, 1)))
print("after fit", flush=True)
sys.exit(3)
PY
run() { local status=0; venv/bin/python fit.py "$1" >"$1.txt" 2>"$1.err" || status=$?; echo "$status"; }
plain="$(run plain)"; again="$(run again)"
echo "handler set before fit:          status $plain; $(grep -c 'own handler called' plain.txt || true) call of it; after fit: $(grep -c 'after fit' plain.txt || true); traceback: $(grep -c Traceback plain.err || true)"
echo "handler set in on_train_start:   status $again; $(grep -c 'own handler called' again.txt || true) call of it; after fit: $(grep -c 'after fit' again.txt || true)"
[ "$plain" = 0 ] && ! grep -q "after fit" plain.txt && grep -q "own handler called" plain.txt && ! grep -q Traceback plain.err \
  && [ "$again" = 3 ] && grep -q "after fit" again.txt && { echo "as described"; exit 0; }
echo CHANGED; exit 1
