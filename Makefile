# One command trains and encodes (`make demo`), one tests (`make test`). Everything lives in .venv.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP_LOCK := pip install --no-deps -r requirements.lock
PIP_ZOO := pip install --no-deps --no-build-isolation

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-examples lint format bench schema lock test-pythons clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(STAMP) ## make .venv and install the locked packages and zoo (editable)

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m $(PIP_LOCK)
	$(BIN)/python -m $(PIP_ZOO) -e .
	touch $@

demo: setup ## train a tiny VAE for about a minute, then encode and decode a file it never heard
	$(BIN)/python benchmarks/demo.py

# By files, since some count what the tests before them ran.
test: setup ## all tests, one process for each core, at most four
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-examples: setup ## the property tests, each with other examples than the usual ones
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --hypothesis-profile=default \
	  $$(grep -rl "^@given" tests)

lint: setup ## ruff, pyright, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: setup ## let ruff rewrite the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## every program in benchmarks/, results into benchmarks/results/
	$(BIN)/python benchmarks/demo.py --record
	$(BIN)/python benchmarks/starter.py --record
	$(BIN)/python benchmarks/engines.py --record
	$(BIN)/python benchmarks/encode.py --record
	$(BIN)/python benchmarks/decode.py --record
	$(BIN)/python benchmarks/train_step.py --record
	$(BIN)/python benchmarks/data.py --record
	$(BIN)/python benchmarks/quality.py --record
	$(BIN)/python benchmarks/noise_warmup.py --record
	$(BIN)/python benchmarks/mutations.py --record
	$(BIN)/python benchmarks/diffusion.py --record
	$(BIN)/python benchmarks/chunks.py runs/diffusion/*_0 --record
	$(BIN)/python benchmarks/memory.py --record
	$(BIN)/python benchmarks/load.py --record
	$(BIN)/python benchmarks/folder.py --record
	$(BIN)/python benchmarks/install.py

schema: setup ## rewrite the JSON schemas in docs/schema/
	$(BIN)/zoo schema model > docs/schema/model.schema.json
	$(BIN)/zoo schema recipe > docs/schema/recipe.schema.json

lock: ## rewrite requirements.lock from pyproject.toml and overrides.txt (needs `uv`)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --overrides overrides.txt --no-annotate --no-header -q -o requirements.lock.new
	grep -v "'never'" requirements.lock.new > requirements.lock
	rm requirements.lock.new

test-pythons: ## install the lock and run the quick tests on every Python 3.11-3.13 found
	$(PYTHON) benchmarks/pythons.py

clean: ## remove what the targets above made
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .import_linter_cache
