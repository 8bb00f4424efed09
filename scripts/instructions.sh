#!/bin/sh
# Counts the instructions of benches/instructions/ under valgrind, and fails where a count has passed its limit.
# Installs the runner of gungraun into .tools/, of the same release as the library.
set -eu
cd "$(dirname "$0")/.."

fail() { printf 'instructions: %s\n' "$*" >&2; exit 1; }

command -v valgrind >/dev/null || fail "valgrind is missing: apt-get install valgrind (Debian), or its like"
release=$(sed -n '/^name = "gungraun"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)
runner=.tools/gungraun-$release/bin/gungraun-runner
if [ ! -x "$runner" ]; then
  printf '· the runner of gungraun %s\n' "$release"
  cargo install gungraun-runner --version "$release" --locked --quiet --root ".tools/gungraun-$release"
fi
GUNGRAUN_RUNNER="$PWD/$runner" cargo bench --bench instructions
