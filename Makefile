# One word per thing to do. Each target makes its own .venv where needed.
PYTHON ?= python3
TORCH  ?= torch==2.13.0
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check -q
BUILT  := pyproject.toml $(wildcard setup.py src/mgte/kernels/native/*)

.PHONY: demo test test-fast check fmt docs bench clean

demo: $(VENV)/.demo
	$(PY) examples/demo.py

test: $(VENV)/.test
	$(PY) -m pytest

test-fast: $(VENV)/.test
	$(PY) -m pytest -m "not slow"

check: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -q tests/architecture

fmt: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(PY) docs/room_map.py

docs: $(VENV)/.test
	$(PY) -m pytest -q tests/docs

bench: $(VENV)/.bench
	$(PY) benchmarks/encode.py
	$(PY) benchmarks/train.py

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# A torch that is already in the environment is kept.
$(VENV)/.torch:
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -c "import torch" 2>/dev/null || $(PIP) install $(TORCH) numpy
	touch $@

$(VENV)/.demo: $(BUILT) | $(VENV)/.torch
	$(PIP) install -e .
	touch $@

$(VENV)/.test: $(BUILT) | $(VENV)/.torch
	$(PIP) install -e ".[test,demo]"
	touch $@

$(VENV)/.dev: $(BUILT) | $(VENV)/.torch
	$(PIP) install -e ".[test,demo,dev]"
	touch $@

$(VENV)/.bench: $(BUILT) | $(VENV)/.torch
	$(PIP) install -e ".[bench,demo]"
	touch $@
