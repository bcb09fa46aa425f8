# `make serve` runs the server; `make test` runs every test. The rest is for developers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests that run side by side.
JOBS ?= 2
NPM_STAMP := tests/e2e/node_modules/.installed
AZURITE_STAMP := tests/azurite/node_modules/.installed

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: serve install test test-cluster acceptance soak check lint bench lock audit clean

serve: $(STAMP)
	@exec $(BIN)/codepush serve

install: $(STAMP)

$(STAMP): requirements.lock setup.cfg pyproject.toml setup.py codepush/domain/_rollout.c
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	@# The lock names everything. Where pip looks for itself, a newer release of a package that another
	@# asks for with an extra ends it: "must have their versions pinned".
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	@rm -rf codepush_server.egg-info  # an old one would hide new entry points
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

# Published clients that the end-to-end tests run; without Node those tests are skipped,
# which fails where CI=true.
$(NPM_STAMP): tests/e2e/package.json tests/e2e/package-lock.json
	@if command -v npm >/dev/null; then \
	  cd tests/e2e && npm ci --silent --no-audit --no-fund && touch node_modules/.installed; \
	else echo "npm is missing: the tests of published clients will be skipped"; fi

# A real Azurite, for the tests of the Azure storage plugin; the same holds for it.
$(AZURITE_STAMP): tests/azurite/package.json tests/azurite/package-lock.json
	@if command -v npm >/dev/null; then \
	  cd tests/azurite && npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.installed; \
	else echo "npm is missing: the tests of the Azure storage plugin will be skipped"; fi

test: $(STAMP) $(NPM_STAMP) $(AZURITE_STAMP)
	$(BIN)/pytest -n $(JOBS) -m "not slow and not acceptance" $(ARGS)

# The same on a cluster of three masters, but for tests that start stores of their own.
test-cluster: $(STAMP) $(NPM_STAMP) $(AZURITE_STAMP)
	STORE=cluster $(BIN)/pytest -n $(JOBS) -m "not slow and not acceptance" \
	  --ignore=tests/archive --ignore=tests/domain --ignore=tests/server $(ARGS)

acceptance: $(STAMP) $(NPM_STAMP)
	@test -n "$(BUNDLES)" || { echo 'Say where: make acceptance BUNDLES=folder'; exit 2; }
	BUNDLES=$(abspath $(BUNDLES)) $(BIN)/pytest -m acceptance -p no:randomly -s tests/e2e tests/archive/test_diffs.py $(ARGS)

soak: $(STAMP) $(NPM_STAMP)
	$(BIN)/pytest -m slow $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip check

check: lint test

bench: $(STAMP)
	$(BIN)/python -m benchmarks
	@if [ -n "$(BUNDLES)" ]; then $(BIN)/python -m benchmarks.packages $(abspath $(BUNDLES)); \
	else echo 'Packages are measured with three real ones: make bench BUNDLES=folder'; fi

# Express in the folder EXPRESS, nginx and wrk are used where they are installed.
bench-edge: $(STAMP)
	$(BIN)/python -m benchmarks.edge

lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-emit-index-url --no-emit-find-links --all-extras setup.cfg -o requirements.lock
	@$(MAKE) --no-print-directory requirements.txt

# What a PaaS installs: the same versions, without the tools of developers, and the server itself.
requirements.txt: requirements.lock
	@{ echo '# What a PaaS installs: made from requirements.lock by `make lock`, without the tools of developers.'; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra azure --extra otel --extra s3 \
	  -c requirements.lock setup.cfg; echo .; } > $@

# Asks a service on the internet, so nothing depends on it.
audit: $(STAMP)
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements.lock

clean:
	rm -rf $(VENV) tests/e2e/node_modules tests/azurite/node_modules
