# Each line can be run by hand. GNU make 3.81, which macOS brings, is enough.
VENV     := .venv
RUN      := $(VENV)/bin/
PACKAGES := catalog chassis contracts integrity launcher router simulator sync
FOLDERS  := $(sort $(wildcard libs/* services/*))
SOURCES  := $(wildcard libs/*/src services/*/src tests benchmarks)
PYTHONS  := $(RUN)python $(PYTHON) python3.13 python3.14 python3.12 python3
SERVED   := libs/chassis libs/simulator $(wildcard services/*)
PINNED   := --constraint requirements.lock --universal --python-version 3.12 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" --quiet
UV       := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo $(RUN)uv)

.PHONY: up reset backup restore import check test fix docs bench soak faults previous lock clean

up: $(VENV)/.installed         ## start everything here and say where it is; Ctrl-C stops it
	@$(RUN)python -m modelbus.launcher up

reset: $(VENV)/.installed      ## forget all data
	@$(RUN)python -m modelbus.launcher reset

backup: $(VENV)/.installed     ## write the configuration of what runs to FILE=
	@$(RUN)python -m modelbus.launcher backup "$(FILE)"

restore: $(VENV)/.installed    ## put FILE= in place of the configuration of what runs; REPLACE=1 takes away what is there
	@$(RUN)python -m modelbus.launcher restore "$(FILE)" $(if $(REPLACE),--replace)

import: $(VENV)/.installed     ## import FILE= from an older system; SHAPE= for arrays and CSV, DRY_RUN=1 only reports
	@$(RUN)python -m modelbus.launcher import "$(FILE)" $(if $(SHAPE),--shape $(SHAPE)) $(if $(DRY_RUN),--dry-run)

check: $(VENV)/.installed      ## format, lint, types, import contracts
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy --num-workers 2 $(SOURCES)
	$(RUN)lint-imports

test: check                    ## all of check, then the tests
	$(RUN)python -m pytest

fix: $(VENV)/.installed        ## format, and repair what ruff can
	$(RUN)ruff format .
	$(RUN)ruff check --fix .

docs: $(VENV)/.installed       ## write the schemas of the events, the documents of bus and APIs, and who may do what on the bus
	$(RUN)python -m modelbus.contracts schemas docs/schemas
	$(RUN)python -m modelbus.contracts asyncapi docs/asyncapi.json
	$(RUN)python -m modelbus.chassis nats-config --output deploy/nats/users.conf
	for service in catalog sync integrity router; do \
		$(RUN)python -m modelbus.$$service openapi docs/openapi/$$service.json || exit 1; done

bench: $(VENV)/.installed      ## measure, and print the tables
	$(RUN)python benchmarks/run.py

soak: $(VENV)/.installed       ## traffic, faults and changes at a router for MINUTES=; nothing may leak; a supplier that flaps for one
	MINUTES=$(or $(MINUTES),1) $(RUN)python -m pytest -n 0 -q tests/router/test_soak.py tests/router/test_faults.py

faults: $(VENV)/.installed     ## every fault under load; or MINUTES= of them at random (SEED= repeats), or ORDER=all of starts
	$(if $(ORDER),ORDER="$(ORDER)",$(if $(MINUTES),MINUTES="$(MINUTES)" SEED="$(SEED)",FAULTS=all)) $(RUN)python -m pytest -q \
		$(if $(ORDER),-n 2 --dist load tests/system/test_starting.py,-n 0 $(if $(MINUTES),tests/faults/test_soak.py,tests/faults/test_faults.py tests/faults/test_full_disk.py tests/faults/test_full_state.py tests/system/test_previous.py))

previous: $(VENV)/.installed   ## keep RELEASE= (a tag or commit) as the release before this one, which the tests run
	$(RUN)python tests/system/previous/keep.py "$(RELEASE)"

lock: $(VENV)/.installed       ## pin what the pyproject.toml files ask for; LOCK=--upgrade takes the newest of all
	$(UV) pip compile pyproject.toml --group dev --universal --python-version 3.12 --generate-hashes --no-annotate \
		--custom-compile-command "make lock" --quiet --output-file requirements.lock $(LOCK) \
		$(PACKAGES:%=--no-emit-package modelbus-%)
	$(UV) pip compile $(SERVED:%=%/pyproject.toml) $(PINNED) --output-file deploy/requirements.serve.lock \
		$(PACKAGES:%=--no-emit-package modelbus-%)
	printf 'hatchling\nuv\n' | $(UV) pip compile - $(PINNED) --output-file deploy/requirements.build.lock

clean:                         ## remove the environment and the caches; data stays, see reset
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# An environment that works is kept and brought up to date. Running each candidate decides which Python makes a new
# one: a version manager may put a `python3.13` on PATH that only says that it has none. Everything is compiled here,
# as ten processes that each compile what they import would double the time of a start.
$(VENV)/.installed: requirements.lock pyproject.toml $(FOLDERS:%=%/pyproject.toml)
	@python=""; for candidate in $(PYTHONS); do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then \
			python="$$candidate"; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "Modelbus needs Python 3.12 or newer: install it, or name it with make PYTHON=/path/to/python." >&2; \
		exit 10; fi; \
	if [ "$$python" != $(RUN)python ]; then \
		echo "Making $(VENV) with $$("$$python" --version) ($$python)"; \
		"$$python" -m venv --clear $(VENV) || { rm -rf $(VENV); \
			echo "Python can't make an environment: install its venv package (Debian and Ubuntu: python3-venv)." >&2; \
			exit 14; }; fi
	@test -x "$(UV)" || { $(RUN)python -m pip --version >/dev/null 2>&1 || $(RUN)python -m ensurepip >/dev/null; \
		sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock && \
		$(RUN)python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock; }
	$(UV) pip install --quiet --compile-bytecode --python $(RUN)python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(RUN)python --no-deps --no-build-isolation $(FOLDERS:%=--editable %)
	@$(RUN)python -m compileall -q libs services
	@touch $@
