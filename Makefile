# Three commands are all a newcomer needs: `make demo`, `make run` and `make test`. Each makes the
# virtual environment when it is missing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run demo test check clickhouse fuzz docs screenshots clean

run: $(VENV)/.runtime  ## start mailwake with embedded defaults: mail in on 2525, delivered into a local maildir
	$(BIN)/mailwake serve --demo

demo: $(VENV)/.runtime  ## the dashboard, with a month of made-up mail in it
	$(BIN)/mailwake demo

# Twice as many as there are CPUs: tests of real processes wait a good deal.
TESTS_AT_ONCE ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')

test: $(VENV)/.development  ## run all tests, TESTS_AT_ONCE files at a time
	$(BIN)/pytest -n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder

check: $(VENV)/.development  ## everything CI checks besides the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/write_reference.py --check

clickhouse: $(VENV)/.clickhouse  ## install chDB (860 MB), with which `make test` runs the tests of ClickHouse as well

FUZZ_SECONDS ?= 60
fuzz: $(VENV)/.fuzzing  ## fuzz the readers of headers, MIME, HTML, text and X-MSYS-API, each for FUZZ_SECONDS
	$(BIN)/python -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

docs: $(VENV)/.development  ## write docs/reference/ anew from the code
	$(BIN)/python tools/write_reference.py

screenshots: $(VENV)/.development  ## pictures of each page of the dashboard, light, dark and phone, into screenshots/
	$(BIN)/python tools/screenshots.py screenshots

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5) and "mailwake needs Python 3.11.5 or later; name one: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.development: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.clickhouse: $(VENV)/.development
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary chdb-core -e '.[dev,chdb]'
	@touch $@

$(VENV)/.fuzzing: $(VENV)/.development
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary atheris -e '.[dev,fuzz]' || \
		{ echo "NO FUZZING: atheris has no wheel for this Python and platform; CPython 3.11 on Linux (x86-64) has one"; exit 1; }
	@touch $@

clean:  ## remove the virtual environment and all caches, but no data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
