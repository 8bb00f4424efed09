#!/bin/sh
# Fuzzes each target in turn, for so many minutes in all, from the corpora that are kept.
#
#     scripts/fuzz.sh run MINUTES [TARGET…]    what is found new goes to fuzz/target/corpora, what breaks to fuzz/regressions
#     scripts/fuzz.sh keep [TARGET…]           of what was found, what reaches code that fuzz/corpora doesn't is added to it
set -eu
cd "$(dirname "$0")/.."

fail() { printf 'fuzz: %s\n' "$*" >&2; exit 1; }
command -v cargo-fuzz >/dev/null || fail "cargo-fuzz is missing: cargo install cargo-fuzz --locked"

what=$1
shift
case $what in
  run) minutes=$1; shift ;;
  keep) ;;
  *) fail "say \`run MINUTES\` or \`keep\`" ;;
esac
[ $# -gt 0 ] || set -- reader message headers xfcc spiffe_ids tokens proofs check_request

# No sanitizer: there is no unsafe code to watch, and the stable toolchain has none.
cargo fuzz build --sanitizer none
built=fuzz/target/$(rustc -vV | sed -n 's/host: //p')/release

broken=0
for target in "$@"; do
  found=fuzz/target/corpora/$target kept=fuzz/corpora/$target bad=fuzz/regressions/$target
  mkdir -p "$found" "$kept" "$bad"
  if [ "$what" = keep ]; then
    "$built/$target" -merge=1 -set_cover_merge=1 -use_counters=0 -max_len=4096 "$kept" "$found" 2>&1 | grep -E '^MERGE-OUTER: [0-9]+ new files'
    continue
  fi
  printf '\n=== %s\n' "$target"
  "$built/$target" -max_total_time=$((minutes * 60 / $#)) -max_len=4096 -timeout=10 -dict=fuzz/json.dict \
    -print_final_stats=1 -artifact_prefix="$bad/" "$found" "$kept" 2>&1 |
    tee "fuzz/target/$target.log" | grep -E '^(INFO: seed|==|stat::|panicked|thread|Done)|panicked at' || true
  grep -q '^Done' "fuzz/target/$target.log" || { broken=1; echo "broke: see fuzz/target/$target.log and $bad"; }
done
exit $broken
