"""The official Python SDK, version 2: every message that its client sends. `python_sdk.py URL MODE`."""

import asyncio
import sys
import warnings

import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

warnings.simplefilter("ignore")


async def tried(name: str, what) -> None:
    """What a server doesn't offer is sent all the same."""
    try:
        await asyncio.wait_for(what, 10)
    except Exception as error:
        print(f"  {name}: {type(error).__name__} {error}"[:160], file=sys.stderr)


async def sample(_context, _params) -> types.CreateMessageResult:
    text = types.TextContent(type="text", text="Paris")
    return types.CreateMessageResult(role="assistant", content=text, model="a-model", stop_reason="endTurn")


async def elicit(_context, _params) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"name": "Ada", "age": 36})


async def roots(_context) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri="file:///srv/work", name="work")])


async def main(url: str, mode: str) -> None:
    async with Client(
        streamable_http_client(url),
        mode=mode,
        cache=None,
        sampling_callback=sample,
        elicitation_callback=elicit,
        list_roots_callback=roots,
        client_info=types.Implementation(name="recorder", title="A recorder", version="1.0.0"),
    ) as client:
        async def heard(*_) -> None:
            pass

        await tried("tools/list", client.list_tools())
        await tried("tools/list", client.list_tools(cursor="abc"))
        await tried("add", client.call_tool("add", {"a": 1.5, "b": 2, "note": "Genève 🌧"}))
        await tried("add", client.call_tool("add", {"a": 1}, meta={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"}))
        await tried("work", client.call_tool("work", {"steps": 2}, progress_callback=heard))
        await tried("greet", client.call_tool("greet", {"city": "Zürich"}))
        await tried("think", client.call_tool("think", {}))
        await tried("look", client.call_tool("look"))
        await tried("no such tool", client.call_tool("no such tool ü", {}))
        await tried("prompts/list", client.list_prompts())
        await tried("prompts/get", client.get_prompt("review", {"code": "def f():\n    pass", "language": "py"}))
        await tried("resources/list", client.list_resources())
        await tried("templates", client.list_resource_templates())
        await tried("resources/read", client.read_resource("docs://guide"))
        await tried("resources/read", client.read_resource("docs://a b/page"))
        reference = types.PromptReference(type="ref/prompt", name="review")
        await tried("complete", client.complete(reference, {"name": "language", "value": "p"}))
        template = types.ResourceTemplateReference(type="ref/resource", uri="docs://{chapter}/page")
        await tried("complete", client.complete(template, {"name": "chapter", "value": ""}, context_arguments={"a": "b"}))
        await tried("cancelled", asyncio.wait_for(client.call_tool("work", {"steps": 100}), 0.3))
        if mode == "legacy":
            await tried("ping", client.send_ping())
            await tried("logging", client.set_logging_level("debug"))
            await tried("subscribe", client.subscribe_resource("docs://guide"))
            await tried("unsubscribe", client.unsubscribe_resource("docs://guide"))
            await tried("progress", client.send_progress_notification("token", 0.5, 1, "half"))
            await tried("roots", client.send_roots_list_changed())
        else:
            async def listen() -> None:
                async with client.listen(tools_list_changed=True, resource_subscriptions=["docs://guide"]):
                    await asyncio.sleep(0.2)

            await tried("listen", listen())
        await asyncio.sleep(0.2)


asyncio.run(main(sys.argv[1], sys.argv[2]))
