# `make help` lists the targets. Everything runs in .venv, which is made on the first call.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check docs bench gpu-check clean

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
USABLE := .venv/.usable
# Two processors give two test processes; each imports TensorFlow once.
TEST_PROCESSES ?= 2
ARGS ?=
# From Python 3.12 on the interpreter itself tells what is run, at next to no cost.
BEST_CORE := import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(READY)  ## Create .venv with the package and everything for its development

# Modules are compiled when they are first imported, not all of TensorFlow's at once.
define install
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 10) <= v < (3, 14) else \
	    f"retrain needs Python 3.10 to 3.13, and {sys.executable} is {v.major}.{v.minor}: call make PYTHON=python3.12, say")'
	@echo "Setting up .venv (a few minutes, once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '$(1)'
endef

$(READY): pyproject.toml
	$(call install,.[dev])
	@touch $@

# What users have, without what development needs.
$(USABLE): pyproject.toml
	$(call install,.)
	@touch $@

demo: $(or $(wildcard $(READY)),$(USABLE))  ## Run the main job on the sample images, with nothing to download
	@$(BIN)/retrain demo sample_images

test: $(READY)  ## Run all tests (ARGS='-k store' for some; COVERAGE=1 holds them to the floor in pyproject.toml)
	@$(if $(COVERAGE),COVERAGE_CORE=$$($(BIN)/python -c '$(BEST_CORE)')) \
	    $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --max-worker-restart 0 $(if $(COVERAGE),--cov) $(ARGS)

check: $(READY)  ## Lint, format, types, and that the generated docs are not stale
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python tools/make_cli_docs.py --check
	@$(BIN)/python tools/make_man_page.py --check
	@$(BIN)/python tools/make_backbone_docs.py --check

docs: $(READY)  ## Write the generated docs: docs/cli.md, the man page, completions, the table of docs/backbones.md
	@$(BIN)/python tools/make_cli_docs.py
	@$(BIN)/python tools/make_man_page.py
	@$(BIN)/python tools/make_backbone_docs.py

bench: $(READY)  ## Measure speed against references (ARGS='--help' for parts and sizes)
	@$(BIN)/python -m benchmarks $(ARGS)

gpu-check: $(READY)  ## Gather in build/gpu-check what the GPU benchmark needs; run it where a GPU is
	@$(BIN)/python tools/gpu_check.py $(ARGS)

clean:  ## Remove .venv, caches and build products
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .retrain
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
