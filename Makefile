# Every target makes what it needs. The first run downloads about 3 GB; the second finds it done.

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help quickstart test lint format lock clean
MAKEFLAGS += --no-builtin-rules

# ROS puts packages of its own there, for another Python.
unexport PYTHONPATH

# A terminal shows uv's progress, anything else only its errors.
UV := sh tools/uv.sh
UV_QUIET := $$([ -t 2 ] || echo --quiet)

ENVIRONMENT := .venv/.installed
PEERS := .peers/.installed
IWER := iwer@2.5.0 # emulates a headset in a browser

help:
	@echo "make quickstart   record demonstrations, train on them, try the policy, write a report"
	@echo "make test         run the tests                      (ARGS=... is passed on to pytest)"
	@echo "make lint         check style, types and the layers of imports"
	@echo "make format       put the code into its form"
	@echo "make lock         write requirements.lock            (ARGS=--upgrade for newer versions)"
	@echo "make clean        remove the environment, caches and builds; recordings and runs stay"

quickstart: $(ENVIRONMENT)
	@.venv/bin/robolearn quickstart --out quickstart $(ARGS)

test: $(ENVIRONMENT) $(PEERS)
	@echo "Running the tests"
	@OMP_NUM_THREADS=1 .venv/bin/pytest -n auto $(ARGS)

lint: $(ENVIRONMENT)
	@echo "Checking style, types and the layers of imports"
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/mypy --no-error-summary
	@layers=$$(.venv/bin/lint-imports --no-logo) || { echo "$$layers"; exit 1; }

format: $(ENVIRONMENT)
	@echo "Putting the code into its form"
	@.venv/bin/ruff check --quiet --fix
	@.venv/bin/ruff format --quiet

lock:
	@echo "Writing requirements.lock"
	@$(UV) pip compile --quiet pyproject.toml --extra dev --extra sim --extra real --extra teleop --extra vr --extra experts --extra cluster --extra wandb --universal --python-version 3.12 \
		--python "$$(sh tools/python.sh)" --custom-compile-command "make lock" --output-file requirements.lock $(ARGS)

clean:
	@echo "Removing the environment, caches and builds"
	@rm -rf .venv .uv .peers build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
		.hypothesis
	@find robolearn tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# The environment works only in the folder it was made in: in a moved or copied checkout it is made
# anew. The stamp therefore holds the folder.
ifneq ($(shell cat $(ENVIRONMENT) 2>/dev/null),$(CURDIR))
.PHONY: $(ENVIRONMENT)
endif

$(ENVIRONMENT): requirements.lock pyproject.toml
	@echo "Installing requirements.lock into .venv (the first time: about 3 GB to download)"
	@if [ "$$(cat $@ 2>/dev/null)" != "$(CURDIR)" ] || ! .venv/bin/python -c "" 2>/dev/null; then \
		$(UV) venv --quiet --clear --python "$$(sh tools/python.sh)" .venv; fi
	@$(UV) pip sync $(UV_QUIET) --python .venv requirements.lock
	@$(UV) pip install --quiet --python .venv --no-deps --editable .
	@pwd -P > $@

# Without a network the tests that need peers are skipped.
$(PEERS): requirements-peers.lock | $(ENVIRONMENT)
	@echo "Installing what tests and benchmarks compare with into .peers"
	@rm -rf .peers
	@if $(UV) pip install --quiet --python .venv --no-deps --target .peers -r requirements-peers.lock; \
	then touch $@; \
	else rm -rf .peers; echo "warning: no .peers, the tests that need it are skipped" >&2; fi
	@mkdir -p .peers/node && npm install --silent --no-audit --no-fund --no-save --ignore-scripts \
		--prefix .peers/node $(IWER) || echo "warning: no npm, the tests of a headset are skipped" >&2
