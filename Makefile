# Everything a person or CI does with linetwin. `make help` lists it.
#
# Nothing has to be prepared: `make run` and `make test` create .venv from the locked
# requirements on the first call; later calls find the stamps in .venv and start at once.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

LINE ?= examples/pilot-line/line.toml
WORKERS ?= auto

VENV := .venv
BIN := $(VENV)/bin
# Tests of one file share a process: their daemons and compiled kernels are started once.
PARALLEL = -n $(WORKERS) --maxprocesses 8 --dist loadfile
# uv from the PATH, else our own copy beside the environment.
UV := $(or $(shell command -v uv 2>/dev/null),.venv-uv/bin/uv)
COMPILE = UV_CUSTOM_COMPILE_COMMAND='make lock' $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate

# A flag and its value when the value was given, else nothing.
flag = $(if $(2),$(1) '$(2)')

##@ Use
run: $(VENV)/.run ## Run a line: LINE=line.toml SECONDS=60 PORT=8080 MQTT_PORT=1883 DATA=folder
	@$(BIN)/linetwin run '$(LINE)' $(call flag,--seconds,$(SECONDS)) $(call flag,--port,$(PORT)) $(call flag,--mqtt-port,$(MQTT_PORT)) $(call flag,--data,$(DATA))

bench: $(VENV)/.run ## Measure throughput and latency on this machine
	@$(BIN)/linetwin bench

##@ Develop
test: $(VENV)/.dev peers ## Run every test but the long fault tests
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=term:skip-covered

chaos: $(VENV)/.dev peers ## Run the long fault tests
	$(BIN)/pytest tests -m chaos --timeout=0

coverage: $(VENV)/.dev ## Measure which branches the tests reach (kernels uncompiled, so slow)
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest $(PARALLEL) --timeout=600 --cov --cov-report=term:skip-covered --cov-report=html

check: $(VENV)/.dev ## Check format, lint, types, import directions and the documentation
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: $(VENV)/.dev ## Format the code and mend what lint can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.dev ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "The documentation is in site/index.html"

peers: ## Install the programs that tests talk to (as root on Debian or Ubuntu; else say what is missing)
	@.ci/peers

lock: $(UV) ## Resolve the requirements again and write the locks
	$(COMPILE) --upgrade requirements/uv.in -o requirements/uv.txt
	$(COMPILE) --upgrade requirements/build.in -o requirements/build.txt
	$(COMPILE) --upgrade pyproject.toml -o requirements/run.txt
	$(COMPILE) --upgrade pyproject.toml --group dev -c requirements/run.txt -o requirements/dev.txt

clean: ## Remove what the tools and the tests left behind, and the environment; data is kept
	rm -rf $(VENV) .venv-uv site htmlcov dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find connectors dashboards tests twin -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run test check bench chaos docs clean help coverage format lock peers

# --- Set-up ---------------------------------------------------------------------------------

INSTALL = $(UV) pip install --quiet --python $(BIN)/python --no-deps --build-constraints requirements/build.txt --editable .
# Found compiled, they are only loaded.
KERNELS = @echo "Compiling the detectors (once, about a minute)"; $(BIN)/python -m twin.detectors </dev/null
SYNC = $(UV) pip sync --python $(BIN)/python --require-hashes

$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what linetwin runs on into $(VENV) (first time or changed requirements)"
	@rm -f $(VENV)/.dev
	$(SYNC) requirements/run.txt
	$(INSTALL)
	$(KERNELS)
	@touch $@

# The development environment contains everything the other one does.
$(VENV)/.dev: requirements/dev.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing the development environment into $(VENV) (first time or changed requirements)"
	$(SYNC) requirements/dev.txt
	$(INSTALL)
	$(KERNELS)
	@touch $(VENV)/.run $@

$(BIN)/python: | $(UV)
	$(UV) venv --quiet --no-python-downloads --allow-existing $(VENV)

.venv-uv/bin/uv:
	@.ci/bootstrap-uv
