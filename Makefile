.PHONY: help test book serve check clean
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

check: .venv/stamp  ## the fast part: style, import rules, models, data, parity
	$(BIN)/ruff check mmdl_lib recipes tests book/_ext
	$(BIN)/ruff format --check mmdl_lib recipes tests book/_ext
	$(BIN)/lint-imports
	MMDL_QUIET=1 $(BIN)/pytest -q --ignore tests/site

book: .venv/stamp book/_static/vendor/mathjax  ## run the notebooks, build the site strictly, say where it is
	MMDL_QUIET=1 $(BIN)/jupyter-book build . -W --keep-going
	@test $$(find _build/html/book _build/html/notebooks -name '*.html' | wc -l) = $$(grep -cE '(root|file):' _toc.yml) || { echo "Expected one page for each entry of _toc.yml."; exit 1; }
	@echo "The book is at $(CURDIR)/_build/html/index.html"

book/_static/vendor/mathjax: package.json
	mkdir -p $@
	@if command -v npm > /dev/null; then \
	  npm install --no-audit --no-fund && cp -r node_modules/mathjax/es5/. $@; \
	else echo "Node is not there: formulas show their TeX source."; fi
	touch $@

serve: book  ## serve the site at port 8000 of this machine
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html

test: check book  ## everything: check, the built site in a browser, all notebooks
	sh tools/ensure_chromium.sh
	$(BIN)/pytest -q tests/site
	MMDL_QUIET=1 $(BIN)/pytest -q --nbval-lax -n 2 --dist loadfile notebooks

clean:  ## remove the environment and the built site
	rm -rf .venv _build node_modules book/_static/vendor
