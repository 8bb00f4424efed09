//! The official Rust SDK: every message that its client sends. `record URL legacy|2026-07-28`.

use std::fmt::Display;
use std::time::Duration;

use rmcp::model::{
    ClientInfo, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams, ElicitResult, ListRootsResult,
    ProtocolVersion,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RequestContext, RoleClient};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientHandler, ErrorData};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What the SDK's own types can hold: they have no constructors for all of it.
fn made<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a value of the SDK")
}

/// What a server doesn't offer is sent all the same.
async fn tried<T, E: Display>(name: &str, what: impl Future<Output = Result<T, E>>) {
    match tokio::time::timeout(Duration::from_secs(10), what).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => eprintln!("  {name}: {error}"),
        Err(_) => eprintln!("  {name}: timed out"),
    }
}

struct Recorder;

impl ClientHandler for Recorder {
    fn get_info(&self) -> ClientInfo {
        made(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"sampling": {}, "elicitation": {}, "roots": {"listChanged": true}},
            "clientInfo": {"name": "recorder", "version": "1.0.0"},
        }))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(made(json!({"role": "assistant", "content": {"type": "text", "text": "Paris"}, "model": "a-model", "stopReason": "endTurn"})))
    }

    async fn create_elicitation(&self, _: ElicitRequestParams, _: RequestContext<RoleClient>) -> Result<ElicitResult, ErrorData> {
        Ok(made(json!({"action": "accept", "content": {"name": "Ada", "age": 36}})))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(made(json!({"roots": [{"uri": "file:///srv/work", "name": "work"}]})))
    }
}

#[tokio::main(flavor = "current_thread")]
#[allow(deprecated)]
async fn main() {
    let (url, mode) = (std::env::args().nth(1).expect("a URL"), std::env::args().nth(2).expect("a mode"));
    let lifecycle = if mode == "legacy" {
        ClientLifecycleMode::Initialize
    } else {
        ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] }
    };
    let transport = StreamableHttpClientTransport::from_uri(url);
    let client = Recorder.serve_with_lifecycle(transport, lifecycle).await.expect("a session");
    tried("tools/list", client.list_tools(None)).await;
    tried("tools/list", client.list_tools(Some(made(json!({"cursor": "abc"}))))).await;
    tried("add", client.call_tool(made(json!({"name": "add", "arguments": {"a": 1.5, "note": "Genève 🌧"}})))).await;
    tried("work", client.call_tool(made(json!({"name": "work", "arguments": {"steps": 2}})))).await;
    tried("greet", client.call_tool(made(json!({"name": "greet", "arguments": {"city": "Zürich"}})))).await;
    tried("think", client.call_tool(made(json!({"name": "think"})))).await;
    tried("look", client.call_tool(made(json!({"name": "look", "arguments": {}})))).await;
    tried("prompts/list", client.list_prompts(None)).await;
    tried("prompts/get", client.get_prompt(made(json!({"name": "review", "arguments": {"code": "x"}})))).await;
    tried("resources/list", client.list_resources(None)).await;
    tried("templates", client.list_resource_templates(None)).await;
    tried("resources/read", client.read_resource(made(json!({"uri": "docs://guide"})))).await;
    let review = json!({"ref": {"type": "ref/prompt", "name": "review"}, "argument": {"name": "language", "value": "p"}});
    tried("complete", client.complete(made(review))).await;
    let page = json!({"ref": {"type": "ref/resource", "uri": "docs://{chapter}/page"}, "argument": {"name": "chapter", "value": ""}});
    tried("complete", client.complete(made(page))).await;
    tried("progress", client.notify_progress(made(json!({"progressToken": "t", "progress": 0.5, "total": 1})))).await;
    tried("cancelled", client.notify_cancelled(made(json!({"requestId": 3, "reason": "no longer needed"})))).await;
    if mode == "legacy" {
        tried("logging", client.set_level(made(json!({"level": "debug"})))).await;
        tried("subscribe", client.subscribe(made(json!({"uri": "docs://guide"})))).await;
        tried("unsubscribe", client.unsubscribe(made(json!({"uri": "docs://guide"})))).await;
        tried("roots", client.notify_roots_list_changed()).await;
    } else {
        tried("listen", client.listen(made(json!({"toolsListChanged": true, "resourceSubscriptions": ["docs://guide"]})))).await;
        tried("tasks/get", client.get_task(made(json!({"taskId": "786512e2"})))).await;
        tried("tasks/update", client.update_task(made(json!({"taskId": "786512e2", "inputResponses": {}})))).await;
        tried("tasks/cancel", client.cancel_task(made(json!({"taskId": "786512e2"})))).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    tried("close", client.cancel()).await;
}
