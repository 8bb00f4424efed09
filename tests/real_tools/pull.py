#!/usr/bin/env python3
"""Starts real MCP servers and writes what each answers to tools/list.

    tests/real_tools/pull.py DIRECTORY [SERVER …]

installs the packages of `servers.json` at their versions into DIRECTORY (outside the repository), starts each over stdio
with the credentials given there (which are no credentials of anybody), and writes `tools/<server>.json` beside this script: the
tools as the server wrote them, in the order of their names, one to a line. Those that are too large to be `kept` go to
DIRECTORY/more, for `REAL_TOOLS=DIRECTORY/more cargo test --test real_tools`. No npm package's install scripts are run.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = 120


def install(folder: Path, server: dict) -> list[str]:
    """The command line that starts the server, installed if it is not there yet."""
    package, version, command = server["package"], server["version"], server["command"]
    if server["from"] == "npm":
        start = folder / "node_modules" / ".bin" / command[0]
        if not start.exists():
            run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, f"{package}@{version}")
    else:
        start = folder / "bin" / command[0]
        if not start.exists():
            run(sys.executable, "-m", "venv", folder)
            also = server.get("also", [])
            run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", f"{package}=={version}", *also)
    return [str(start), *command[1:]]


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)


class Client:
    """An MCP client of just what it takes to ask for tools."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process, self.last = process, 0

    def send(self, message: dict) -> None:
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method: str, params: dict) -> dict:
        self.last += 1
        self.send({"id": self.last, "method": method, "params": params})
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # some print a greeting
            if not isinstance(message, dict) or message.get("id") != self.last or "method" in message:
                continue
            if "error" in message:
                sys.exit(f"{method}: {message['error']}")
            return message["result"]
        sys.exit(f"{method}: the server closed its output (exit code {self.process.wait()})")

    def tools(self) -> list[dict]:
        about = {"name": "mcp-authz", "version": "0"}
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about})
        self.send({"method": "notifications/initialized"})
        found, cursor = [], None
        while True:
            page = self.ask("tools/list", {"cursor": cursor} if cursor else {})
            found += page["tools"]
            cursor = page.get("nextCursor")
            if not cursor:
                return sorted(found, key=lambda tool: tool["name"])


def pull(folder: Path, name: str, server: dict) -> None:
    command = install(folder, server)
    environment = {**os.environ, **server.get("env", {})}
    log = open(folder / "stderr.log", "wb")
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
    )
    timer = threading.Timer(SECONDS, process.kill)
    timer.start()
    try:
        tools = Client(process).tools()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    lines = ",\n".join(json.dumps(tool, ensure_ascii=False, separators=(",", ":")) for tool in tools)
    text = '{"tools":[\n' + lines + "\n]}\n"
    target = HERE / "tools" if server.get("kept", True) else folder.parent / "more"
    target.mkdir(exist_ok=True)
    (target / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{name}: {len(tools)} tools, {len(text.encode())} bytes")


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    root = Path(sys.argv[1]).resolve()
    servers = json.loads((HERE / "servers.json").read_text(encoding="utf-8"))
    for name in sys.argv[2:] or servers:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        pull(folder, name, servers[name])


if __name__ == "__main__":
    main()
