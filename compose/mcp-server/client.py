"""Calls one tool of the demo as one of its people, through one of its agents, with the official MCP SDK.

    client.py --as dan --through assistant workbench fs_list '{"path": "/srv/work"}'
    client.py --as dan --through assistant workbench          # what tools are there
"""

import argparse
import asyncio
import json
import pathlib
import ssl
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError


def arguments() -> argparse.Namespace:
    """Who, through what, calls what."""
    here = pathlib.Path(__file__).parent
    people = sorted({path.name.split(".")[0] for path in (here / "tokens").glob("*.*")})
    agents = sorted(path.stem for path in (here / "pki" / "agents").glob("*.pem") if not path.stem.endswith("-key"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--as", dest="user", choices=people, required=True, help="whose token")
    parser.add_argument("--through", dest="agent", choices=agents, required=True, help="whose certificate")
    parser.add_argument("server", help="workbench or info")
    parser.add_argument("tool", nargs="?", help="which tool; without one, they are listed")
    parser.add_argument("arguments", nargs="?", default="{}", help="its arguments as JSON")
    return parser.parse_args()


def leaf(error: BaseException) -> BaseException:
    """The first one inside groups of exceptions."""
    return leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def call(wish: argparse.Namespace) -> int:
    """One session: the tool's answer and exit code 0, or why not and 1."""
    here = pathlib.Path(__file__).parent
    agent = here / "pki" / "agents" / wish.agent
    tls = ssl.create_default_context(cafile=here / "pki" / "ca.pem")
    tls.load_cert_chain(f"{agent}.pem", f"{agent}-key.pem")
    token = (here / "tokens" / f"{wish.user}.{wish.server}").read_text()
    url = (here / "gateway.url").read_text() + f"/{wish.server}/mcp"
    headers = {"authorization": f"Bearer {token}"}
    try:
        async with httpx2.AsyncClient(verify=tls, headers=headers, trust_env=False) as http:
            async with Client(streamable_http_client(url, http_client=http), mode="legacy") as client:
                if wish.tool is None:
                    for tool in (await client.list_tools()).tools:
                        print(f"{tool.name:24} {tool.description}")
                    return 0
                result = await client.call_tool(wish.tool, json.loads(wish.arguments))
                print("\n".join(block.text for block in result.content if block.type == "text"))
                return int(bool(result.is_error))
    except Exception as error:
        error = leaf(error)
        print(f"denied: {error}", file=sys.stderr)
        if isinstance(error, MCPError) and error.error.data:
            print(json.dumps(error.error.data, indent=2), file=sys.stderr)
        return 1


sys.exit(asyncio.run(call(arguments())))
