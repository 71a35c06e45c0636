# `make` alone lists what there is. Needs Python 3.11, make, and for Spark a Java 17, 21 or 25.

.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCKS := requirements/build.lock requirements/installer.lock requirements/dev.lock
# Tests run in as many processes; half of the time of one with Spark is waiting.
WORKERS ?= 2
ARGS ?=

# The scheduler has an environment of its own: its Spark provider would overwrite pyspark.
AIRFLOW := .airflow
AIRFLOW_STAMP := $(AIRFLOW)/venv/.installed

# The Python that makes the environment, empty if there is none: `make setup PYTHON=...` names one.
# 3.12 and 3.13 do as well; later ones are untried.
PYTHON ?= python3.11 python3
FIND_PYTHON = $(shell for python in $(BIN)/python $(PYTHON); do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& command -v $$python && break; done)
PYTHON_ADVICE := install it (Debian/Ubuntu: apt-get install python3.11 python3.11-venv; macOS: \
	brew install python@3.11) or name it: make setup PYTHON=/path/to/python3.11

# Another Spark or other modules of the caller must not be mixed into this environment.
unexport SPARK_HOME PYTHONPATH PYTHONHOME VIRTUAL_ENV
# Without stored bytecode each of many processes compiles its modules anew, for 2 seconds of CPU.
unexport PYTHONDONTWRITEBYTECODE
export PYSPARK_PYTHON := $(CURDIR)/$(BIN)/python
export PYSPARK_DRIVER_PYTHON := $(PYSPARK_PYTHON)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
PIP = $(BIN)/python -m pip --quiet

.PHONY: help run setup test test-fast lint format bench bench-scale bench-peers chaos wheel package airflow airflow-env lock clean purge python java jars

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## set up, simulate a marketplace, run the chain up to its last day (ARGS="..." for run)
	@$(BIN)/promoted-ctr simulate --landing data/landing
	@$(BIN)/promoted-ctr run --landing data/landing $(ARGS)

setup: java $(STAMP) jars ## make .venv from the locks, fetch the Delta jars; nothing if done
	@:

test: setup ## all tests
	@$(MAKE) --no-print-directory airflow-env || \
		echo "promoted-ctr: Airflow is not to be had: the tests of the DAGs are skipped" >&2
	@$(BIN)/python -m pytest tests -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=15 $(ARGS)

test-fast: $(STAMP) ## the tests that need no Java
	@$(BIN)/python -m pytest tests/unit tests/property -q $(ARGS)

lint: $(STAMP) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP) ## let ruff lay out and mend the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## benchmarks: medians and ratios of one run
	@$(BIN)/python -m tests.benchmarks $(ARGS)

bench-scale: setup ## cost and memory on large days (ARGS="--rows 500000 2000000")
	@$(BIN)/python -m tests.benchmarks.scale $(ARGS)

bench-peers: setup ## the product against what one would write in its place, on drawn markets
	@$(BIN)/python -m tests.benchmarks.peers $(ARGS)

chaos: $(STAMP) ## bad nights drawn from seeds, on a disk and in a server of S3 (ARGS="--faults 10")
	@$(BIN)/python -m tests.benchmarks.chaos $(ARGS)
	@$(BIN)/python -m tests.benchmarks.chaos --root s3 $(ARGS)

wheel: $(STAMP) ## build dist/*.whl, and beside it what it brings with it (CycloneDX)
	@rm -rf build
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@$(BIN)/python -m jobs.setup.sbom requirements/runtime.lock > dist/promoted-ctr.cdx.json
	@ls dist/*.whl dist/*.cdx.json

package: $(STAMP) jars ## dist/package: code, environment, jars and submit.sh for a cluster
	@$(BIN)/python -m jobs.setup.package --into dist/package

airflow: setup airflow-env ## start Airflow on loopback, with the DAGs and a small marketplace to run them on
	@$(BIN)/python -m jobs.setup.package --into $(AIRFLOW)/package --without-environment >/dev/null
	@test -d $(AIRFLOW)/landing || $(BIN)/promoted-ctr simulate --market 1 --scale small \
		--start $$($(BIN)/python -c 'import datetime as d; print(d.date.today() - d.timedelta(37))') \
		--landing $(AIRFLOW)/landing
	@conf/airflow/laptop.sh start

airflow-env: $(AIRFLOW_STAMP) ## make .airflow/venv from its lock; nothing if done
	@:

lock: $(STAMP) ## make the locks anew from setup.cfg and requirements/*.in
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	compile="$(BIN)/uv pip compile --quiet --universal --fork-strategy fewest \
		--python-version 3.11 --generate-hashes"; \
	set -e; \
	$$compile requirements/build.in -o requirements/build.lock; \
	$$compile requirements/installer.in -o requirements/installer.lock; \
	$$compile setup.cfg -o requirements/runtime.lock; \
	$$compile requirements/airflow.in -o requirements/airflow.lock; \
	$$compile setup.cfg requirements/build.in --extra test --extra lint --extra bench \
		-c requirements/runtime.lock -c requirements/build.lock -o requirements/dev.lock

clean: ## remove what builds and checks leave; keep .venv and data
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis spark-warehouse metastore_db derby.log
	@find jobs pipelines schemas tests -name __pycache__ -type d -prune -exec rm -rf {} +

purge: clean ## clean, and remove .venv and data as well
	@rm -rf $(VENV) $(AIRFLOW) data

# $(error) ends make with one line and exit code 2.
python:
	@$(if $(FIND_PYTHON),,$(error promoted-ctr: no Python 3.11 found: $(PYTHON_ADVICE)))

java: python
	@$(call refuse,$(shell $(FIND_PYTHON) -E -m jobs.setup.environment 2>&1))

jars: $(STAMP)
	@$(call refuse,$(shell $(BIN)/python -E -m jobs.setup.jars 2>&1))

refuse = $(if $(strip $(1)),$(error $(1)))

# pip keeps the wheel it built of pyspark (450 MB of source), uv would build it each time; so pip
# installs pyspark, and uv, which takes seconds, the rest.
$(STAMP): $(LOCKS) setup.cfg pyproject.toml | python
	@echo "promoted-ctr: installing into $(VENV) (the first time on a machine fetches 800 MB)"
	@$(FIND_PYTHON) -m venv $(VENV) || \
		{ echo "promoted-ctr: no venv: on Debian/Ubuntu apt-get install python3.11-venv" >&2; exit 2; }
	@$(PIP) install --require-hashes -r requirements/build.lock
	@$(PIP) install --require-hashes -r requirements/installer.lock || \
		echo "promoted-ctr: uv is not to be had, pip installs: some minutes more"
	@awk '/^[a-z]/ {wanted = /^pyspark==/} wanted' requirements/dev.lock > $(VENV)/pyspark.lock
	@$(PIP) install --require-hashes --no-deps --no-build-isolation -r $(VENV)/pyspark.lock
	@{ test -x $(BIN)/uv && $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes \
			-r requirements/dev.lock; } || \
		$(PIP) install --require-hashes --no-build-isolation -r requirements/dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(AIRFLOW_STAMP): requirements/airflow.lock | $(STAMP)
	@echo "promoted-ctr: installing Airflow into $(AIRFLOW)/venv"
	@$(BIN)/python -m venv --without-pip $(AIRFLOW)/venv
	@{ test -x $(BIN)/uv && $(BIN)/uv pip install --quiet --python $(AIRFLOW)/venv/bin/python \
			--require-hashes -r requirements/airflow.lock; } || \
		$(PIP) --python $(AIRFLOW)/venv/bin/python install --require-hashes -r requirements/airflow.lock
	@touch $@
