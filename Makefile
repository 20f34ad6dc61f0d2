# Everything a clone needs: `make demo` for a first look, `make test` before a change is shown to others; `make faults`
# (half an hour) after changes to what is written or read.
PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= test
BIN := $(VENV)/bin

.PHONY: demo test package faults bench docs check format clean

# installed again only when the dependencies change, so that a second run needs no network
$(VENV)/installed-%: pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '$(if $(filter none,$*),.,.[$*])'
	touch '$@'

demo: $(VENV)/installed-none
	$(BIN)/miex synthesize --out demo

test: $(VENV)/installed-$(EXTRAS)
	$(BIN)/miex doctor --fetch
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# the wheel in a new environment, outside this folder
package: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m tools.clean_environment

# every fault, of which `make test` injects a few; writes docs/results/faults.md. Its files lie in memory, if they can
faults: $(VENV)/installed-test,train
	$(BIN)/miex doctor --fetch
	$(BIN)/python -m pytest tests/faults --every-fault $(if $(wildcard /dev/shm),--basetemp=/dev/shm/miex-faults)

# the documentation, docs/_build/html/index.html: a warning, or a link within it that leads nowhere, is an error
docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -W -n --keep-going -b html docs docs/_build/html

check: $(VENV)/installed-$(EXTRAS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-$(EXTRAS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-$(EXTRAS)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo build dist docs/_build .mypy_cache .pytest_cache .ruff_cache
