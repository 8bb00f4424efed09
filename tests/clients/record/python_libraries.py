"""Client libraries for Python on top of an SDK. `python_libraries.py LIBRARY URL`: lists and calls as an agent would."""

import asyncio
import sys


async def fastmcp(url: str) -> None:
    from fastmcp import Client

    async def progress(*_) -> None:
        pass

    async with Client(url) as client:
        await client.list_tools()
        await client.call_tool("add", {"a": 1, "tags": ["x", "y"]})
        await client.call_tool("work", {"steps": 2}, progress_handler=progress)
        await client.list_resources()
        await client.list_resource_templates()
        await client.read_resource("docs://guide")
        await client.list_prompts()
        await client.get_prompt("review", {"code": "x", "language": {"nested": [1, 2]}})


async def langchain(url: str) -> None:
    from langchain_mcp_adapters.client import MultiServerMCPClient

    client = MultiServerMCPClient({"recorded": {"transport": "streamable_http", "url": url}})
    tools = await client.get_tools()
    add = next(tool for tool in tools if tool.name == "add")
    await add.ainvoke({"a": 1, "b": 2.5})
    await client.get_prompt("recorded", "review", arguments={"code": "x"})
    await client.get_resources("recorded", uris=["docs://guide"])


async def mcpuse(url: str) -> None:
    from mcp_use import MCPClient

    client = MCPClient.from_dict({"mcpServers": {"recorded": {"url": url}}})
    session = await client.create_session("recorded")
    await session.list_tools()
    await session.call_tool("add", {"a": 1, "b": 2})
    await session.list_resources()
    await session.read_resource("docs://guide")
    await session.list_prompts()
    await session.get_prompt("review", {"code": "x"})
    await client.close_all_sessions()


async def pydantic(url: str) -> None:
    try:
        from pydantic_ai.mcp import MCPServerStreamableHTTP as Server
    except ImportError:
        from pydantic_ai.mcp import MCPToolset as Server
    server = Server(url)
    async with server:
        await server.list_tools()
        await server.direct_call_tool("add", {"a": 1, "b": 2})
        for method, *arguments in [("list_resources",), ("list_resource_templates",), ("read_resource", "docs://guide")]:
            if hasattr(server, method):
                await getattr(server, method)(*arguments)


async def openai(url: str) -> None:
    from agents.mcp import MCPServerStreamableHttp

    async with MCPServerStreamableHttp(params={"url": url}) as server:
        await server.list_tools()
        await server.call_tool("add", {"a": 1, "b": 2})
        await server.list_prompts()
        await server.get_prompt("review", {"code": "x"})


asyncio.run(globals()[sys.argv[1]](sys.argv[2]))
