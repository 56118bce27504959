# bsdcarp: `make demo` to see it work, `make test` to prove it.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-all oldest lint types unit bench clean

# --- for newcomers -------------------------------------------------------------------------------------------------

demo: $(VENV)/.installed
	$(BIN)/bsdcarp demo inventory.example.yml

test: lint types unit

# Everything, the long proofs included: the oldest libraries that pyproject.toml admits, too.
test-all: lint types oldest $(VENV)/.tested
	$(BIN)/python tests/fuzz/million.py
	$(BIN)/pytest -n 2 --dist loadscope --cov --cov-report=term --run-long

oldest: $(VENV)-oldest/.tested
	$(VENV)-oldest/bin/pytest -n 2 --dist loadscope tests/ssh tests/cli tests/inventory tests/acceptance

# --- the parts -----------------------------------------------------------------------------------------------------

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.tested
	$(BIN)/mypy
	$(BIN)/mypy tests/conftest.py
	$(BIN)/mypy tests/systemd/conftest.py

unit: $(VENV)/.tested
	$(BIN)/pytest -n 2 --dist loadscope --cov --cov-report=term

bench: $(VENV)/.tested
	$(BIN)/python benchmarks/fleet.py
	$(BIN)/python benchmarks/carpd.py
	$(BIN)/python benchmarks/apply_loss.py

clean:
	rm -rf $(VENV) $(VENV)-oldest .lab build dist .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.* *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	$(BIN)/python -m compileall -q bsdcarp
	touch $@

$(VENV)-oldest/.tested: pyproject.toml .ci/packages
	.ci/packages
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/pip install --quiet --disable-pip-version-check $$(.ci/dependency-group test) --editable . \
		paramiko==3.5.0 typer==0.16.0 click==8.1.8 rich==13.7.1 ruamel.yaml==0.18.6 jinja2==3.1.0
	touch $@

$(VENV)/.tested: $(VENV)/.installed pyproject.toml .ci/packages
	.ci/packages
	$(BIN)/pip install --quiet --disable-pip-version-check $$(.ci/dependency-group test lint)
	touch $@
