"""A real MCP server for the demo and the tests, on the official SDK.

Serves exactly the tools of one `policies/tools/<server>.json`, each of which really does something small and
harmless: files in a scratch directory, tables in a SQLite database, records in memory, a handful of programs.
It checks no credential and knows no policy: that is the gateway's business. What the gateway told it about the
caller is echoed in each result's `_meta`, so that a client can see what a server gets to know.

    server.py --server workbench --tools policies/tools/workbench.json --port 9101 [--scratch DIR] [--json]
"""

import argparse
import asyncio
import json
import os
import pathlib
import shlex
import shutil
import sqlite3
import tempfile

import mcp_types as types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

SEEN = "local.mcp-identity/headers"
"""The `_meta` key under which a result says which headers about the caller came with the call."""

CREDENTIALS = ("authorization", "x-forwarded-client-cert", "x-jwt-svid")
"""Headers that prove who calls: the gateway may hand them on, or keep them for itself."""

PROGRAMS = {"echo", "date", "seq", "uname", "true", "sleep"}
"""The programs that `shell_execute` and `fs_execute` know: they read and change nothing."""

ROOT = "/srv/work"
"""Where the tools' paths begin; the scratch directory stands there."""


class Refused(Exception):
    """What a tool answers as `isError`."""


class Workbench:
    """The tools of the trust matrix: five kinds of operation on five kinds of thing."""

    def __init__(self, scratch: pathlib.Path) -> None:
        self.scratch = scratch
        (scratch / "notes").mkdir(parents=True, exist_ok=True)
        (scratch / "hello.txt").write_text("Hello from the workbench.\n")
        (scratch / "notes" / "today.md").write_text("# Today\n\n- water the plants\n")
        self.owners: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.ports: dict[int, bool] = {}
        self.grants: list[tuple[str, str, str]] = []
        self.records: dict[str, dict] = {
            "https://api.example/customers/1": {"name": "Ada", "amount": 12.5},
            "https://api.example/customers/2": {"name": "Grace", "amount": 7},
        }
        self.keys: dict[str, int] = {}
        self.processes: dict[int, str] = {4711: "workbench-indexer", 4712: "workbench-mailer"}
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.database.executescript(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT);"
            "INSERT INTO customers (name, city) VALUES ('Ada', 'London'), ('Grace', 'New York');"
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, amount REAL);"
            "INSERT INTO orders (customer, amount) VALUES (1, 12.5), (2, 7);"
        )

    def path(self, name: str) -> pathlib.Path:
        """The file in the scratch directory that a path below /srv/work names."""
        if name != ROOT and not name.startswith(ROOT + "/"):
            raise Refused(f"paths begin with {ROOT}/")
        path = (self.scratch / name[len(ROOT) :].lstrip("/")).resolve()
        if not path.is_relative_to(self.scratch.resolve()):
            raise Refused(f"paths stay below {ROOT}/")
        return path

    # Files

    async def fs_read(self, ctx, path, max_bytes=65536):
        file = self.path(path)
        if not file.is_file():
            raise Refused("no such file")
        return {"text": file.read_bytes()[:max_bytes].decode("utf-8", "replace")}

    async def fs_list(self, ctx, path, recursive=False):
        folder = self.path(path)
        if not folder.is_dir():
            raise Refused("no such directory")
        found = folder.rglob("*") if recursive else folder.iterdir()
        return {"names": sorted(str(entry.relative_to(folder)) for entry in found)}

    async def fs_write(self, ctx, path, content, create=False):
        file = self.path(path)
        if not file.exists() and not create:
            raise Refused("no such file: pass create to make it")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return {"written": len(content.encode())}

    async def fs_execute(self, ctx, path, arguments=()):
        return await self.run(ctx, [path.rsplit("/", 1)[-1], *arguments], 10)

    async def fs_admin(self, ctx, path, owner, mode=0o644):
        self.owners[str(self.path(path))] = owner
        return {"owner": owner, "mode": mode}

    # Tables

    def query(self, sql: str, limit: int = 100):
        try:
            with self.database:
                cursor = self.database.execute(sql)
                return cursor, cursor.fetchmany(limit)
        except sqlite3.Error as error:
            raise Refused(str(error)) from error

    async def db_read(self, ctx, sql, limit=100):
        if not sql.lstrip().lower().startswith("select"):
            raise Refused("only SELECT")
        return {"rows": [list(row) for row in self.query(sql, limit)[1]]}

    async def db_list(self, ctx, schema="main"):
        rows = self.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")[1]
        return {"schema": schema, "tables": [name for (name,) in rows]}

    async def db_write(self, ctx, sql, dry_run=False):
        if not sql.lstrip().lower().startswith(("insert", "update", "delete")):
            raise Refused("only INSERT, UPDATE and DELETE")
        if dry_run:
            return {"changed": 0, "dry_run": True}
        return {"changed": self.query(sql)[0].rowcount}

    async def db_execute(self, ctx, procedure, parameters=()):
        return {"procedure": procedure, "called_with": list(parameters)}

    async def db_admin(self, ctx, table, privilege, grantee):
        self.grants.append((table, privilege, grantee))
        return {"grants": [list(grant) for grant in self.grants]}

    # Records of a business API

    async def api_read(self, ctx, url):
        if url not in self.records:
            raise Refused("no such record")
        return {"record": self.records[url]}

    async def api_list(self, ctx, url, page=1):
        found = sorted(key for key in self.records if key.startswith(url))
        return {"records": found[(page - 1) * 20 : page * 20]}

    async def api_write(self, ctx, url, record):
        self.records[url] = record
        return {"saved": url}

    async def api_execute(self, ctx, job, replicas=1):
        """A job that takes its time: each worker reports when it is done, so the answer is a long stream."""
        for worker in range(1, replicas + 1):
            await asyncio.sleep(0.02)
            await ctx.session.report_progress(worker, replicas, f"worker {worker} of {replicas} is done")
        return {"job": job, "replicas": replicas}

    async def api_admin(self, ctx, client):
        self.keys[client] = self.keys.get(client, 0) + 1
        return {"client": client, "rotations": self.keys[client]}

    # Programs

    async def run(self, ctx, words: list[str], seconds: float):
        if not words or words[0] not in PROGRAMS:
            raise Refused(f"only {', '.join(sorted(PROGRAMS))}")
        program = shutil.which(words[0])
        if program is None:
            raise Refused(f"{words[0]} is not installed")
        process = await asyncio.create_subprocess_exec(
            program,
            *words[1:],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.scratch,
            env={**self.variables, "PATH": os.defpath, "LC_ALL": "C"},
        )
        lines: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                async for line in process.stdout:
                    lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    await ctx.session.report_progress(len(lines), None, lines[-1])
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise Refused("stopped: it took too long") from None
        return {"output": "\n".join(lines), "status": process.returncode}

    async def shell_read(self, ctx, unit, lines=10):
        return {"lines": [f"{unit}: all quiet"][:lines]}

    async def shell_list(self, ctx, user=None):
        return {"processes": [{"pid": pid, "name": name} for pid, name in sorted(self.processes.items())]}

    async def shell_write(self, ctx, name, value):
        if not name.isidentifier() or name.startswith("LD_"):
            raise Refused("not a variable's name")
        self.variables[name] = value
        return {"set": name}

    async def shell_execute(self, ctx, command, timeout_seconds=10):
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise Refused(str(error)) from error
        return await self.run(ctx, words, timeout_seconds)

    async def shell_admin(self, ctx, pid):
        """Ends a process of its own table, never one of the machine's."""
        if self.processes.pop(pid, None) is None:
            raise Refused("no such process")
        return {"ended": pid}

    # Network

    def local(self, host: str) -> str:
        if host not in ("localhost", "127.0.0.1"):
            raise Refused("the workbench has no way out: only localhost")
        return "127.0.0.1"

    async def net_read(self, ctx, host):
        return {"addresses": [self.local(host)]}

    async def net_list(self, ctx, port=None):
        return {"connections": []}

    async def net_write(self, ctx, path, url):
        file = self.path(path)
        if not file.is_file():
            raise Refused("no such file")
        self.records[url] = {"name": file.name}
        return {"uploaded": file.stat().st_size}

    async def net_execute(self, ctx, host, port):
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(self.local(host), port), 1)
        except (OSError, TimeoutError):
            return {"port": port, "open": False}
        writer.close()
        return {"port": port, "open": True}

    async def net_admin(self, ctx, port, open):
        self.ports[port] = open
        return {"port": port, "open": open}


class Info:
    """The tools of the scope matrix."""

    async def get_public_info(self, ctx, topic="the weather"):
        return {"topic": topic, "info": "Everybody may know this."}

    async def get_confidential_info(self, ctx, topic="the plan"):
        return {"topic": topic, "info": "Only those with confidential:read may know this."}


def caller_headers(request: Request) -> dict[str, list[str]]:
    """Every header that a gateway could have written about the caller, in whatever spelling it arrived."""
    seen: dict[str, list[str]] = {}
    for raw_name, raw_value in request.headers.raw:
        name = raw_name.decode("latin-1").lower()
        if name.replace("_", "-").startswith("x-mcp-") or name in CREDENTIALS:
            # That a credential came is worth telling, never which.
            value = "present" if name == "authorization" else raw_value.decode("latin-1")
            seen.setdefault(name, []).append(value)
    return seen


def build(name: str, tools: list[types.Tool], bench: object) -> Server:
    """The SDK's server over a bench whose methods are the tools."""
    names = {tool.name for tool in tools}
    missing = sorted(tool for tool in names if not hasattr(bench, tool))
    if missing:
        raise SystemExit(f"no code for the tools {', '.join(missing)} of {name}")

    async def list_tools(ctx: ServerRequestContext, params: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def call_tool(ctx: ServerRequestContext, params: types.CallToolRequestParams) -> types.CallToolResult:
        meta = {SEEN: caller_headers(ctx.request)} if ctx.request is not None else {}
        if params.name not in names:
            return failure(f"no tool {params.name}", meta)
        try:
            result = await getattr(bench, params.name)(ctx, **(params.arguments or {}))
        except (Refused, TypeError) as error:
            return failure(str(error), meta)
        text = types.TextContent(type="text", text=json.dumps(result, ensure_ascii=False))
        return types.CallToolResult(content=[text], structured_content=result, _meta=meta)

    return Server(name, version="1", on_list_tools=list_tools, on_call_tool=call_tool)


def failure(text: str, meta: dict) -> types.CallToolResult:
    """A tool's own refusal: what models read best."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True, _meta=meta)


async def health(_: Request) -> JSONResponse:
    """Ready as soon as it answers."""
    return JSONResponse({"status": "ok"})


def main() -> None:
    """Reads the arguments and serves until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, choices=["workbench", "info"], help="which server to be")
    parser.add_argument("--tools", required=True, type=pathlib.Path, help="its approved tools/list result")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", required=True, type=int, help="the port to listen on")
    parser.add_argument("--scratch", type=pathlib.Path, help="where its files live (default: a temporary directory)")
    parser.add_argument("--json", action="store_true", help="answer with JSON bodies instead of SSE streams")
    arguments = parser.parse_args()

    listed = json.loads(arguments.tools.read_text())["tools"]
    tools = [types.Tool.model_validate(tool) for tool in listed]
    with tempfile.TemporaryDirectory(prefix="mcp-server-") as temporary:
        scratch = arguments.scratch or pathlib.Path(temporary)
        bench = Workbench(scratch) if arguments.server == "workbench" else Info()
        # The gateway in front decides which host and origin may come here.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        app = build(arguments.server, tools, bench).streamable_http_app(
            streamable_http_path=f"/{arguments.server}/mcp",
            json_response=arguments.json,
            transport_security=security,
            custom_starlette_routes=[Route("/health", health)],
        )
        uvicorn.run(
            app,
            host=arguments.host,
            port=arguments.port,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )


if __name__ == "__main__":
    main()
