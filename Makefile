# Everything a developer or a newcomer types. Needs Python 3.11+ and make; uv is fetched when missing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

CACHE := $(CURDIR)/.cache
# Nothing is written outside the repository, package managers' own caches aside.
export BENTOML_HOME := $(CACHE)/bentoml
export MPLCONFIGDIR := $(CACHE)/matplotlib
export NUMBA_CACHE_DIR := $(CACHE)/numba
export PROMETHEUS_MULTIPROC_DIR := $(CACHE)/prometheus
export XDG_CACHE_HOME := $(CACHE)/xdg
export XDG_CONFIG_HOME := $(CACHE)/xdg
export PYRIGHT_PYTHON_CACHE_DIR := $(CACHE)/pyright
export BENTOML_DO_NOT_TRACK := True
export ORT_DISABLE_TELEMETRY := 1
export TF_CPP_MIN_LOG_LEVEL := 3


UV := $(shell command -v uv || echo $(CACHE)/uv/bin/uv)
RUN := $(UV) run
STAMP := .venv/.synced

.PHONY: help setup demo test check benchmark-science lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

setup: $(STAMP) ## Make .venv from the hashed requirements

$(CACHE)/uv/bin/uv:
	python3 -m pip install --quiet --disable-pip-version-check --target $(CACHE)/uv uv

$(STAMP): requirements/dev.txt clients/python/pyproject.toml | $(UV)
	mkdir -p $(BENTOML_HOME) $(MPLCONFIGDIR) $(NUMBA_CACHE_DIR) $(PROMETHEUS_MULTIPROC_DIR)
	unset XDG_CACHE_HOME XDG_CONFIG_HOME
	$(UV) venv --quiet --allow-existing
	$(UV) pip sync --quiet --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --no-deps --editable clients/python
	touch $@

demo: $(STAMP) ## Make a sky, train, serve, score a petal over HTTP, show the outliers
	$(RUN) python -m training.demo demo

test: $(STAMP) ## All tests
	$(RUN) pytest

check: $(STAMP) ## Format, lint, types, layers
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) pyright
	PYTHONPATH=. $(RUN) lint-imports

benchmark-science: $(STAMP) ## Recall and calibration beside simpler methods, several seeds (hours)
	$(RUN) python -m training.benchmark --folder benchmark-science

lock: | $(UV) ## Write requirements/*.txt anew from pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header pyproject.toml -o requirements/serving.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --extra training --extra dev pyproject.toml -o requirements/dev.txt

clean: ## Remove what the targets made, .venv included
	rm -rf .venv .cache demo benchmark-science .pytest_cache .ruff_cache .hypothesis .import_linter_cache
