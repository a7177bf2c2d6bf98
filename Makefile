# Two commands on a fresh machine: `make run` and `make test`. The same in plain pip stands in the README.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: run test check bench

run: .venv/installed
	$(BIN)/secateur run

test: .venv/installed-test
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

check: .venv/installed-test
	$(BIN)/pre-commit run --all-files

bench: .venv/installed-bench
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m benchmarks
	$(BIN)/python -m pytest -m matrix

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) .
	touch $@

.venv/installed-bench: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) '.[bench]'
	touch $@ .venv/installed-test .venv/installed

.venv/installed-test: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) '.[test]'
	touch $@ .venv/installed
