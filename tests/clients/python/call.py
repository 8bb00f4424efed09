"""The official MCP client for Python, through the gateway with a certificate of its own.

Reads one JSON object on stdin: {url, pki, agent, token?, login?, tool, arguments, mode}; writes one on stdout: what came of it.
`mode` is `legacy` (initialize, a session) or a version from 2026 on (no session). With `login` ({client, username,
password}) it has no token and logs in as it is told to.
"""

import asyncio
import json
import pathlib
import ssl
import sys

import httpx2
import login
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError


def leaves(error: BaseException) -> list[BaseException]:
    """What is inside groups of exceptions."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


async def main() -> None:
    """One session: list, call, end."""
    wish = json.load(sys.stdin)
    pki = pathlib.Path(wish["pki"])
    tls = ssl.create_default_context(cafile=pki / "ca.pem")
    tls.load_cert_chain(pki / f"{wish['agent']}.pem", pki / f"{wish['agent']}-key.pem")
    headers = {"authorization": f"Bearer {wish['token']}"} if wish.get("token") else {}
    outcome: dict = {"progress": []}
    auth, browser = login.provider(wish["url"], wish["login"]) if wish.get("login") else (None, None)

    async def progress(done: float, total: float | None, message: str | None) -> None:
        outcome["progress"].append(done)

    try:
        async with httpx2.AsyncClient(verify=tls, headers=headers, auth=auth, timeout=30, trust_env=False) as http:
            transport = streamable_http_client(wish["url"], http_client=http)
            async with Client(transport, mode=wish.get("mode", "legacy"), cache=None) as client:
                outcome["version"] = client.session.protocol_version
                outcome["tools"] = [tool.name for tool in (await client.list_tools()).tools]
                result = await client.call_tool(wish["tool"], wish["arguments"], progress_callback=progress)
                outcome["result"] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    except BaseException as error:
        leaf = leaves(error)[0]
        known = leaf.error if isinstance(leaf, MCPError) else None
        outcome["error"] = {
            "name": type(leaf).__name__,
            "code": known.code if known else None,
            "message": str(leaf),
            "data": known.data if known else None,
        }
    if browser:
        outcome["logins"] = browser.logins
    json.dump(outcome, sys.stdout)


asyncio.run(main())
