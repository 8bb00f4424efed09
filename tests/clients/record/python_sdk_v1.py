"""The official Python SDK, version 1, from the days of 2025-03-26 on: every message that its client sends. `python_sdk_v1.py URL`."""

import asyncio
import inspect
import sys
from datetime import timedelta

from mcp import ClientSession, types
from mcp.client.streamable_http import streamablehttp_client
from pydantic import AnyUrl


async def tried(name: str, what) -> None:
    """What a server doesn't offer is sent all the same."""
    try:
        await asyncio.wait_for(what(), 10)
    except Exception as error:
        print(f"  {name}: {type(error).__name__} {error}"[:160], file=sys.stderr)


async def sample(_context, _params) -> types.CreateMessageResult:
    text = types.TextContent(type="text", text="Paris")
    return types.CreateMessageResult(role="assistant", content=text, model="a-model", stopReason="endTurn")


async def elicit(_context, _params):
    return types.ElicitResult(action="accept", content={"name": "Ada", "age": 36})


async def roots(_context) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri="file:///srv/work", name="work")])


async def main(url: str) -> None:
    callbacks = {"sampling_callback": sample, "list_roots_callback": roots}
    if "elicitation_callback" in inspect.signature(ClientSession.__init__).parameters:
        callbacks["elicitation_callback"] = elicit
    async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write, **callbacks) as client:
        async def heard(*_) -> None:
            pass

        await client.initialize()
        await tried("ping", lambda: client.send_ping())
        await tried("tools/list", lambda: client.list_tools())
        await tried("tools/list", lambda: client.list_tools(cursor="abc"))
        await tried("add", lambda: client.call_tool("add", {"a": 1.5, "b": 2, "note": "Genève 🌧"}))
        await tried("work", lambda: client.call_tool("work", {"steps": 2}, progress_callback=heard))
        await tried("greet", lambda: client.call_tool("greet", {"city": "Zürich"}))
        await tried("think", lambda: client.call_tool("think", {}))
        await tried("look", lambda: client.call_tool("look"))
        await tried("prompts/list", lambda: client.list_prompts())
        await tried("prompts/get", lambda: client.get_prompt("review", {"code": "def f():\n    pass"}))
        await tried("resources/list", lambda: client.list_resources())
        await tried("templates", lambda: client.list_resource_templates())
        await tried("resources/read", lambda: client.read_resource(AnyUrl("docs://guide")))
        await tried("subscribe", lambda: client.subscribe_resource(AnyUrl("docs://guide")))
        await tried("unsubscribe", lambda: client.unsubscribe_resource(AnyUrl("docs://guide")))
        reference = types.PromptReference(type="ref/prompt", name="review")
        await tried("complete", lambda: client.complete(reference, {"name": "language", "value": "p"}))
        template = types.ResourceTemplateReference(type="ref/resource", uri="docs://{chapter}/page")
        await tried("complete", lambda: client.complete(template, {"name": "chapter", "value": ""}, {"a": "b"}))
        await tried("logging", lambda: client.set_logging_level("debug"))
        await tried("progress", lambda: client.send_progress_notification("token", 0.5, 1, "half"))
        await tried("roots", lambda: client.send_roots_list_changed())
        tasks = getattr(client, "experimental", None)
        await tried("task", lambda: tasks.call_tool_as_task("simulate-research-query", {"topic": "x", "ambiguous": False}, ttl=60000))
        await tried("tasks/list", lambda: tasks.list_tasks())
        await tried("tasks/get", lambda: tasks.get_task("786512e2"))
        await tried("tasks/result", lambda: tasks.get_task_result("786512e2", types.CallToolResult))
        await tried("tasks/cancel", lambda: tasks.cancel_task("786512e2"))
        cancelled = types.CancelledNotification(
            params=types.CancelledNotificationParams(requestId=3, reason="no longer needed")
        )
        await tried("cancelled", lambda: client.send_notification(types.ClientNotification(cancelled)))
        await tried("timeout", lambda: client.call_tool("work", {"steps": 100}, read_timeout_seconds=timedelta(seconds=0.3)))
        await asyncio.sleep(0.2)


asyncio.run(main(sys.argv[1]))
