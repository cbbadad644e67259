# Two commands matter: `make demo` and `make test`. Both set up what they need in .venv.
PYTHON ?= python3
SOURCE ?= complete_journey
BIN := .venv/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
SOURCES_OF_INSTALL := pyproject.toml hatch_build.py $(wildcard proto/shopsphere/v1/*.proto)

.PHONY: help demo test drill lint format lock docs clean
.DEFAULT_GOAL := help

help: ## Say what can be made.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

demo: .venv/.demo ## The main job on real data: ingest, build, train, serve, predict, monitor (SOURCE=synthetic or a folder of CSVs).
	$(BIN)/shopsphere demo "$(SOURCE)"

test: .venv/.dev ## All tests.
	$(BIN)/pytest --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

drill: .venv/.dev ## Many writers and killed runs, on disk and on S3 (DRILL_ARGS="--help" says more).
	$(BIN)/python -m bench.drill $(DRILL_ARGS)

lint: .venv/.dev ## Format, lint, strict types, import layers, protobuf lint and format, stale generated files.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd proto && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code
	$(BIN)/python -m shopsphere_cli.reference --check
	$(BIN)/python hatch_build.py --check

format: .venv/.dev ## Format Python and protobuf.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd proto && ../$(BIN)/buf format --write

docs: .venv/.dev ## Write the generated pages of docs/ (settings, commands).
	$(BIN)/python -m shopsphere_cli.reference

lock: $(UV) ## Resolve the dependencies again.
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra build -o requirements.lock pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra build --extra demo -c requirements.lock -o requirements-demo.lock pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra build --extra dask -c requirements.lock -o requirements-dask.lock pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra build --extra otel -c requirements.lock -o requirements-otel.lock pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra build --extra demo --extra dask --extra otel --extra dev -c requirements-demo.lock -c requirements-dask.lock -c requirements-otel.lock -o requirements-dev.lock pyproject.toml

clean: ## Remove everything made at run time and the environment.
	rm -rf .venv gen var var-*

# A Debian without python3-venv has no ensurepip: the second line works there too.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || [ "$$(uname)" != Linux ] || { echo "libgomp is missing (the ALS and boosting libraries need it); on Debian: apt-get install libgomp1"; exit 1; }
	$(PYTHON) -m venv .venv 2>/dev/null || $(PYTHON) -m venv --without-pip .venv
	@if [ -x $(BIN)/pip ]; then $(BIN)/python -m pip install --quiet uv; else $(PYTHON) -m pip --python $(BIN)/python install --quiet uv; fi

.venv/.demo: requirements-demo.lock $(SOURCES_OF_INSTALL) | $(UV)
	@echo "Installing the packages of requirements-demo.lock into .venv …"
	$(INSTALL) --require-hashes -r requirements-demo.lock
	$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

.venv/.dev: requirements-dev.lock $(SOURCES_OF_INSTALL) | $(UV)
	@echo "Installing the packages of requirements-dev.lock into .venv …"
	$(INSTALL) --require-hashes -r requirements-dev.lock
	$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@ .venv/.demo
