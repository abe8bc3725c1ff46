# What users and contributors run; `make help` lists it. Needs make and Python 3.11 to 3.14, nothing else.
# One virtual environment, .venv: first with what `make demo` and `make ui` need, then with what the tests need.

# 3.14 after those that the tests have run on.
PYTHON ?= python3.13 python3.12 python3.11 python3.14 python3
PORT ?= 3000

BIN := .venv/bin
RUNTIME := .venv/.runtime
TEST := .venv/.test
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
CONSTRAINED := --constraint constraints.txt
# uv takes a tenth of pip's time. It reads other settings: where a package index is set for pip alone, pip installs.
INSTALL = install() { \
	{ $(PIP) uv && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(CONSTRAINED) "$$@"; } \
		2> /dev/null || $(PIP) $(CONSTRAINED) "$$@"; }; install
FITS := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
define NO_PYTHON
Found no Python 3.11 to 3.14 that can make a virtual environment (tried: $(PYTHON)).
On Debian and Ubuntu: apt-get install python3 python3-venv. Another one: make demo PYTHON=path/to/python
endef
export NO_PYTHON

.PHONY: help demo ui psql stop test test-thorough test-histories lint bench-run bench bench-delta bench-curated bench-upload bench-read docs screenshots lock clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1#/p' Makefile | awk -F'#' '{ printf "make %-13s %s\n", $$1, $$2 }'

demo: $(RUNTIME) ## Load two sample releases into an embedded PostgreSQL and show what changed
	@$(BIN)/medgen demo

ui: $(RUNTIME) ## Open Dagster's UI on the demo's instance and database (PORT=3000)
	@exec $(BIN)/medgen ui --port $(PORT)

psql: $(RUNTIME) ## Open psql on the embedded PostgreSQL
	@$(BIN)/medgen server psql

stop: $(RUNTIME) ## Stop the embedded PostgreSQL; its data stay
	@$(BIN)/medgen server stop

# More workers than cores: most tests wait, for servers and processes.
test: $(TEST) ## Run the tests
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test-thorough: $(TEST) ## Run all tests with the cases that repeat others on more tables, values and releases
	@MEDGEN_TEST_THOROUGH=1 $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test-histories: $(TEST) ## Follow 100 random histories of weeks, and 100 with doubts, which takes long
	@MEDGEN_HISTORIES=100 $(BIN)/python -m pytest -n 2 medgen_pipeline_tests/loaders/test_curated_increments.py

lint: $(TEST) ## Check style of Python and SQL, types and who imports whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/sqlfluff lint --config sqlfluff.cfg --disable-progress-bar medgen_pipeline/catalog
	@$(BIN)/mypy
	@found=$$($(BIN)/lint-imports --no-cache) || { echo "$$found"; exit 1; }

bench-run: $(TEST) ## Compare whole runs of all tables, first, next and unchanged, with raw COPY
	@$(BIN)/python -m medgen_pipeline_tests.bench.run $(ARGS)

bench: $(TEST) ## Compare a full-size first load with raw COPY (ARGS=--help lists options)
	@$(BIN)/python -m medgen_pipeline_tests.bench.load $(ARGS)

bench-delta: $(TEST) ## Compare a full-size load of the next release with raw COPY
	@$(BIN)/python -m medgen_pipeline_tests.bench.delta $(ARGS)

bench-curated: $(TEST) ## Compare the curated tables of a full-size release with plain copies of their inputs
	@$(BIN)/python -m medgen_pipeline_tests.bench.curated $(ARGS)

bench-upload: $(TEST) ## Compare the uploads of a 1 GB table for Redshift and Databricks with bare ones
	@$(BIN)/python -m medgen_pipeline_tests.bench.upload $(ARGS)

bench-read: $(TEST) ## Compare reading and exporting the tables of a full-size release with binary COPY
	@$(BIN)/python -m medgen_pipeline_tests.bench.read $(ARGS)

docs: $(TEST) ## Build the documentation into site/; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

screenshots: $(TEST) ## Make the pictures of the docs again (needs Chromium)
	@MEDGEN_SCREENSHOTS=1 $(BIN)/python -m pytest -q medgen_pipeline_tests/ui/test_screenshots.py

lock: $(TEST) ## Renew constraints.txt from pyproject.toml
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet uv
	@sed -n '/^#/!q;p' constraints.txt > .venv/constraints.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --upgrade \
		--no-header --no-emit-index-url --no-emit-find-links pyproject.toml >> .venv/constraints.txt
	@mv .venv/constraints.txt constraints.txt

clean: ## Remove the virtual environment and caches; data in .medgen stay
	@[ ! -x $(BIN)/medgen ] || $(BIN)/medgen server stop
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The environment is kept while pyproject.toml and constraints.txt are. --clear also mends one whose Python is gone.
$(RUNTIME): pyproject.toml constraints.txt
	@if ! $(BIN)/python -c '$(FITS)' 2> /dev/null; then \
		for python in $(PYTHON) none; do "$$python" -c '$(FITS)' 2> /dev/null && break; done; \
		if [ "$$python" = none ]; then echo "$$NO_PYTHON" >&2; exit 1; fi; \
		echo "Making .venv with $$("$$python" --version)"; \
		"$$python" -m venv --clear .venv; \
	fi
	@echo "Installing into .venv"
	@$(INSTALL) --editable '.[local,ui]'
	@touch $@

$(TEST): $(RUNTIME) examples/sqlite/pyproject.toml
	@echo "Installing what the tests need into .venv"
	@$(INSTALL) --editable '.[test]' --editable examples/sqlite
	@touch $@
