# Everything a person or CI does here, as one command each. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run demo test e2e conformance fault-matrix chaos bench fleet month mutants lint fmt types arch check migrate schemas docs dotenv lock doctor reset

# Where it is set, every process compiles every module again: a service takes 5 s of CPU to start instead of 2.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PACKAGES := money contracts chassis razorpay_client testkit ocpp_gateway charging payments settlement firmware journal \
            api_gateway charger_simulator razorpay_simulator identity_simulator voltlync
MEMBERS := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml simulators/*/pyproject.toml cli/pyproject.toml)

# More arguments for pytest: make test PYTEST_ARGS="-k refund -x"
PYTEST_ARGS ?=
# Options of the fuzzer: make fuzz FUZZ_ARGS="--frames 50000 --seed 7"
FUZZ_ARGS ?=
# Seconds without a byte of progress are not measured here: pytest's own timeout (pyproject.toml) ends a test that hangs.
PYTEST := $(BIN)/pytest $(PYTEST_ARGS)

help: ## This list
	@echo "VoltLync. First: make run (everything, with one paid session to watch). All targets:"
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | \
	  while IFS=$$'\t' read -r name text; do printf '  \033[1m%-12s\033[0m %s\n' "$$name" "$$text"; done

setup: ## Tools and dependencies into .venv (needs Python 3.11; instant the second time)
	@scripts/bootstrap

run: setup ## Start everything, seed a network, play one paid session, stay up (Ctrl-C ends all; data stay in .run)
	@exec $(BIN)/voltlync up

demo: setup ## Play sessions against a running `make run`
	@$(BIN)/voltlync demo

test: setup ## All tests, on private throw-away servers (the long forms excepted)
	@$(PYTEST) -m "not long" -n 2 --dist loadgroup

e2e: setup ## The end-to-end diaries only
	@$(PYTEST) tests/e2e

conformance: setup ## Run the quirk table and the OCA cases, and write docs/conformance.md
	@$(BIN)/python -m tests.field.table

fault-matrix: setup ## Every call to Razorpay under every fault and kill, and write docs/fault-matrix.md
	@$(BIN)/python -m tests.faults.table

chaos: setup ## The long form of the chaos tests: 30 kills of real processes
	@$(PYTEST) tests/chaos

fuzz: setup ## A million fuzzed frames against a live gateway (FUZZ_ARGS="--seed 7 --only 4711" shows one again)
	@$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

bench: setup ## Measure speed against a bare server; prints the figures of docs/performance.md
	@$(BIN)/python -m tests.load.bench

fleet: setup ## The paid-energy guarantee over hundreds of sessions: overspend and what is left (docs/paid-energy.md)
	@$(BIN)/python -m tests.fleet.report

month: setup ## A month of 50 chargers played and its books proved, seeded errors and all (docs/month.md; half an hour on two quiet cores)
	@nice -n 5 $(BIN)/python -m tests.month --write

mutants: setup ## Mutation testing of the rules of money (docs/mutation.md; half an hour)
	@nice -n 5 $(BIN)/python -m tests.mutation

lint: setup ## Ruff (rules and format), YAML, Dockerfile
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/yamllint --strict -c .yamllint.yaml docker-compose.yml deploy
	@$(BIN)/hadolint --config .hadolint.yaml deploy/docker/Dockerfile

fmt: setup ## Format, and repair what ruff can repair
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: setup ## mypy --strict over every package
	@$(BIN)/mypy $(addprefix -p ,$(PACKAGES))

arch: setup ## Who may import whom, and the house rules that no linter knows
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/test_tidy.py

check: lint types arch test ## Everything that CI runs

migrate: setup ## Apply migrations to the servers of `make run` (starts them where they are down)
	@$(BIN)/voltlync migrate

schemas: setup ## Write the JSON Schemas of all messages
	@$(BIN)/voltlync schemas

docs: setup ## Write the generated pages: event catalogue, AsyncAPI, OpenAPI
	@$(BIN)/voltlync docs

dotenv: setup ## Print a .env with fresh secrets for docker compose (make -s dotenv > .env)
	@$(BIN)/voltlync dotenv

lock: setup ## Renew requirements.lock from the members' pyproject.toml
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate \
	  --group dev pyproject.toml $(MEMBERS) -o requirements.lock
	@sed -i '/^-e /d' requirements.lock
	@scripts/bootstrap

doctor: setup ## Say what is here and what is missing: Python, servers, Docker, ports
	@$(BIN)/voltlync doctor

reset: setup ## Forget the data of `make run`
	@$(BIN)/voltlync reset
