# Two commands: `make demo` and `make test`. Both set everything up first; a second call costs seconds.
PYTHON ?= python3.11
# Where to take torch from, for a CPU-only machine: see the README. Empty = wherever pip looks.
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: install demo test compiled collected test-slurm check format docs docs-commands wheel-check clean

install: $(STAMP)

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "rt-pose needs Python 3.11: install it, or say make PYTHON=..." >&2; exit 2; }
	@echo "installing into $(VENV): several GB, minutes the first time; interrupted, the same command goes on"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "1 of 2: PyTorch"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) \
	    "$$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)"
	@echo "2 of 2: everything else, about a hundred packages"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: install
	$(BIN)/rt-pose demo

# What failed is tried once more with nothing beside it, since a run's processes share two cores with two other tests.
# Both tries are printed; a test that needs its second try is to be mended.
PYTEST := $(BIN)/python -m pytest
AGAIN := echo "once more, alone:" && $(PYTEST) --last-failed --last-failed-no-failures none
PROCESSES ?= 3

test: install
	@$(MAKE) --no-print-directory -j2 -O check compiled collected
	@# Both parts, also where the first fails. Compiled modules are kept: each of the many programs that are
	@# started would compile them anew.
	export PYTHONDONTWRITEBYTECODE=; status=0; \
	    $(PYTEST) -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m "not alone" \
	        || { $(AGAIN) -m "not alone"; } || status=1; \
	    $(PYTEST) -m alone || { $(AGAIN) -m alone; } || status=1; \
	    exit $$status

# Beside the type checker, which keeps one core busy: what the tests' processes would each compile for themselves.
compiled: install
	@export PYTHONDONTWRITEBYTECODE=; PYTHONPATH=tests $(BIN)/python -c "import support.warm_training" || true

collected: install
	@export PYTHONDONTWRITEBYTECODE=; $(PYTEST) --collect-only >/dev/null || true

# On a real SLURM of one node: as root, with slurm-wlm and munge of Debian.
test-slurm: install
	$(BIN)/python -m pytest tests/offline/test_slurm.py

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The wheel in an empty environment of PYTHON, outside the clone: minutes, and it needs the network. An environment
# for each of EXTRAS as well: `make wheel-check EXTRAS="viewer int8 osc,lsl"`.
wheel-check: install
	PYTHONPATH=tests $(BIN)/python tests/packaging/check_wheel.py --python $(PYTHON) $(if $(EXTRAS),--extras $(EXTRAS))

# A site that needs no network, neither to be built nor to be read: open site/index.html, or, for the search as well,
# serve it with `python -m http.server -d site`.
docs: install $(VENV)/docs-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@! grep -rlE '<(script|link|img|iframe)[^>]* (src|href)="?(https?:)?//' site --include='*.html' \
	    || { echo "these pages ask the network for something" >&2; exit 1; }

$(VENV)/docs-installed: pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

# The long commands of README and docs, each timed, and the wheel. Called again it goes on where it was; `--again`
# begins anew: `.venv/bin/python docs/commands.py --help`.
docs-commands: install
	$(BIN)/python docs/commands.py $(COMMANDS)
	$(MAKE) wheel-check

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache runs
