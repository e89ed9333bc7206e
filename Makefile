# make demo   learn handwritten digits class by class with four methods, and show what each one kept
# make test   all tests, in a virtual environment of their own
# make soak   300 kills (KILLS=300) of runs that learn, each resumed and compared with one left alone: 15 minutes
# make lint   style, types, import rules, spelling
# make reproduce-split-mnist   the table of Split MNIST in three settings, run by run; Ctrl-C and go on at will (JOBS=2)
# make reproduce               all published numbers: docs/reproduction.md
# make bench-speed  what an update costs beside a bare PyTorch loop, in a quarter of an hour: docs/performance.md
# make claims                  claims of papers, each with a verdict: docs/claims.md
# make evidence                do the newer methods do what their papers say: docs/evidence.md
# Each sets up what it needs in .venv; nothing else on the machine is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo

export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test soak reproduce reproduce-split-mnist claims evidence bench-speed lint format clean

help:
	@sed -n 's/^# //p' Makefile | head -10

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Perdure needs Python 3.11 or later; say which with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "Python cannot make virtual environments: apt install python3-venv"; exit 1; }
	@echo "Setting up $(VENV): a few minutes the first time, most of it PyTorch"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.ready
	$(BIN)/perdure run --config examples/demo.yaml

test: $(VENV)/.ready
	$(BIN)/python -m pytest --numprocesses auto

soak: $(VENV)/.ready
	$(BIN)/python tests/faults/soak.py

reproduce-split-mnist: $(VENV)/.ready
	$(BIN)/python benchmarks/accuracy --only split-mnist $(if $(JOBS),--jobs $(JOBS))

reproduce: $(VENV)/.ready
	$(BIN)/python benchmarks/accuracy $(if $(JOBS),--jobs $(JOBS))

claims: $(VENV)/.ready
	$(BIN)/python benchmarks/claims $(if $(JOBS),--jobs $(JOBS))

evidence: $(VENV)/.ready
	$(BIN)/python benchmarks/evidence $(if $(JOBS),--jobs $(JOBS))

bench-speed: $(VENV)/.ready
	$(BIN)/python benchmarks/speed --json benchmarks/speed/results/cpu.json
	$(BIN)/python benchmarks/speed/anatomy.py --json benchmarks/speed/results/anatomy/cpu-10-1.json
	$(BIN)/python benchmarks/speed/anatomy.py --threads 2 --json benchmarks/speed/results/anatomy/cpu-10-2.json
	$(BIN)/python benchmarks/speed/anatomy.py --batch 64 --threads 2 --json benchmarks/speed/results/anatomy/cpu-64-2.json
	$(BIN)/python benchmarks/speed --page

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs examples README.md

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
