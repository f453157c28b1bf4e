# One entry for everything. Each target makes the environment it needs.
PYTHON ?= python3
BIN := .venv/bin

BENCH_ENVIRONMENTS := $(patsubst benchmarks/peers/%.txt,.venv/.bench-%,$(wildcard benchmarks/peers/*.txt))

.DEFAULT_GOAL := help
.PHONY: help demo check kit integration format bench bench-peers crash fleet tables clean

help:  ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/.demo  ## an agent writes a 3,000-line file through a gateway that drops connections
	@$(BIN)/agentcore demo

check: .venv/.check  ## format and lint, layers, types, tests with branch coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses auto --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

kit: .venv/.kit  ## the test kit by itself: only agentcore-loop[testing] and pytest are installed
	.venv/kit/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	cd .venv/kit && bin/pip check
	cp tests/testing/test_kit.py .venv/kit/
	cd .venv/kit && bin/python -m pytest -q -W error test_kit.py

integration: .venv/.check .venv/.litellm .venv/.llama  ## runs against LiteLLM and llama.cpp; compiles
	AGENTCORE_INTEGRATION=1 $(BIN)/python -m pytest tests/integration

format: .venv/.check  ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.check  ## importing, classification, whole turns, what drafts save and cost, kills, files, sandboxes
	$(BIN)/python benchmarks/imports.py
	$(BIN)/python benchmarks/classification.py
	$(BIN)/python benchmarks/delta.py
	$(BIN)/python benchmarks/transport.py
	$(BIN)/python benchmarks/drafts.py
	$(BIN)/python benchmarks/draft_cost.py
	$(BIN)/python benchmarks/killed.py --kills 200
	$(BIN)/python benchmarks/journal.py
	$(BIN)/python benchmarks/file_fuzz.py --rounds 100
	$(BIN)/python benchmarks/sandbox.py
	$(BIN)/python benchmarks/limiter.py
	$(MAKE) bench-peers

# BENCH="--quick", or "--only tool,loop --clients agentcore,openai-sdk --rounds 9": see --help.
bench-peers: .venv/.check $(BENCH_ENVIRONMENTS)  ## what a delta, a turn, a request cost beside other clients
	$(BIN)/python -m benchmarks.peers $(BENCH)

# CRASH="kills --kills 50 --seed 7", or "busy zombie children loop faults": see --help.
crash: .venv/.check  ## 200 processes killed in durable runs, and all else that may befall them; 10 minutes
	$(BIN)/python benchmarks/crash.py $(CRASH)

# FLEET="kills --runs 100 --kills 5 --seed 7", or "restarts zombies forgotten hosts cost": see --help.
fleet: .venv/.check .venv/.postgres  ## 500 runs on 3 workers, killed, cut off, and without their Postgres; 8 minutes
	AGENTCORE_FLEET=1 $(BIN)/python -m pytest -q tests/journal/test_worker.py
	$(BIN)/python benchmarks/fleet.py $(FLEET)

# Debian's, without the cluster that it makes by itself: each test has one of its own.
.venv/.postgres: .venv/.check
	@if ! $(BIN)/python -m tests.journal.cluster; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && \
			apt-get install -y -qq --no-install-recommends postgresql-common && \
			sed -ri 's/#?create_main_cluster.*/create_main_cluster = false/' \
				/etc/postgresql-common/createcluster.conf && \
			apt-get install -y -qq --no-install-recommends postgresql; \
		else \
			echo 'Install PostgreSQL 14 or newer (apt-get install postgresql), and run this again.'; \
			exit 1; \
		fi; \
	fi
	@touch $@

tables: .venv/.check  ## rewrite what is made from the code: tables of the docs, whole requests
	$(BIN)/python tests/test_error_docs.py
	$(BIN)/python -m tests.tools.test_attacks
	$(BIN)/python -m tests.testing.test_conformance
	$(BIN)/python -m tests.providers.test_whole_requests

clean:  ## remove the environment and every cache
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage*

.venv/.pip:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	@touch $@

.venv/.kit: .venv/.pip pyproject.toml
	$(PYTHON) -m venv .venv/kit
	.venv/kit/bin/pip install --quiet --disable-pip-version-check '.[testing]' pytest
	@touch $@

.venv/.litellm: .venv/.pip tests/integration/litellm.txt
	$(PYTHON) -m venv .venv/litellm
	.venv/litellm/bin/pip install --quiet --disable-pip-version-check -r tests/integration/litellm.txt
	@touch $@

# Without what a model of 27,000 weights on one thread does not need.
.venv/.llama: .venv/.pip tests/integration/llama.txt
	$(PYTHON) -m venv .venv/llama
	CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DLLAMA_OPENSSL=OFF -DLLAVA_BUILD=OFF" \
		.venv/llama/bin/pip install --quiet --disable-pip-version-check -r tests/integration/llama.txt
	@touch $@

# One for each set of clients that can live together.
.venv/.bench-%: benchmarks/peers/%.txt .venv/.pip pyproject.toml
	$(PYTHON) -m venv .venv/bench-$*
	.venv/bench-$*/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/.demo: .venv/.pip pyproject.toml
	$(BIN)/pip install --quiet --editable '.[cli]'
	@touch $@

.venv/.check: .venv/.pip pyproject.toml
	$(BIN)/pip install --quiet --editable . --group dev
	@touch $@
