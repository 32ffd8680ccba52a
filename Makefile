.PHONY: help test clean
PYTHON ?= python3
BIN = .venv/bin

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/  /'

.venv/stamp: requirements.txt requirements-test.txt requirements-nodeps.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Expected Python 3.10 or newer, got " + sys.version.split()[0] + ".")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -r requirements-test.txt
	$(BIN)/pip install -q --no-deps -r requirements-nodeps.txt
	$(BIN)/pip install -q --no-deps -e .
	touch $@

test: .venv/stamp  ## make the environment; check style, import rules, models and parity
	$(BIN)/ruff check mmdl_lib recipes tests
	$(BIN)/ruff format --check mmdl_lib recipes tests
	$(BIN)/lint-imports
	$(BIN)/pytest -q

clean:  ## remove the environment
	rm -rf .venv
