"""A real MCP server on the official SDK, of both eras, that asks its clients for all there is to ask.

`server.py PORT`: streamable HTTP at /mcp.
"""

import sys
from typing import Annotated

import anyio
import mcp_types as types
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from pydantic import BaseModel

server = MCPServer("recorded")


class Name(BaseModel):
    """What a person is asked."""

    name: str
    age: int = 30


def ask_name(city: str) -> Elicit[Name]:
    """A form."""
    return Elicit(f"Who are you, in {city}?", Name)


def ask_model() -> Sample:
    """A model."""
    text = types.TextContent(type="text", text="Capital of France?")
    return Sample([types.SamplingMessage(role="user", content=text)], max_tokens=10)


def ask_roots() -> ListRoots:
    """The client's roots."""
    return ListRoots()


@server.tool()
async def greet(city: str, name: Annotated[Name, Resolve(ask_name)]) -> str:
    """Asks the person."""
    return f"Hello {name.name} of {city}"


@server.tool()
async def think(model: Annotated[types.CreateMessageResult, Resolve(ask_model)]) -> str:
    """Asks the model."""
    return model.model


@server.tool()
async def look(roots: Annotated[types.ListRootsResult, Resolve(ask_roots)]) -> str:
    """Asks for the roots."""
    return str(len(roots.roots))


@server.tool()
async def add(a: float, b: float = 1, note: str | None = None, tags: list[str] | None = None) -> float:
    """Asks nothing."""
    return a + b


@server.tool()
async def work(steps: int, ctx: Context) -> str:
    """Takes its time and says how far it is."""
    for step in range(steps):
        await ctx.report_progress(step, steps)
        await anyio.sleep(0.05)
    return "done"


@server.resource("docs://guide")
def guide() -> str:
    """A page."""
    return "Read me."


@server.resource("docs://{chapter}/page")
def page(chapter: str) -> str:
    """A page of a chapter."""
    return chapter


@server.prompt()
def review(code: str, language: str = "py") -> str:
    """A prompt with arguments."""
    return f"Review this {language}: {code}"


@server.completion()
async def complete(ref: object, argument: types.CompletionArgument, context: object) -> types.Completion:
    """The same for everyone."""
    return types.Completion(values=[f"{argument.value}1", f"{argument.value}2"])


app = server.streamable_http_app()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
