# The few commands a person needs; everything else is `cargo` and `target/debug/tandem`.
# Demo and tests share one profile, so that what one builds the other finds.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# For `make demo`: which drill, and options for it (DEMO_FLAGS="--seed 7").
DRILL ?= aws-outage
DEMO_FLAGS ?=
# For the benchmarks: runs of each drill. 20 are what the table of the README is made of.
RUNS ?= 20
# Options for a benchmark, such as --resume or --base-port 22000.
BENCH_FLAGS ?=

BINARIES := -p tandem -p tandem-gate -p tandem-edge -p crm

.PHONY: help setup build demo test test-terraform test-estate sim sim-long model fmt lint bench bench-failover bench-authority bench-postgres bench-verify bench-terraform clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## Check what building and running need; on Debian and Ubuntu install it
	@scripts/setup

build: setup ## Build the programs: tandem, tandem-gate, tandem-edge, crm
	cargo build $(BINARIES)

demo: build ## Start both clouds here, lose AWS under load, print the verdict, clean up
	@target/debug/tandem drill run $(DRILL) $(DEMO_FLAGS)

test: setup ## Everything that CI runs, cheap steps first
	@scripts/test

test-terraform: ## Infrastructure code: every module and environment, all settings, three terraforms, policy
	@scripts/setup-terraform
	@scripts/setup-terraform 1.6.6
	@scripts/setup-terraform 1.15.5
	cargo build --workspace --bin terraform-check
	@target/debug/terraform-check check --versions
	@scripts/terraform-policy

test-estate: ## The six phases over the real environments, killed twenty times and resumed; takes its time
	@scripts/setup-terraform
	WHOLE_ESTATE=1 TERRAFORM=$$(command -v terraform || ls -d $(CURDIR)/target/terraform/1.11.4/terraform) cargo test --workspace --test estate -- --nocapture

sim: ## Simulated incidents: 200,000 seeds, every invariant after every event
	cargo run -q --release -p tandem-sim -- --seeds 0..200000

sim-long: ## The same with a million seeds
	cargo run -q --release -p tandem-sim -- --seeds 0..1000000

model: ## Every schedule within stated bounds, over the code that decides
	cargo run -q --release -p tandem-sim -- --model

fmt: ## Format the sources
	cargo fmt --all

lint: ## Formatting, repository rules, clippy
	@scripts/test fmt rules clippy

bench: bench-failover bench-authority bench-postgres bench-verify bench-terraform ## Every benchmark

bench-failover: build ## The failover table, against Patroni (RUNS=20; BENCH_FLAGS="--resume")
	bench/peers/patroni/install.sh
	@target/debug/tandem drill bench failover --runs $(RUNS) $(BENCH_FLAGS)

bench-authority: build ## Never two writers: isolated, frozen, stale (RUNS=20; BENCH_FLAGS="--resume")
	@target/debug/tandem drill bench authority --runs $(RUNS) $(BENCH_FLAGS)

bench-postgres: build ## Planned moves under load, and a database's troubles (RUNS=20; BENCH_FLAGS="--resume")
	@target/debug/tandem drill bench postgres --runs $(RUNS) $(BENCH_FLAGS)

# For the comparison of rows: how many a side, and how many runs.
ROWS ?= 10000000
VERIFY_RUNS ?= 3

bench-verify: setup ## Planted differences in ten million rows under traffic, beside md5 (ROWS=, VERIFY_RUNS=3)
	ROWS=$(ROWS) RUNS=$(VERIFY_RUNS) cargo run -q --release -p tandem-postgres --example bench-verify

# For the mutation test: how many lines are broken, and ALL=1 for every one.
COUNT ?= $(if $(ALL),0,600)

bench-terraform: ## Break single lines of the infrastructure code, count who notices (COUNT=600, ALL=1)
	@scripts/setup-terraform
	cargo build --workspace --bin terraform-check
	@target/debug/terraform-check mutate --count $(COUNT)

clean: ## Remove what was built
	cargo clean
