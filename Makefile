# Two commands matter: `make run` and `make test`. Everything lives in .venv.
BIN ?= .venv/bin
PYTHON ?= python3
STAMP := .venv/.installed

run: $(STAMP)    ## Set everything up, start the demo coast and the console
	$(BIN)/almenara demo

test: $(STAMP) .venv/.dev  ## Set everything up, run every test and every gate
	./tools/test $(BIN)

check: test      ## The same: every gate is part of the tests

bench: .venv/.dev ## make bench NAME=demo: run one benchmark and write its table
	$(BIN)/python benches/$(NAME).py

docs: .venv/.dev ## Write the generated reference
	$(BIN)/python tools/reference.py

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Almenara needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv || { echo "First: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install -q -U pip
	$(BIN)/pip install -q -e . && touch $@

.venv/.dev: $(STAMP)
	$(BIN)/pip install -q --group dev && touch $@

.PHONY: run test check bench docs
