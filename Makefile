# make demo    sets everything up and shows the main job end to end          make test    sets everything up and passes the tests
# make check   the static checks       make bench   the benchmark            make chaos   the long fault runs    make format  formats the code       make lock   renews the lock files

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

.PHONY: demo test unit check bench bench-statistics registries chaos format lock clean bench-rollout bench-environments bench-transfers

demo: $(VENV)/.examples
	$(BIN)/pointsman demo $(if $(KEEP),--keep)

# The end-to-end tests start the whole system, so not beside the others; of the two processes one runs what shares an installation.
test: unit
	$(BIN)/python -m pytest tests/e2e -n 2

unit: $(VENV)/.dev
	$(BIN)/python -m pytest tests --ignore=tests/e2e -n 3

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(PIP) check

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

# Simulations of the statistics: minutes on one core, no server.
bench-statistics: $(VENV)/.dev
	$(BIN)/python -m benchmarks.statistics

# Every kind of registry with its real server, MLflow's included, whose environment is built first; none may be lacking.
registries: $(VENV)/.dev
	POINTSMAN_REGISTRIES=files,s3,oci,mlflow $(BIN)/python -m pytest tests/contracts/registries tests/contracts/test_attachments.py \
		tests/integration/test_s3_registry.py tests/integration/test_oci_registry.py tests/integration/test_oci_uploads.py tests/integration/mlflow
	POINTSMAN_REGISTRIES=mlflow $(BIN)/python -m pytest tests/e2e/test_alias_promotion.py

# Candidates that turn bad on a real installation: some minutes, on a quiet machine.
bench-rollout: $(VENV)/.dev
	$(BIN)/python -m tests.rollouts

# What environments of locked components cost; a minute, fetches two releases of scikit-learn.
bench-environments: $(VENV)/.dev
	$(BIN)/python -m benchmarks.environments

# A file of 1 GiB into a registry in a folder and into the cache, beside cp; two minutes, and 5 GiB of the disk.
bench-transfers: $(VENV)/.dev
	$(BIN)/python -m benchmarks.transfers

chaos: $(VENV)/.dev
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only "$(ONLY)")

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/.dev
	$(BIN)/uv pip compile -q --upgrade $(COMPILE) -o requirements.lock
	$(BIN)/uv pip compile -q --upgrade $(COMPILE) --group examples -c requirements.lock -o requirements-examples.lock
	$(BIN)/uv pip compile -q --upgrade $(COMPILE) --group dev -c requirements-examples.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) examples/build

# The three sets of dependencies, each holding the one before; a stamp says which is installed. A lock is whole, so nothing is resolved again
# (--no-deps): pip 23 would look for the newest pydantic where a package asks for pydantic[email], and fail on the day there is a newer one.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pointsman needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.examples: $(VENV)/bin/python requirements-examples.lock pyproject.toml
	@echo "installing what the demo needs into $(VENV) (once, a minute or two)"
	$(PIP) install --require-hashes --no-deps -r requirements-examples.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements-dev.lock pyproject.toml
	@echo "installing what development needs into $(VENV) (once, a minute or two)"
	$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.examples
