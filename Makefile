# `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: help demo test lint format tools

CARGO ?= cargo

help: ## What there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: tools ## A cast of people and agents, through a real Envoy, then your own calls (ONCE=1: only the cast)
	$(CARGO) build --release --bin mcp-authz
	target/release/mcp-authz demo $(if $(ONCE),--once)

test: tools ## All tests, with the real Envoy and official MCP clients
	scripts/tools.sh --clients
	$(CARGO) test

lint: ## Formatting and clippy, warnings are errors
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

format: ## Formats the sources
	$(CARGO) fmt

tools: ## Envoy and the MCP SDK, into .tools/
	@scripts/tools.sh
