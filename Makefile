# make demo   the six methods on Colored MNIST, in about a minute
# make test   lint and every test
# make lab    the course, in JupyterLab: a copy in course/, so that nothing here changes
# make site   everything that there is to read, in build/site
PYTHON ?= python3
BIN = .venv/bin

demo: .venv/demo
	$(BIN)/minifishr compare

test: .venv/test
	$(BIN)/ruff check .
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n auto  # one worker a core, one thread a worker

# For developers: the same with the share of lines that ran, half as long again.
coverage: .venv/test
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n auto --cov --cov-report=term

.venv/bin/pip:
	$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("minifishr needs Python 3.11 or newer, got %d.%d: make PYTHON=..." % v[:2])'
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/test: .venv/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --editable '.[test]'
	$(BIN)/pip install --quiet --no-deps palmerpenguins  # its table alone: pandas is not needed
	touch $@ .venv/demo

lab: .venv/notebooks
	$(BIN)/minifishr course course
	$(BIN)/jupyter lab course

.venv/notebooks: .venv/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --editable '.[notebooks]'
	$(BIN)/pip install --quiet --no-deps palmerpenguins  # lesson 9's table alone: pandas is not needed
	touch $@ .venv/demo

# The site, into build/site, to be opened as it is; needs node and npm for the formulas.
KATEX = build/npm/node_modules/katex/dist
site: .venv/site $(KATEX)/katex.min.js
	rm -rf build/site build/static
	mkdir -p build/static/katex
	cp -r $(KATEX)/katex.min.css $(KATEX)/fonts build/static/katex
	$(BIN)/python docs/pages.py build/pages
	$(BIN)/sphinx-build -q -W --keep-going -c docs -d build/doctrees build/pages build/site
	cp docs/explore.html build/site
	if [ -d build/extra/lite ]; then cp -r build/extra/lite build/site; fi

# The course in the reader's browser, as a part of the site; Pyodide itself comes from its public address.
lite: .venv/lite
	$(BIN)/python docs/lite.py build/lite
	rm -rf build/extra
	cd build/lite && ../../$(BIN)/jupyter lite build --no-sourcemaps --output-dir ../extra/lite >build.log
	$(MAKE) site

.venv/lite: .venv/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --editable '.[lite]'
	touch $@ .venv/demo

# For developers: the site in headless Chromium (which the machine must have), the explorable page in node, type hints.
site-test: lite
	$(BIN)/pip install --quiet --editable '.[site-test]'
	$(BIN)/pytest docs/tests

# For developers: every lesson in Chromium to its end, with a Pyodide of this machine: make lite-lessons PYODIDE=FOLDER
lite-lessons: lite
	$(BIN)/pip install --quiet --editable '.[site-test,notebooks]'
	$(BIN)/python tools/lessons_in_browser.py $(PYODIDE)

# For developers: the files for a package index.
dist: .venv/test
	$(BIN)/pip install --quiet 'build>=1.2'
	rm -rf dist
	$(BIN)/python -m build

.venv/site: .venv/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --editable '.[site]'
	touch $@ .venv/demo

$(KATEX)/katex.min.js:
	npm install --silent --no-audit --no-fund --prefix build/npm katex@0.16.22

# For developers: the notebooks from the scripts beside them, with their outputs.
LESSONS = $(basename $(wildcard notebooks/[0-9]*.py))
notebooks: .venv/notebooks $(LESSONS:=.ipynb)

%.ipynb: %.py
	$(BIN)/jupytext --quiet --to ipynb --update $<
	$(BIN)/jupyter nbconvert --log-level=ERROR --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False $@

# For developers: the shapes of the rendered digits, from the outlines in matplotlib's fonts.
glyphs: .venv/demo
	$(BIN)/python tools/glyphs.py

# What the methods of somebody's checkouts compute, as a table: make conformance CHECKOUT="../DomainBed ../fishr"
conformance: .venv/test
	$(BIN)/pip install --quiet --editable '.[parity]'
	$(BIN)/python docs/conformance/run.py $(CHECKOUT)

# For developers: the conformance vectors, computed anew.
vectors: .venv/demo
	$(BIN)/python tools/vectors.py

# For developers: the same numbers from PyTorch, BackPACK and JAX, with a table of the largest errors.
parity: .venv/test
	$(BIN)/pip install --quiet --editable '.[parity]'
	$(BIN)/pytest -m parity tests/parity

# For developers: minifishr, PyTorch, BackPACK and JAX in turn on this machine, as ratios.
benchmark: .venv/test
	$(BIN)/pip install --quiet --editable '.[parity]'
	$(BIN)/python benchmarks/run.py

# For developers: a small sweep end to end.
sweep-seconds: .venv/test
	$(BIN)/pip install --quiet --editable '.[parity]'
	$(BIN)/python benchmarks/sweep_seconds.py

# For developers, an hour on MNIST: Fishr's best lambda against the width of the network and the size of the images.
transfer: .venv/demo
	OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/transfer.py

# For developers, an hour on MNIST: what the oracle chose in a recorded sweep, once more with one thing changed.
RECORDS = docs/results/colored-plain.records.gz
REASONS = results/reasons
reasons: .venv/demo
	OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/reasons.py $(RECORDS) $(REASONS)

# For developers, some hours: does a test fail for every small change of the mathematics and of the edges?
mutation: .venv/test
	$(BIN)/pip install --quiet --editable '.[mutation]'
	HYPOTHESIS_PROFILE=mutation $(BIN)/mutmut run
	$(BIN)/mutmut results

# For developers, a few minutes: 100 000 mutated files and command lines end in success or in one sentence.
fuzz: .venv/test
	$(BIN)/python tests/fuzz.py

# For developers, a quarter of an hour: sweeps that are killed 100 times, alone, in pairs and on a cluster.
soak: .venv/test
	$(BIN)/python tests/soak.py

clean:
	rm -rf .venv build dist mutants .pytest_cache .ruff_cache .hypothesis .coverage

.PHONY: demo test coverage lab lite lite-lessons site site-test dist notebooks parity benchmark sweep-seconds transfer reasons mutation fuzz soak conformance \
	vectors glyphs clean
