.PHONY: help new test book class serve check zip clean newest nbgrader environment style fast notebooks pages site chromium
PYTHON ?= python3
BIN = .venv/bin
VENDOR = book/_static/vendor
NPM = node_modules
# two notebooks or tests at a time with one thread each; more threads than cores are far slower
export OMP_NUM_THREADS ?= 1
export MMDL_QUIET = 1
CODE = mmdl_lib recipes tests tools benchmarks book/_ext
PYTEST = $(BIN)/pytest -q -n 2 --dist loadfile

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/  /'

.venv/stamp: requirements.txt requirements-test.txt requirements-nodeps.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Expected Python 3.11 or newer, got " + sys.version.split()[0] + ".")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -r requirements-test.txt
	$(BIN)/pip install -q --no-deps -r requirements-nodeps.txt
	$(BIN)/pip install -q --no-deps -e .
	touch $@

# What the pages serve themselves comes from npm, with its license; without it the book still builds.
$(VENDOR)/stamp: package.json package-lock.json tools/vendor.sh
	@sh tools/vendor.sh $(NPM) $(VENDOR)

environment: .venv/stamp $(VENDOR)/stamp

style: .venv/stamp
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE) notebooks
	$(BIN)/lint-imports
	$(BIN)/python tools/notebooks.py check

fast: .venv/stamp $(VENDOR)/stamp
	$(PYTEST) --ignore tests/site --ignore tests/demos

check: style fast  ## the fast part: style, import rules, models, data, parity

# a notebook runs, and is checked by nbval, when something that it uses has changed
notebooks: .venv/stamp
	$(BIN)/python tools/run_notebooks.py

pages: notebooks $(VENDOR)/stamp
	$(BIN)/python tools/build_site.py

book: pages  ## run the notebooks that changed, build the site strictly, say where it is

serve: class  ## serve the site at port 8000 of this machine
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html

class: book chromium  ## slides, handouts, quizzes and notebooks for students, inside the site
	$(BIN)/python tools/classroom

zip: class  ## one archive of the site, to be read without a network
	$(BIN)/python tools/zip_site.py

chromium:
	@sh tools/ensure_chromium.sh

site: zip
	$(PYTEST) tests/site tests/demos

new: .venv/stamp  ## lay out a chapter: make new slug=glide section=3.2.6 (title="..." name=GLIDE)
	$(BIN)/python tools/new_chapter.py "$(slug)" "$(section)" --title "$(title)" --name "$(name)"

test:  ## everything: check, the built site in a browser, all notebooks; seconds by part
	@$(PYTHON) tools/seconds.py chromium environment style fast notebooks pages site

.venv-nbgrader/stamp: requirements-nbgrader.txt
	$(PYTHON) -m venv .venv-nbgrader
	.venv-nbgrader/bin/pip install -q -r requirements-nbgrader.txt
	touch $@

# named, as no other target collects it: nbgrader lies in an environment of its own
nbgrader: .venv/stamp .venv-nbgrader/stamp  ## the student notebooks in nbgrader: released, handed in, marked
	$(BIN)/pytest -q tests/classroom/nbgrader_marks.py

newest:  ## the tests of check with the newest of every package, in an environment of its own
	sh tools/newest.sh $(PYTHON)

clean:  ## remove the environments and the built site
	rm -rf .venv .venv-nbgrader _build node_modules $(VENDOR)
