# `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: help demo test soak crash bench instructions fuzz lint format tools

CARGO ?= cargo

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: tools ## People and agents, through a real Envoy, then your own calls (ONCE=1: no more; KEYCLOAK=1: ten agents log in there)
	$(if $(KEYCLOAK),@scripts/tools.sh --keycloak)
	$(CARGO) build --release --bin mcp-authz
	target/release/mcp-authz demo $(if $(KEYCLOAK),--keycloak) $(if $(ONCE),--once)

test: tools ## All tests, with the real Envoy, Keycloak and official MCP clients
	scripts/tools.sh --clients --keycloak
	$(CARGO) test

MINUTES ?= 10
CONNECTIONS ?= 200
RATE ?= 400

soak: tools ## Load through Envoy while policies are edited (MINUTES=10 CONNECTIONS=200 RATE=400 calls a second)
	$(CARGO) build --release --bin mcp-authz --example soak
	target/release/examples/soak --minutes $(MINUTES) --connections $(CONNECTIONS) --rate $(RATE)

KILLS ?= 1000

crash: ## kill -9 under load, with the audit on disk; nothing answered may be missing (KILLS=1000)
	CRASH_KILLS=$(KILLS) $(CARGO) test --test process killed_at_any_moment -- --nocapture

bench: tools ## What a check costs, against a server that only says yes; writes docs/benchmarks.md (needs h2load)
	@command -v h2load >/dev/null || { echo "h2load is missing: apt-get install nghttp2-client (Debian), or its like"; exit 1; }
	$(CARGO) build --release --bin mcp-authz --example always_allow --example bench
	python3 bench/bench.py

fuzz: ## Looks for bytes that break what is checked of any bytes, MINUTES in all (TARGETS="reader xfcc": only those)
	scripts/fuzz.sh run $(MINUTES) $(TARGETS)

instructions: ## What the parts of a decision cost in instructions; fails where one costs 5 % more than it did (needs valgrind)
	scripts/instructions.sh

lint: ## Formatting and clippy, warnings are errors
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

format: ## Formats the sources
	$(CARGO) fmt

tools: ## Envoy and the MCP SDK, into .tools/
	@scripts/tools.sh
