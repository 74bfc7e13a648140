# Everything is one command: `make run`, `make test`, `make check`. See README.md.

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
PORT ?=
ONCE ?=
ONLY ?=
ARGS ?=
# Three processes share the suite: while one waits, the others fill two cores. ARGS="-n 0" is one.
PARALLEL ?= -n 3 --dist loadscope --no-loadscope-reorder
# Compiled once instead of at every start of a process; a start takes seconds less.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := run
.PHONY: run test check types rules bench load chaos profile audit venv runtime development

run: runtime
	@PORT="$(PORT)" $(PY) manage.py up $(if $(ONCE),--once)

test: development
	@$(PY) -m pytest $(PARALLEL) $(ARGS)

# Types take one processor longer than all the rest together takes the other.
check:
	@$(MAKE) --no-print-directory -j 2 --output-sync=target types rules

types: development
	$(PY) -m mypy .

rules: development
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
	$(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	HTTPS_ONLY=1 $(PY) manage.py check --deploy --fail-level WARNING
	$(PY) manage.py spectacular --validate --fail-on-warn --file /dev/null

bench: development
	@$(PY) -m tests.benchmarks $(if $(ONLY),--only $(ONLY))

load: development
	@$(PY) -m tests.load

chaos: development
	@$(PY) -m pytest -m "chaos or slow" $(ARGS)

profile: development
	@ONLY="$(ONLY)" $(PY) -m tests.profiles

# Every installed package is the locked one, with its hash, and they fit each other.
audit: development
	@$(PY) -m pip install --quiet --dry-run --require-hashes -r requirements-dev.lock
	@$(PY) -m pip check

# ---------------------------------------------------------------- the virtual environment

# A stamp bears its lock's digest: an unchanged lock costs no pip. System pip is never touched,
# and the machine's own pip settings (an index, a proxy) stay in force.
runtime: venv
	@stamp=$(VENV)/.installed-$$(sha256sum requirements.lock | cut -c1-16); \
	[ -e "$$stamp" ] || { echo "installing requirements.lock into $(VENV)"; \
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements.lock && touch "$$stamp"; }

# The development lock holds the runtime's packages too, in the same versions.
development: venv
	@stamp=$(VENV)/.installed-$$(sha256sum requirements-dev.lock | cut -c1-16); \
	[ -e "$$stamp" ] || { echo "installing requirements-dev.lock into $(VENV)"; \
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements-dev.lock && touch "$$stamp" \
	  "$(VENV)/.installed-$$(sha256sum requirements.lock | cut -c1-16)"; }

# An interpreter of your own choice is left as it is, and so is what a link leads to.
venv:
	@[ "$(PY)" = "$(VENV)/bin/python" ] || exit 0; \
	$(PY) -c "" 2>/dev/null && exit 0; \
	[ ! -L $(VENV) ] || { \
	  echo "$(VENV) is a link to an environment whose Python does not start: mend it there," \
	    "or remove the link" >&2; exit 1; }; \
	[ "$$(uname -sm)" = "Linux x86_64" ] || { \
	  echo "Ratchet needs Linux on x86-64 for its own PostgreSQL and Redis; this is" \
	    "$$(uname -sm): set DATABASE_URL and REDIS_URL" >&2; \
	  [ -n "$$DATABASE_URL" ] && [ -n "$$REDIS_URL" ] || exit 1; }; \
	for python in python3.11 python3.12 python3; do \
	  $$python -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))" \
	    2>/dev/null && break; python=; \
	done; \
	[ -n "$$python" ] || { \
	  echo "Ratchet needs Python 3.11 or 3.12; here: $$(python3 --version 2>&1)" >&2; exit 1; }; \
	$$python -c "import ensurepip, venv" 2>/dev/null || { \
	  echo "$$python has no venv module; install it: apt install python3-venv" >&2; exit 1; }; \
	$$python -m venv --clear $(VENV)
