# One line a verb. `make help` lists them.
PYTHON := .venv/bin/python
LOCAL := $(PYTHON) -m headrace.local
COMPILE := .venv/bin/uv pip compile -q --generate-hashes --no-annotate --no-header --python-version 3.11
FAILURES := build/failures.txt
# Where an environment forbids bytecode, as many images do, each of hundreds of processes compiles all its imports anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo down status test test-fast test-long test-cluster test-product test-rest test-runtimes test-routing test-pod test-vllm check fmt lock bench bench-product bench-deploy bench-iac bench-toolchain bench-images bench-weights bench-runtime bench-routing bench-path bench-rollout bench-starts bench-observe bench-autoscaler bench-forms bench-llm soak clean

help: ## list the verbs
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 20

demo: .venv/installed ## from nothing to a served prediction; leaves the platform running
	@$(LOCAL) demo

down: .venv/installed ## remove everything that runs and everything it wrote, but the cache
	@$(LOCAL) down

status: .venv/installed ## what runs
	@$(LOCAL) status

test: .venv/installed check ## every test, on a real cluster
	@$(LOCAL) build
	@echo "Running three groups of tests side by side; each prints its report when it has ended"
	@rm -f $(FAILURES)
	@export HEADRACE_FAILURES=$(FAILURES); \
	$(MAKE) -j3 -Otarget --no-print-directory SELECT="not cluster and not long" REST=--ignore=tests/runtimes \
		test-cluster test-rest test-pod && $(MAKE) --no-print-directory test-product \
		|| { echo "What failed, of all groups:"; cat $(FAILURES); exit 1; }

test-fast: .venv/installed ## tests without a cluster, in seconds
	@$(MAKE) -j2 -Otarget --no-print-directory SELECT="not cluster and not slow and not long" REST=--ignore=tests/runtimes \
		test-rest test-routing test-runtimes

test-routing: .venv/installed # in a process of its own, as in production (pyproject.toml says why), beside the rest
	@$(PYTHON) -m pytest -q --durations=5 -m "$(SELECT)" tests/routing

test-cluster: .venv/installed # mostly waits for pods, so the others have the cores
	@$(PYTHON) -m pytest --durations=10 -m "cluster and not long" --ignore=tests/e2e/test_product.py
	@echo "Not run, minutes each: stories of load and outages on the cluster (make test-long)"

test-product: .venv/installed # alone on the machine
	@$(PYTHON) -m pytest --durations=5 tests/e2e/test_product.py

test-long: .venv/installed ## load and outages on the cluster, types of AWS: minutes each; writes tests/recorded/long.json
	@HEADRACE_RECORD_LONG=1 $(PYTHON) -m pytest --durations=20 -m long

test-rest: .venv/installed
	@$(PYTHON) -m pytest -q --durations=5 -m "$(SELECT)" $(REST)

test-pod: .venv/installed # the way to a pod and through it, one after the other: together as long as the rest
	@failed=0; $(MAKE) test-routing || failed=1; $(MAKE) test-runtimes || failed=1; exit $$failed

test-runtimes: .venv/installed
	@$(PYTHON) -m pytest -q --durations=5 -m "$(SELECT)" tests/runtimes

test-vllm: .venv/installed ## vLLM itself, on CPU cores (a download of 5.9 GB); writes tests/recorded/vllm.json
	@HEADRACE_TEST_VLLM=1 $(PYTHON) -m pytest -q tests/runtimes/engines/test_vllm.py

check: .venv/installed ## lint, types and architecture
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy -p headrace && .venv/bin/mypy bench && .venv/bin/lint-imports

fmt: .venv/installed ## format
	@.venv/bin/ruff check --fix -q . ; .venv/bin/ruff format -q .

lock: .venv/installed ## resolve the lock files anew
	@echo "uv==0.13.9" | $(COMPILE) - -o locks/bootstrap.lock
	@$(COMPILE) pyproject.toml --all-extras -o locks/dev.lock
	@$(COMPILE) pyproject.toml --extra control -o locks/control.lock
	@$(COMPILE) pyproject.toml --extra tables -c locks/dev.lock -o locks/tables.lock
	@$(COMPILE) pyproject.toml --extra console -c locks/dev.lock -o locks/console.lock
	@$(COMPILE) --universal pyproject.toml --extra front -c locks/dev.lock -o locks/front.lock # what tests ran with

bench: bench-product bench-deploy bench-iac bench-toolchain bench-images bench-weights bench-runtime bench-forms bench-routing bench-path bench-rollout bench-starts bench-observe bench-autoscaler ## every benchmark

bench-product bench-deploy bench-iac bench-toolchain bench-images bench-weights bench-runtime bench-forms bench-routing bench-path bench-rollout bench-starts bench-observe bench-autoscaler: .venv/installed ## one benchmark; writes bench/results
	@$(PYTHON) -m bench.$(@:bench-%=%)

bench-llm: .venv/installed ## vLLM on a GPU, behind our front and alone; HEADRACE_ENGINE_PYTHON has vLLM
	@$(PYTHON) -m bench.llm

soak: .venv/installed ## a million requests to one front; writes bench/results/soak.json
	@$(PYTHON) -m bench.runtime.soak

clean: ## remove what building made in this checkout (not the cache: rm -rf ~/.cache/headrace)
	@rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/installed: pyproject.toml locks/dev.lock locks/bootstrap.lock
	@python3 -c 'import ensurepip' 2>/dev/null || { echo "Installing Debian package python3-venv (makes .venv)"; apt-get update -qq && apt-get install -y -qq python3-venv; }
	@echo "Installing the Python environment into .venv"
	@[ -x .venv/bin/uv ] || { python3 -m venv .venv && .venv/bin/pip install -q --disable-pip-version-check --require-hashes -r locks/bootstrap.lock; }
	@.venv/bin/uv pip install -q --python $(PYTHON) --require-hashes -r locks/dev.lock
	@# xds-protos carries older copies of opentelemetry-proto's files, which MLflow needs: whoever is written last wins
	@.venv/bin/uv pip install -q --python $(PYTHON) --require-hashes --reinstall-package opentelemetry-proto -r locks/dev.lock
	@.venv/bin/uv pip install -q --python $(PYTHON) --no-deps --editable . && touch $@
