# Two commands on a machine with Python 3.11 or later: `make serve` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := benchmarks/.env/bench
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: serve test check bench bench-check train clean

serve: $(VENV)/.serve
	$(BIN)/ssang serve

test: $(VENV)/.test check
	$(BIN)/python -m pytest

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# make bench FLAGS=--quick, for example; see benchmarks/README.md.
bench: $(VENV)/.serve $(BENCH)/.made
	$(BENCH)/bin/python -m benchmarks.run $(FLAGS)

# Whether a text costs more CPU than it did; make bench-check FLAGS=--write writes that down.
bench-check: $(VENV)/.serve
	$(BIN)/python -m benchmarks.check $(FLAGS)

# make train DATA=folder, with the files that training/README.md names; hours on two cores.
STAGES := build/training
train: $(VENV)/.train
	$(BIN)/python -m training.start $(DATA) --output $(STAGES)/start
	$(BIN)/python -m training.tune $(DATA) --base $(STAGES)/start --output $(STAGES)/korean
	$(BIN)/python -m training.prune $(DATA) --teacher $(STAGES)/korean --output $(STAGES)/student
	$(BIN)/python -m training.distill $(DATA) --start $(STAGES)/student \
		--teacher $(STAGES)/korean --output models/ko-mini
	$(BIN)/python -m training.reader $(DATA) --encoder $(STAGES)/start --output models/ko-reader

clean:
	rm -rf $(VENV) build dist

# The stamps are newer than what they were installed from, so a second run installs nothing.
$(VENV)/.serve: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[dev]"
	touch $@ $(VENV)/.serve

$(VENV)/.train: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[train]"
	touch $@ $(VENV)/.serve

$(BENCH)/.made: benchmarks/peers/bench.txt | $(BIN)/python
	$(BIN)/python -m venv --clear $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "ssang needs Python 3.11 or later: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
