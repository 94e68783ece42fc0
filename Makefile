# `make repro` and `make test` do all their own set-up; they need only Python 3.11-3.13, git and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CLUSTER := $(VENV)-cluster
STAMP := $(VENV)/.installed
CLASSIFIER ?= mnist
SHELL := /bin/bash
export DVC_NO_ANALYTICS := 1
# Python is to keep what it compiles: without that every call of DVC takes a second longer.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(abspath $(BIN)):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro grid test test-slow test-gpu test-mutations test-faults test-cluster check verify verify-determinism format bench params classifier lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP)  ## create the virtual environment $(VENV) from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"error: Python 3.11-3.13 is needed, $(PYTHON) is {v.major}.{v.minor}")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

repro: setup  ## run the pipeline with params.yaml; ends with the metrics and where the figures are
	@python -m ldmiss_pipeline repro
	@python -m ldmiss_pipeline report

grid: setup  ## run the grid of params.yaml, on the engine named in GRID="--engine slurm ..." (docs/scaling.md)
	python -m ldmiss_pipeline grid plan $(GRID)
	python -m ldmiss_pipeline grid run $(GRID)
	python -m ldmiss_pipeline grid collect

test: setup  ## the fast tests, side by side (3 minutes on 2 cores)
	python -m pytest -q -n auto

test-slow: setup  ## all tests, the long ones included
	python -m pytest -q -n auto -m "not mutation"

test-gpu: setup  ## what needs a GPU, on this host's (docs/gpu.md); without one it is skipped
	python -m pytest -q -rs -m gpu
	python -m pytest -q tests/pipeline/compute/test_determinism.py

test-mutations: setup  ## seeded slips in the code must turn tests of docs/fidelity.md red
	python -m pytest -q -m mutation tests/project/test_mutations.py

test-faults: setup  ## kills, full disks, clocks set back: does the result stay that of a clean run? (40 minutes)
	PYTHONPATH=tests python -m faults --write docs/reliability.md

test-cluster: setup  ## the grid on real Slurm and Ray with two nodes each, and with faults; as root (half an hour)
	test -d $(CLUSTER) || $(BIN)/uv venv --quiet --python $(BIN)/python $(CLUSTER)
	$(BIN)/uv pip install --quiet --python $(CLUSTER)/bin/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(CLUSTER)/bin/python --no-build-isolation -c requirements.lock -e '.[ray]'
	PYTHONPATH=tests $(CLUSTER)/bin/python -m cluster --write docs/scaling.md

verify: setup  ## re-hash every out and every object of DVC's cache
	python -m ldmiss_pipeline verify

verify-determinism: setup  ## run make repro in separate clones and compare; half an hour
	python -m benchmarks.determinism

check: setup  ## lint, format, types, layering
	ruff check .
	ruff format --check .
	mypy
	python -m pytest -q tests/project/test_layering.py

format: setup  ## format and sort imports
	ruff format .
	ruff check --fix .

bench: setup  ## measure speed against named peers, about 15 minutes (benchmarks/results/)
	python -m benchmarks.run

params: setup  ## compose conf/ into params.yaml, without running anything
	python -m ldmiss_pipeline compose

classifier: setup  ## train a committed classifier again, CLASSIFIER=mnist or fashion, in a clone (docs/classifier.md)
	rm -rf ckpt/classifier-clone && git clone --quiet . ckpt/classifier-clone
	cd ckpt/classifier-clone && python -m ldmiss_pipeline compose dataset=$(CLASSIFIER) profile=paper classifier.weights=null classifier.without=$(CLASSIFIER)5k compute.num_threads=1
	cd ckpt/classifier-clone && python -m stages download && python -m stages train_classifier
	cp ckpt/classifier-clone/models/classifier.safetensors assets/classifier-$(CLASSIFIER).safetensors

lock: setup  ## pin what pyproject.toml asks for, for all supported Pythons and platforms
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean:  ## remove everything a run makes (not DVC's cache, not the virtual environment)
	rm -rf data models plots metrics/cells metrics/curves metrics/table.csv ckpt runs dvc_plots .pytest_cache .mypy_cache .ruff_cache
