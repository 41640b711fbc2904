# Two commands are all a newcomer needs: `make run` and `make test`. Both make the virtual environment when it is missing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check docs clean

run: $(VENV)/.runtime  ## start mailwake with embedded defaults: mail in on 2525, delivered into a local maildir
	$(BIN)/mailwake serve --demo

test: $(VENV)/.development  ## run all tests
	$(BIN)/pytest

check: $(VENV)/.development  ## everything CI checks besides the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/write_reference.py --check

docs: $(VENV)/.development  ## write docs/reference/ anew from the code
	$(BIN)/python tools/write_reference.py

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5) and "mailwake needs Python 3.11.5 or later; name one: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.development: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.runtime

clean:  ## remove the virtual environment and all caches, but no data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
