.PHONY: new help test book serve check zip clean chromium
PYTHON ?= python3
BIN = .venv/bin
VENDOR = book/_static/vendor
# two notebooks or tests at a time with one thread each; more threads than cores are far slower
export OMP_NUM_THREADS ?= 1
CODE = mmdl_lib recipes tests tools benchmarks book/_ext
SOURCES := $(shell find mmdl_lib results -type f -not -name '*.pyc' 2> /dev/null)

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/  /'

.venv/stamp: requirements.txt requirements-test.txt requirements-nodeps.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Expected Python 3.10 or newer, got " + sys.version.split()[0] + ".")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -r requirements-test.txt
	$(BIN)/pip install -q --no-deps -r requirements-nodeps.txt
	$(BIN)/pip install -q --no-deps -e .
	touch $@

# What the pages serve themselves comes from npm; without it the book still builds.
$(VENDOR)/stamp: package.json package-lock.json
	@mkdir -p $(VENDOR)/mathjax/output/chtml/fonts $(VENDOR)/onnxruntime
	@if ! command -v npm > /dev/null; then \
	  echo "Node is not there: demos show their still picture, formulas their TeX source."; \
	elif ! npm ci --ignore-scripts --no-audit --no-fund; then \
	  echo "npm could not fetch its packages: demos show their still picture, formulas their TeX source."; \
	else cp node_modules/mathjax/es5/tex-chtml.js $(VENDOR)/mathjax && \
	  cp -r node_modules/mathjax/es5/output/chtml/fonts/woff-v2 $(VENDOR)/mathjax/output/chtml/fonts && \
	  cp node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs $(VENDOR)/onnxruntime && \
	  cp node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm $(VENDOR)/onnxruntime && \
	  touch $@; fi

check: .venv/stamp $(VENDOR)/stamp  ## the fast part: style, import rules, models, data, parity
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE) notebooks
	$(BIN)/lint-imports
	$(BIN)/python tools/notebooks.py check
	MMDL_QUIET=1 $(BIN)/pytest -q -n 2 --dist loadfile --ignore tests/site --ignore tests/demos

# The notebooks' outputs are kept from build to build; new code or new results end that.
_build/fresh: $(SOURCES)
	rm -rf _build/.jupyter_cache
	mkdir -p _build && touch $@

book: .venv/stamp $(VENDOR)/stamp _build/fresh  ## run the notebooks, build the site strictly, say where it is
	@# after a failed build Sphinx would take its faulty pages for finished ones
	MMDL_QUIET=1 MMDL_BUILD=1 $(BIN)/jupyter-book build . -W --keep-going || { rm -rf _build/.doctrees _build/html/.buildinfo; exit 1; }
	@test $$(find _build/html/book _build/html/notebooks -name '*.html' | wc -l) = $$(grep -cE '(root|file):' _toc.yml) || { echo "Expected one page for each entry of _toc.yml."; exit 1; }
	@echo "The book is at $(CURDIR)/_build/html/index.html"

serve: book  ## serve the site at port 8000 of this machine
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html

zip: book  ## one archive of the site, to be read without a network
	$(BIN)/python tools/zip_site.py

chromium:
	@sh tools/ensure_chromium.sh

test: chromium check book zip  ## everything: check, the built site in a browser, all notebooks
	MMDL_QUIET=1 $(BIN)/pytest -q -n 2 --dist loadfile tests/site tests/demos
	MMDL_QUIET=1 $(BIN)/pytest -q --nbval-lax -n 2 --dist loadfile notebooks

new: .venv/stamp  ## lay out a chapter: make new slug=glide section=3.2.4 (title="..." name=GLIDE)
	$(BIN)/python tools/new_chapter.py "$(slug)" "$(section)" --title "$(title)" --name "$(name)"

clean:  ## remove the environment and the built site
	rm -rf .venv _build node_modules $(VENDOR)
