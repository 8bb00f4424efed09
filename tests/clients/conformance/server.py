"""The MCP server that the conformance suite asks about, on the official SDK.

The suite names tools, prompts and resources and says what each must answer; this server has them. It speaks the
versions with sessions and, without, 2026-07-28. It checks no credential: that is the gateway's business.

    server.py --port 9103
"""

import argparse
import asyncio
import json
import warnings

import mcp_types as types
import uvicorn
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import PromptsListChanged, ToolsListChanged
from starlette.responses import JSONResponse
from starlette.routing import Route

NAME = "conformance"

BUS = InMemorySubscriptionBus()
"""What changes, to those who listen."""

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
AUDIO = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="

PICTURE = {"type": "image", "data": IMAGE, "mimeType": "image/png"}

DEFAULTS = {
    "name": {"type": "string", "description": "User name", "default": "John Doe"},
    "age": {"type": "integer", "description": "User age", "default": 30},
    "score": {"type": "number", "description": "User score", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "description": "Verified", "default": True},
}
"""What elicitation may prefill (SEP-1034)."""

TITLED = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
PLAIN = ["option1", "option2", "option3"]
CHOICES = {
    "untitledSingle": {"type": "string", "enum": PLAIN},
    "titledSingle": {"type": "string", "oneOf": TITLED},
    "legacyEnum": {"type": "string", "enum": ["a", "b"], "enumNames": ["Option A", "Option B"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": PLAIN}},
    "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
}
"""Every way to let a person choose (SEP-1330)."""


def text(words: str) -> dict:
    """A text as content."""
    return {"type": "text", "text": words}


def form(message: str, properties: dict, required: tuple[str, ...] = ()) -> dict:
    """What is asked of a person."""
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"mode": "form", "message": message, "requestedSchema": schema}


def embedded(uri: str, words: str, kind: str = "text/plain") -> dict:
    """A resource as content."""
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": words}}


CONTENT = {
    "test_simple_text": [text("This is a simple text response for testing.")],
    "test_image_content": [PICTURE],
    "test_audio_content": [{"type": "audio", "data": AUDIO, "mimeType": "audio/wav"}],
    "test_embedded_resource": [embedded("test://embedded-resource", "This is an embedded resource content.")],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        PICTURE,
        embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ],
}
"""Tools that answer the same each time."""


async def with_logging(ctx, arguments):
    """Three messages on the way."""
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", words, related_request_id=ctx.request_id)
        await asyncio.sleep(0.02)
    return [text("Tool with logging executed successfully")]


async def with_progress(ctx, arguments):
    """Three steps of progress."""
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.02)
    return [text(str((ctx.meta or {}).get("progress_token", 0)))]


async def sampling(ctx, arguments):
    """The client's model is asked."""
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=arguments["prompt"]))
    result = await ctx.session.create_message(
        messages=[message], max_tokens=100, related_request_id=ctx.request_id
    )
    return [text(f"LLM response: {result.content.text}")]


async def ask(ctx, wish: dict, words: str):
    """The client's user is asked."""
    result = await ctx.session.elicit_form(wish["message"], wish["requestedSchema"], ctx.request_id)
    return [text(f"{words}: action={result.action}, content={json.dumps(result.content or {})}")]


async def elicitation(ctx, arguments):
    """One question, in the caller's words."""
    properties = {"response": {"type": "string", "description": "User's response"}}
    return await ask(ctx, form(arguments["message"], properties, ("response",)), "User response")


async def elicitation_defaults(ctx, arguments):
    """A form that is filled in."""
    return await ask(ctx, form("Please review", DEFAULTS), "Elicitation completed")


async def elicitation_enums(ctx, arguments):
    """A form of choices."""
    return await ask(ctx, form("Please choose", CHOICES), "Elicitation completed")


async def reconnection(ctx, arguments):
    """The stream ends before the result, which the client fetches by asking again."""
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
    await asyncio.sleep(0.1)
    return [text("Reconnection test completed")]


async def failing(ctx, arguments):
    """A tool's own error."""
    raise RuntimeError("This tool intentionally returns an error for testing")


def able(ctx) -> dict:
    """What the client says that it can do."""
    return (ctx.session.client_capabilities or types.ClientCapabilities()).model_dump(exclude_none=True)


async def capability(ctx, arguments):
    """A tool that works only with a client that has a model."""
    if "sampling" not in able(ctx):
        needed = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs sampling", needed)
    return [text("This client has a model")]


async def streaming(ctx, arguments):
    """A question to the user after some progress."""
    await ctx.session.report_progress(1, 2, "About to ask")
    return required({"user_name": NAME_WANTED})


async def tools_changed(ctx, arguments):
    """Tells those who listen that there are other tools."""
    await BUS.publish(ToolsListChanged())
    return [text("Told")]


async def prompts_changed(ctx, arguments):
    """Tells those who listen that there are other prompts."""
    await BUS.publish(PromptsListChanged())
    return [text("Told")]


async def echo(ctx, arguments):
    """What it was called with."""
    return [text(f"Called with: {json.dumps(arguments, sort_keys=True)}")]


# 2026-07-28: a server asks by answering that input is required.

STATE = RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME)


def elicit(message: str, **properties: dict) -> dict:
    """An input request to the client's user."""
    return {"method": "elicitation/create", "params": form(message, properties, tuple(properties))}


NAME_WANTED = elicit("What is your name?", name={"type": "string"})
COLOUR_WANTED = elicit("What is your favourite colour?", color={"type": "string"})
SAMPLE_WANTED = {
    "method": "sampling/createMessage",
    "params": {"messages": [{"role": "user", "content": text("What is the capital of France?")}], "maxTokens": 100},
}
ROOTS_WANTED = {"method": "roots/list", "params": {}}
CONFIRM_WANTED = elicit("Please confirm", ok={"type": "boolean"})

NEEDS = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
"""What a client must be able to do before it is asked."""


def required(requests: dict | None, state: str | None = None) -> types.InputRequiredResult:
    """Input is required."""
    return types.InputRequiredResult.model_validate({"inputRequests": requests, "requestState": state})


def answers(params, wanted: dict) -> dict | None:
    """The client's answers, if they are answers to all that was asked."""
    given = params.input_responses or {}
    for key, request in wanted.items():
        kinds = {
            "elicitation/create": types.ElicitResult,
            "sampling/createMessage": (types.CreateMessageResult, types.CreateMessageResultWithTools),
            "roots/list": types.ListRootsResult,
        }
        if not isinstance(given.get(key), kinds[request["method"]]):
            return None
    return given


ROUNDS = {
    "test_input_required_result_elicitation": [({"user_name": NAME_WANTED}, None)],
    "test_input_required_result_sampling": [({"capital_question": SAMPLE_WANTED}, None)],
    "test_input_required_result_list_roots": [({"client_roots": ROOTS_WANTED}, None)],
    "test_input_required_result_request_state": [({"confirm": CONFIRM_WANTED}, "confirm")],
    "test_input_required_result_multiple_inputs": [
        ({"user_name": NAME_WANTED, "greeting": SAMPLE_WANTED, "client_roots": ROOTS_WANTED}, "several")
    ],
    "test_input_required_result_multi_round": [
        ({"step1": NAME_WANTED}, "round-1"),
        ({"step2": COLOUR_WANTED}, "round-2"),
    ],
    "test_input_required_result_tampered_state": [({"confirm": CONFIRM_WANTED}, "sealed")],
    "test_input_required_result_capabilities": [
        ({"user_name": NAME_WANTED, "greeting": SAMPLE_WANTED}, None)
    ],
}
"""What is asked in each round, and the state that the client carries to the next."""


def next_round(ctx, name: str, params):
    """The tool's next question, or its result."""
    rounds = ROUNDS[name]
    states = [state for _, state in rounds]
    number = states.index(params.request_state) if params.request_state in states and params.request_state else 0
    wanted, state = rounds[number]
    if name == "test_input_required_result_capabilities":
        known = able(ctx)
        wanted = {key: request for key, request in wanted.items() if NEEDS[request["method"]] in known}
        if not wanted:
            return [text("Nothing that this client could be asked")]
    if state is not None and params.request_state != state:
        return required(wanted, state)
    given = answers(params, wanted)
    if given is None:
        return required(wanted, state)
    if number + 1 < len(rounds):
        wanted, state = rounds[number + 1]
        return required(wanted, state)
    words = {key: value.model_dump(mode="json", by_alias=True, exclude_none=True) for key, value in given.items()}
    return [text(f"state-ok: {json.dumps(words)}")]


WORKING = {
    "test_tool_with_logging": with_logging,
    "test_tool_with_progress": with_progress,
    "test_sampling": sampling,
    "test_elicitation": elicitation,
    "test_elicitation_sep1034_defaults": elicitation_defaults,
    "test_elicitation_sep1330_enums": elicitation_enums,
    "test_reconnection": reconnection,
    "test_error_handling": failing,
    "test_logging_tool": with_logging,
    "test_missing_capability": capability,
    "test_streaming_elicitation": streaming,
    "test_trigger_tool_change": tools_changed,
    "test_trigger_prompt_change": prompts_changed,
    "json_schema_2020_12_tool": echo,
    "test_x_mcp_header": echo,
}
"""Tools that do something."""

STRING = {"type": "string"}
SCHEMAS = {
    "test_sampling": {"type": "object", "properties": {"prompt": STRING}, "required": ["prompt"]},
    "test_elicitation": {"type": "object", "properties": {"message": STRING}, "required": ["message"]},
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": STRING, "city": STRING},
            }
        },
        "properties": {
            "name": STRING,
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": STRING,
            "email": STRING,
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
    "test_x_mcp_header": {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "priority": {"type": "integer", "x-mcp-header": "Priority"},
            "verbose": {"type": "boolean", "x-mcp-header": "Verbose"},
            "query": STRING,
        },
    },
}
"""Tools that take arguments."""

TOOLS = [
    types.Tool(
        name=name,
        description=f"Fixture of the conformance suite: {name}",
        input_schema=SCHEMAS.get(name, {"type": "object", "properties": {}}),
    )
    for name in (*CONTENT, *WORKING, *ROUNDS)
]


async def list_tools(ctx: ServerRequestContext, params) -> types.ListToolsResult:
    """All tools."""
    return types.ListToolsResult(tools=TOOLS)


async def call_tool(ctx: ServerRequestContext, params: types.CallToolRequestParams):
    """One of them."""
    if params.name in ROUNDS:
        outcome = next_round(ctx, params.name, params)
    elif params.name in CONTENT:
        outcome = CONTENT[params.name]
    elif params.name in WORKING:
        try:
            outcome = await WORKING[params.name](ctx, params.arguments or {})
        except MCPError:
            raise
        except Exception as error:
            return types.CallToolResult.model_validate({"content": [text(str(error))], "isError": True})
    else:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    if isinstance(outcome, types.InputRequiredResult):
        return outcome
    return types.CallToolResult.model_validate({"content": outcome})


# Resources, prompts, the rest

RESOURCES = {
    "test://static-text": ("text/plain", "This is the content of the static text resource."),
    "test://static-binary": ("image/png", None),
    "test://watched-resource": ("text/plain", "Watched resource content"),
}


async def list_resources(ctx, params) -> types.ListResourcesResult:
    """All resources."""
    found = [types.Resource(name=uri[7:], uri=uri, mime_type=kind) for uri, (kind, _) in RESOURCES.items()]
    return types.ListResourcesResult(resources=found)


async def list_templates(ctx, params) -> types.ListResourceTemplatesResult:
    """The one template."""
    template = types.ResourceTemplate(
        name="template", uri_template="test://template/{id}/data", mime_type="application/json"
    )
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(ctx, params) -> types.ReadResourceResult:
    """One resource."""
    uri = str(params.uri)
    if uri in RESOURCES:
        kind, words = RESOURCES[uri]
        what = {"blob": IMAGE} if words is None else {"text": words}
    elif uri.startswith("test://template/") and uri.endswith("/data"):
        number = uri.removeprefix("test://template/").removesuffix("/data")
        kind = "application/json"
        what = {"text": json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})}
    else:
        raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})
    return types.ReadResourceResult.model_validate({"contents": [{"uri": uri, "mimeType": kind, **what}]})


async def nothing(ctx, params) -> types.EmptyResult:
    """Done, and nothing to say."""
    return types.EmptyResult()


PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


async def list_prompts(ctx, params) -> types.ListPromptsResult:
    """All prompts."""
    found = [
        types.Prompt(
            name=name,
            description=f"Fixture of the conformance suite: {name}",
            arguments=[types.PromptArgument(name=argument, required=True) for argument in arguments],
        )
        for name, arguments in PROMPTS.items()
    ]
    return types.ListPromptsResult(prompts=found)


async def get_prompt(ctx, params):
    """One prompt."""
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            contents = [text("This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            contents = [text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")]
        case "test_prompt_with_embedded_resource":
            contents = [
                embedded(given["resourceUri"], "Embedded resource content for testing."),
                text("Please process the embedded resource above."),
            ]
        case "test_prompt_with_image":
            contents = [PICTURE, text("Please analyze the image above.")]
        case "test_input_required_result_prompt":
            wanted = {"user_context": elicit("What context should the prompt use?", context={"type": "string"})}
            given = answers(params, wanted)
            if given is None:
                return required(wanted)
            contents = [text(f"Prompt with context: {json.dumps(given['user_context'].content)}")]
        case _:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    messages = [{"role": "user", "content": content} for content in contents]
    return types.GetPromptResult.model_validate({"messages": messages})


async def complete(ctx, params) -> types.CompleteResult:
    """No suggestion."""
    return types.CompleteResult(completion=types.Completion(values=[], total=0, has_more=False))


class Events(EventStore):
    """What was sent, for clients that come back."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, object]] = []

    async def store_event(self, stream_id, message) -> str:
        """Keeps one event."""
        self.sent.append((stream_id, message))
        return str(len(self.sent))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Sends again what came later on the same stream."""
        last = int(last_event_id)
        if not 0 < last <= len(self.sent):
            return None
        stream = self.sent[last - 1][0]
        for number, (of, message) in enumerate(self.sent[last:], last + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


async def health(_) -> JSONResponse:
    """Ready as soon as it answers."""
    return JSONResponse({"status": "ok"})


def main() -> None:
    """Reads the arguments and serves until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", required=True, type=int, help="the port to listen on, on loopback")
    arguments = parser.parse_args()
    # What 2026-07-28 has no more, the older versions that this server also speaks still ask for.
    warnings.simplefilter("ignore")
    hint = CacheHint(ttl_ms=1000, scope="private")
    cacheable = ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"]
    server = Server(
        NAME,
        version="1",
        cache_hints={method: hint for method in [*cacheable, "server/discover"]},
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=nothing,
        on_unsubscribe_resource=nothing,
        on_subscriptions_listen=ListenHandler(BUS),
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_set_logging_level=nothing,
    )
    server.middleware.append(STATE)
    # What a server on this machine must check itself: a page of another site could reach it by a name of its own.
    security = TransportSecuritySettings(
        allowed_hosts=["127.0.0.1:*", "localhost:*"],
        allowed_origins=["http://127.0.0.1:*", "http://localhost:*"],
    )
    app = server.streamable_http_app(
        streamable_http_path="/conformance/mcp",
        event_store=Events(),
        retry_interval=100,
        transport_security=security,
        custom_starlette_routes=[Route("/health", health)],
    )
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
