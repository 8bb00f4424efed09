#!/bin/bash
# Makes tests/clients/corpus anew: what real client libraries send to real servers, as a proxy between them wrote it down.
#
#     tests/clients/record/record.sh [CLIENT…]     needs python3, node, go, cargo and the network
#
# The libraries go to RECORD_TOOLS (.tools/record). One that is moved on changes its folder's name: remove the old one.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=$PWD/tests/clients/record corpus=$PWD/tests/clients/corpus tools=${RECORD_TOOLS:-$PWD/.tools/record}
mkdir -p "$tools" "$corpus"
export MCP_USE_ANONYMIZED_TELEMETRY=false MCP_REMOTE_CONFIG_DIR=$tools/remote

venv() { # NAME REQUIREMENT…
  name=$1
  shift
  [ -x "$tools/$name/bin/python" ] || { python3 -m venv "$tools/$name"; "$tools/$name/bin/pip" install --quiet "$@"; }
}
packages() { # FOLDER
  [ -d "$tools/$1/node_modules" ] || { mkdir -p "$tools/$1"; cp "$here/$1/package.json" "$tools/$1/"; (cd "$tools/$1" && npm install --silent); }
  cp -f "$here/$1"/*.mjs "$tools/$1/" 2>/dev/null || true
}
venv mcp2 mcp==2.3.0
venv mcp1 mcp==1.30.0
venv mcp1-2025-06-18 mcp==1.12.4 pydantic==2.11.10
venv mcp1-2025-03-26 mcp==1.9.4 pydantic==2.11.10
venv fastmcp fastmcp==4.0.11
venv langchain langchain-mcp-adapters==0.3.2
venv mcpuse mcp-use==1.7.1
venv pydantic 'pydantic-ai-slim[mcp]==2.68.0'
venv openai openai-agents==0.24.0
packages node
packages inspector
[ -x "$tools/go/record" ] || (cd "$here/go" && go build -o "$tools/go/record" .)
[ -x "$tools/rust/target/debug/record" ] || (cd "$here/rust" && CARGO_TARGET_DIR=$tools/rust/target cargo build)

free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
answers() { for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:$1/" && return; sleep 0.1; done; return 1; }
both=$(free) old=$(free)
"$tools/mcp2/bin/python" "$here/server.py" "$both" >/dev/null 2>&1 & servers=$!
(cd "$tools/node" && PORT=$old exec node node_modules/@modelcontextprotocol/server-everything/dist/index.js streamableHttp >/dev/null 2>&1) & servers="$servers $!"
trap 'kill $servers 2>/dev/null' EXIT
answers "$both" && answers "$old"

wanted=" $* "
record() { # CLIENT COUNTER SERVER COMMAND…; URL in the command becomes the proxy's
  client=$1 counter=$2 server=$3
  shift 3
  case $wanted in "  " | *" $client "*) ;; *) return 0 ;; esac
  port=$(free)
  node "$here/proxy.mjs" "$port" "http://127.0.0.1:$server/mcp" "$corpus" "$client" ${counter#-} >/dev/null & proxy=$!
  answers "$port"
  echo "$client $counter"
  timeout 120 "${@/#URL/http://127.0.0.1:$port/mcp}" 2>&1 >/dev/null | grep -E '^  [a-z/]+: ' || true
  kill "$proxy"
}

# The official SDKs, under each version that they speak; below 2025-11-25 because the server says so.
for counter in - 2025-06-18 2025-03-26; do
  for server in "$both" "$old"; do
    record python-sdk-1.30.0 $counter "$server" "$tools/mcp1/bin/python" -W ignore "$here/python_sdk_v1.py" URL
    record python-sdk-2.3.0 $counter "$server" "$tools/mcp2/bin/python" "$here/python_sdk.py" URL legacy
    record typescript-sdk-1.32.2 $counter "$server" node "$tools/node/record.mjs" sdk URL
    record typescript-client-2.4.0 $counter "$server" node "$tools/node/record.mjs" client URL legacy
    record rust-sdk-3.9.0 $counter "$server" "$tools/rust/target/debug/record" URL legacy
  done
  record go-sdk-1.8.0 $counter "$old" "$tools/go/record" official URL
  record mcp-go-1.2.1 $counter "$old" "$tools/go/record" mark3labs URL
done
record python-sdk-2.3.0 - "$both" "$tools/mcp2/bin/python" "$here/python_sdk.py" URL 2026-07-28
record python-sdk-2.3.0 - "$both" "$tools/mcp2/bin/python" "$here/python_sdk.py" URL auto
record python-sdk-2.3.0 - "$old" "$tools/mcp2/bin/python" "$here/python_sdk.py" URL auto
record typescript-client-2.4.0 - "$both" node "$tools/node/record.mjs" client URL 2026-07-28
record rust-sdk-3.9.0 - "$both" "$tools/rust/target/debug/record" URL 2026-07-28
record go-sdk-1.8.0 - "$both" "$tools/go/record" official URL

# Those of the days when 2025-06-18 and 2025-03-26 were the newest.
record python-sdk-1.12.4 - "$old" "$tools/mcp1-2025-06-18/bin/python" -W ignore "$here/python_sdk_v1.py" URL
record python-sdk-1.9.4 - "$old" "$tools/mcp1-2025-03-26/bin/python" -W ignore "$here/python_sdk_v1.py" URL

# Libraries on top of them, with servers of both eras.
for server in "$both" "$old"; do
  record fastmcp-4.0.11 - "$server" "$tools/fastmcp/bin/python" "$here/python_libraries.py" fastmcp URL
  record langchain-mcp-adapters-0.3.2 - "$server" "$tools/langchain/bin/python" "$here/python_libraries.py" langchain URL
  record mcp-use-1.7.1 - "$server" "$tools/mcpuse/bin/python" "$here/python_libraries.py" mcpuse URL
  record pydantic-ai-2.68.0 - "$server" "$tools/pydantic/bin/python" "$here/python_libraries.py" pydantic URL
  record openai-agents-0.24.0 - "$server" "$tools/openai/bin/python" "$here/python_libraries.py" openai URL
  record ai-sdk-mcp-2.0.99 - "$server" node "$tools/node/record.mjs" ai-sdk URL
  record mcp-client-1.13.1 - "$server" node "$tools/node/record.mjs" mcp-client URL
  (cd "$tools/node" && record mcp-remote-0.15.1 - "$server" node record.mjs mcp-remote URL)
done
for arguments in 'tools/list' 'tools/call --tool-name add --tool-arg a=1 --tool-arg b=2.5' 'resources/list' \
  'resources/read --uri docs://guide' 'resources/templates/list' 'prompts/list' \
  'prompts/get --prompt-name review --prompt-args code=x'; do
  # shellcheck disable=SC2086 # a list of arguments
  record inspector-2.12.0 - "$both" "$tools/inspector/node_modules/.bin/mcp-inspector" --cli URL --transport http --method $arguments
done
