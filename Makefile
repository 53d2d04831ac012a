# Two commands matter: `make demo` (the main job) and `make test` (everything that is checked).
# Both build .venv from the lock files in requirements/, with hashes, and install doorstep into it.
PYTHON ?= python3
BIN    := .venv/bin
LOCKS  := requirements/run.txt requirements/test.txt
JOBS   ?= auto

.PHONY: demo test lint types contracts unit interop campaign bench lock clean

demo: .venv/run.stamp
	$(BIN)/doorstep demo $(DEMO)

test: lint types contracts unit

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/test.stamp
	$(BIN)/mypy

contracts: .venv/test.stamp
	$(BIN)/lint-imports

unit: .venv/test.stamp interop
	$(BIN)/pytest -n $(JOBS) $(PYTEST)

# The npm client of tests/interop, where there is node; where there is none, a loud line and no failure.
interop: .venv/python.stamp
	@if ! command -v npm >/dev/null || ! command -v node >/dev/null; then \
	    echo "!!! NO NODE OR NPM HERE: the npm client of tests/interop is not tested" >&2; \
	elif ! cmp -s tests/interop/node/client.mjs .venv/interop/client.mjs || ! cmp -s tests/interop/node/package-lock.json .venv/interop/package-lock.json; then \
	    rm -rf .venv/interop && mkdir -p .venv/interop && cp tests/interop/node/package.json tests/interop/node/package-lock.json .venv/interop/ && \
	    if (cd .venv/interop && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >npm.log 2>&1); then \
	        cp tests/interop/node/client.mjs .venv/interop/; \
	    else \
	        echo "!!! NPM COULD NOT INSTALL ITS CLIENT (.venv/interop/npm.log): the npm client of tests/interop is not tested" >&2; rm -rf .venv/interop/node_modules; \
	    fi; \
	fi

# Long: many seeds, many kills, hours if you let it. Not part of `make test`.
campaign: .venv/test.stamp interop
	DOORSTEP_CAMPAIGN=1 $(BIN)/pytest -n $(JOBS) $(PYTEST)

bench: .venv/test.stamp
	$(BIN)/python -m benchmarks

.venv/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "doorstep needs Python 3.11 or newer: call make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/run.stamp: .venv/python.stamp requirements/build.txt requirements/run.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt -r requirements/run.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/test.stamp: .venv/run.stamp requirements/test.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@

# Writes the lock files anew (needs uv): versions and hashes for every platform, and no host's name.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/run.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements/build.in -o requirements/build.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --constraint requirements/run.txt --group test -o requirements/test.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis
