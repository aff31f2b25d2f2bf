# Every target sets itself up: a virtual environment in .venv, created again when the requirements change.
PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo lab quick test oldest coverage lint bench pictures clean

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: $(VENV)/demo  ## the lesson three ways, then real data
	@$(BIN)/descentlab demo

lab: $(VENV)/demo  ## a page on which the lesson's descent can be seen, predicted and broken
	@$(BIN)/descentlab lab

quick: $(VENV)/dev  ## the tests that answer in about a minute: no browser, no cluster, no long loops
	$(BIN)/python -m pytest -n auto --dist loadfile -q -m "not slow and not browser and not cluster" tests

test: $(VENV)/dev  ## the whole test suite, on every core
	$(BIN)/python -m pytest -n auto --dist loadfile

oldest: $(OLDEST)/base  ## the tests that need no extra, with the oldest packages that are supported
	$(OLDEST)/bin/python -m pytest -n auto --dist loadfile -q -m "not slow and not browser and not cluster" tests

coverage: $(VENV)/dev  ## the same, and which lines it does not reach; takes twice as long
	$(BIN)/python -m pytest -n auto --dist loadfile --cov

lint: $(VENV)/dev  ## format, lint and type checks
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

bench: $(VENV)/bench  ## speed and memory as ratios; kept in benchmarks/results
	$(BIN)/python -m benchmarks

pictures: $(VENV)/dev  ## the lab's page as docs/pictures show it; needs Chromium
	$(BIN)/python docs/pictures.py

clean:  ## remove everything that make created
	rm -rf $(VENV) $(OLDEST) build dist src/*.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python $(OLDEST)/bin/python: %/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "descentlab needs Python 3.11 or later: make PYTHON=python3.12")'
	$(PYTHON) -m venv $*

$(VENV)/demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Setting up $(VENV) (PyTorch takes a minute or two) ..."
	$(PIP) -e '.[torch,lessons]'
	@touch $@

$(VENV)/bench: pyproject.toml constraints.txt | $(VENV)/dev
	$(PIP) -e '.[bench]'
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Setting up $(VENV) (PyTorch takes a minute or two) ..."
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/demo

# Created again each time, so that nothing newer is left in it. What runs the tests is as new as elsewhere.
$(OLDEST)/base: pyproject.toml constraints.txt constraints-oldest.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 13) and "the oldest packages need Python 3.11 or 3.12: make oldest PYTHON=python3.11")'
	rm -rf $(OLDEST)
	@$(MAKE) --no-print-directory $(OLDEST)/bin/python
	$(OLDEST)/bin/python -m pip --disable-pip-version-check -q install -c constraints-oldest.txt -e .
	$(OLDEST)/bin/python -m pip --disable-pip-version-check -q install -c constraints.txt pytest pytest-xdist hypothesis
	@touch $@
