# Everything a person needs; each target installs what it uses into .venv first.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
# Each module is compiled once, as pip does at an installation, whatever the machine's habit.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-page browser run torture kills bench bench-gpu clean

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "atelierd needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: .venv/installed  ## paint a photograph through the real service, with progress
	@rm -rf $(DEMO) && mkdir -p $(DEMO)/inbox/starry
	@printf 'presets: ../presets\nsettle_s: 1\n' > $(DEMO)/config.yaml
	@printf 'size: 384\n' > $(DEMO)/inbox/starry/chelsea.jpg.yaml
	@cp docs/images/chelsea.jpg $(DEMO)/inbox/starry/
	$(BIN)/atelierd --config $(DEMO)/config.yaml run --once
	@printf '\nresult   %s\nrecord   %s\nlog      %s\ngallery  %s\n' \
	    $(CURDIR)/$(DEMO)/outbox/starry/chelsea.jpg \
	    $(CURDIR)/$(DEMO)/outbox/starry/.jobs/chelsea.jpg.json \
	    $(CURDIR)/$(DEMO)/outbox/starry/.jobs/chelsea.jpg.log \
	    $(CURDIR)/$(DEMO)/outbox/index.html
	@ls $(DEMO)/outbox/starry/chelsea.jpg $(DEMO)/outbox/starry/.jobs/* $(DEMO)/outbox/index.html > /dev/null

test: .venv/installed  ## linters, types, layers, and all the tests, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy & types=$$!; \
	    OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 4 --dist worksteal --durations 10; tests=$$?; \
	    wait $$types || { echo 'mypy has found something: see above' >&2; exit 1; }; exit $$tests

browser: .venv/installed  ## a Chromium for the tests of the page, unless there is one
	@$(BIN)/python -m tests.page.browser || { test "$$(id -u)" = 0 && command -v apt-get > /dev/null \
	    && apt-get install --quiet --yes --no-install-recommends chromium > /dev/null; } \
	    || $(BIN)/playwright install --with-deps chromium
	@$(BIN)/python -m tests.page.browser

test-page: browser  ## the page and the gallery in a real Chromium
	ATELIERD_BROWSER=required $(BIN)/pytest tests/page tests/unit/page

run: .venv/installed  ## the service on config.yaml's folders
	$(BIN)/atelierd run

torture: .venv/installed  ## 200 pictures while everything goes wrong, three times (half an hour)
	for run in 1 2 3; do $(BIN)/python -m tests.torture || exit 1; done

kills: .venv/installed  ## 300 jobs and 50 x kill -9
	$(BIN)/python -m tests.torture --plain --pictures 300 --kills 50

bench: .venv/installed  ## all benches that matter, and one table of what they found (40 minutes at most)
	$(BIN)/python bench/all.py

bench-gpu: .venv/installed  ## all of it on the first CUDA device, tests too, in nine minutes
	$(BIN)/python bench/gpu.py

clean:
	rm -rf .venv $(DEMO)
