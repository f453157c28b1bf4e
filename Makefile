# One entry for everything. Each target makes the environment it needs.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo check format bench tables clean

help:  ## say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/.demo  ## an agent writes a 3,000-line file through a gateway that drops connections
	@$(BIN)/agentcore demo

check: .venv/.check  ## format and lint, layers, types, tests with branch coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

format: .venv/.check  ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.check  ## how long classifying an error takes, hostile input included
	$(BIN)/python benchmarks/classification.py

tables: .venv/.check  ## rewrite the tables of docs/errors.md from the code
	$(BIN)/python tests/test_error_docs.py

clean:  ## remove the environment and every cache
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage*

.venv/.pip:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	@touch $@

.venv/.demo: .venv/.pip pyproject.toml
	$(BIN)/pip install --quiet --editable '.[cli]'
	@touch $@

.venv/.check: .venv/.pip pyproject.toml
	$(BIN)/pip install --quiet --editable . --group dev
	@touch $@
