# The two commands: `make run` (set-up and the demo) and `make test` (set-up and the tests).
# A machine needs Python 3.11 or newer, git and make; everything else goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 4
.DEFAULT_GOAL := help

.PHONY: help setup run test lint thorough fuzz fuzz-parsers simulate bench lock clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: .venv/ready  ## the virtual environment, from the lock

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch .venv/ready

run: setup  ## the main job: a demo platform, versions, a diff, a restore, a proof
	$(BIN)/cas demo

test: setup lint  ## lint, types, floors, tests; WORKERS of them side by side
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations 15 --durations-min 20

lint: setup  ## ruff, mypy, the floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

thorough: setup  ## tests that take long: all damages of all databases on both servers, every flipped byte
	$(BIN)/python -m pytest -n $(WORKERS) -m thorough --durations 15 --durations-min 20

fuzz: setup  ## random lives of platforms, restored and undone, and read in all ways; CAS_FUZZ_EXAMPLES, else 500
	CAS_FUZZ_EXAMPLES=$${CAS_FUZZ_EXAMPLES:-500} $(BIN)/python -m pytest tests/live/test_state_machine.py \
	  tests/postgres/changes/test_state_machine.py

fuzz-parsers: setup  ## outside bytes into all parsers, guided by coverage; CAS_FUZZ_SECONDS each, else 600
	$(BIN)/python -m pip install --quiet 'atheris>=3.0,<4'
	$(BIN)/python -m tests.fuzz try --seconds $${CAS_FUZZ_SECONDS:-600}

simulate: setup  ## seeded schedules of several machines that fail and die; SEEDS=100000, or SEED= one again
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100000) --first $(or $(FIRST),0))

bench: setup  ## the figures, against peers (restic, borg, pg_dump); takes minutes
	$(BIN)/python -m tests.bench

lock: setup  ## pin all dependencies again
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	  --no-header --group dev --extra service pyproject.toml --output-file requirements.lock

clean:  ## remove what make made
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
