# bsdcarp: `make demo` to see it work, `make test` to prove it.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-all lint types unit bench clean

# --- for newcomers -------------------------------------------------------------------------------------------------

demo: $(VENV)/.installed
	$(BIN)/bsdcarp demo inventory.example.yml

test: lint types unit

# Everything, the long proofs included.
test-all: lint types $(VENV)/.tested
	$(BIN)/pytest -n 2 --dist loadgroup --cov --cov-report=term --run-long

# --- the parts -----------------------------------------------------------------------------------------------------

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.tested
	$(BIN)/mypy
	$(BIN)/mypy tests/conftest.py

unit: $(VENV)/.tested
	$(BIN)/pytest -n 2 --dist loadgroup --cov --cov-report=term

bench: $(VENV)/.tested
	$(BIN)/python benchmarks/fleet.py

clean:
	rm -rf $(VENV) .lab build dist .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.* *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	$(BIN)/python -m compileall -q bsdcarp
	touch $@

$(VENV)/.tested: $(VENV)/.installed pyproject.toml .ci/packages
	.ci/packages
	$(BIN)/pip install --quiet --disable-pip-version-check $$(.ci/dependency-group test lint)
	touch $@
