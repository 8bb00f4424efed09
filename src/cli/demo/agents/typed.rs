//! Calls that are typed while the demo runs: `bob through helper workbench/fs_read {"path": "…"}`. Each is a new agent's: it
//! gets its SVIDs and its key, logs in, calls, and is gone.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::cli::Terminal;
use crate::dev::agents::{AGENTS, AgentError, Named, World};
use crate::dev::client::{Answer, Session};
use crate::dev::stack::SERVERS;

use super::super::DemoArgs;

/// The people of the shipped realm.
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

const GRAMMAR: &str = "type: [alice|bob|carol through] AGENT workbench/TOOL|info/TOOL [{JSON}], or quit";

/// What was typed.
#[derive(Debug, PartialEq)]
enum Typed {
    Nothing,
    Quit,
    Call(Call),
}

/// A call.
#[derive(Debug, PartialEq)]
struct Call {
    user: Option<&'static str>,
    agent: &'static Named,
    server: &'static str,
    tool: String,
    arguments: Map<String, Value>,
}

/// Does what is typed, until that is `quit`. The end of what is typed ends nothing.
pub(super) async fn obey(world: &World, terminal: Terminal) -> miette::Result<()> {
    let (sender, mut lines) = mpsc::unbounded_channel();
    // A read of stdin can't be called off: a thread of its own ends with the process.
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        match parse(&line) {
            Ok(Typed::Nothing) => {}
            Ok(Typed::Quit) => return Ok(()),
            Ok(Typed::Call(call)) => terminal.print(told(call.answer(world).await))?,
            Err(said) => terminal.print(format!("  {said}; {GRAMMAR}"))?,
        }
    }
    std::future::pending().await
}

fn parse(line: &str) -> Result<Typed, String> {
    let line = line.trim();
    let (before, json) = line.find('{').map_or((line, "{}"), |start| line.split_at(start));
    let mut words: Vec<&str> = before.split_whitespace().collect();
    let user = match words.as_slice() {
        [] if json == "{}" => return Ok(Typed::Nothing),
        ["quit" | "exit"] => return Ok(Typed::Quit),
        [user, "through", ..] => {
            let known = PEOPLE.into_iter().find(|known| known == user);
            let known = known.ok_or_else(|| format!("nobody is called `{user}`"))?;
            words.drain(..2);
            Some(known)
        }
        _ => None,
    };
    let [agent, tool] = words.as_slice() else {
        return Err(format!("`{line}` is no call"));
    };
    let named = AGENTS.iter().find(|named| named.name == *agent);
    let agent = named.ok_or_else(|| format!("no agent is called `{agent}`"))?;
    let (server, tool) = tool
        .split_once('/')
        .ok_or_else(|| format!("`{tool}` names no server"))?;
    let known = SERVERS.into_iter().find(|known| *known == server);
    Ok(Typed::Call(Call {
        user,
        agent,
        server: known.ok_or_else(|| format!("there is no server `{server}`"))?,
        tool: tool.to_owned(),
        arguments: serde_json::from_str(json)
            .map_err(|error| format!("the arguments are no JSON object: {error}"))?,
    }))
}

impl Call {
    async fn answer(self, world: &World) -> Result<Answer, AgentError> {
        let scopes = match self.server {
            "info" => "public:read confidential:read",
            server => server,
        };
        let (agent, realm) = (world.agent(self.agent)?, &world.realm);
        let tokens = match self.user {
            None => agent.log_in(realm, scopes).await?,
            Some(user) => {
                let given = realm.user(user, "agents").await?.access_token;
                agent.exchange(realm, &given, scopes).await?
            }
        };
        let client = agent.client(&tokens.access_token);
        Ok(
            match Session::open_bound(client, &world.stack.url(self.server)).await {
                Ok(session) => {
                    let answer = session.call(&self.tool, self.arguments).await;
                    session.close().await;
                    answer
                }
                Err(answer) => answer,
            },
        )
    }
}

fn told(answer: Result<Answer, AgentError>) -> String {
    match answer {
        Ok(Answer::Result { text, .. }) => format!("  the server says: {text}"),
        Ok(Answer::Error { code, message, .. }) => format!("  denied, {code}: {message}"),
        Ok(Answer::Challenged { challenge }) => format!("  another token would do: {challenge}"),
        Ok(Answer::Failed { error }) => format!("  no answer: {error}"),
        Err(error) => format!("  no token: {error}"),
    }
}

/// What there is, and how to go on from here.
pub(super) fn hints(directory: &Path, args: &DemoArgs) -> String {
    let agents = |tier: &str| {
        let names = AGENTS
            .iter()
            .filter(|agent| agent.tier == tier)
            .map(|agent| agent.name);
        format!("{} ({tier})", names.collect::<Vec<_>>().join(", "))
    };
    let (directory, policies) = (directory.display(), args.policies.display());
    let agents = ["trusted", "semi-trusted", "untrusted"].map(agents).join("; ");
    format!(
        "
No agent has a static credential. Each gets two SVIDs from the trust domain, makes a key, logs in at Keycloak with its JWT-SVID and a
proof, and holds a token of five minutes that is bound to that key: all in memory, gone with the process.
On disk, in {directory}: the TLS keys of Envoy and mcp-authz (pki/), made at this start; Keycloak's database (keycloak/) with its own
keys, and with new passwords of people and secrets of clients that aren't agents.

Your turn: type who calls what. Each call is a new agent with a new login
  assistant workbench/fs_read {{\"path\": \"/srv/work/hello.txt\"}}
  bob through helper workbench/shell_execute {{\"command\": \"uname\"}}
  carol through crawler info/get_public_info {{\"topic\": \"the launch\"}}
  quit

  People: alice (admin), bob (developer), carol (viewer)
  Agents: {agents}

  Edit the policies in {policies}/ and call again: the next answer follows.
  Each decision, a line of JSON: {directory}/audit.jsonl    Logs: {directory}/*.log, {directory}/keycloak/keycloak.log

Ctrl-C ends it, too. What happens:"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_typed_is_a_call_or_is_said_to_be_none() {
        let Ok(Typed::Call(call)) = parse(" bob through helper workbench/fs_read {\"path\": \"a b\"} ")
        else {
            panic!("no call");
        };
        assert_eq!(
            (call.user, call.agent.name, call.server),
            (Some("bob"), "helper", "workbench")
        );
        assert_eq!(
            (call.tool.as_str(), json!(call.arguments)),
            ("fs_read", json!({ "path": "a b" }))
        );
        let Ok(Typed::Call(call)) = parse("crawler info/get_public_info") else {
            panic!("no call");
        };
        assert_eq!((call.user, call.arguments.len()), (None, 0));
        assert_eq!((parse(""), parse("quit")), (Ok(Typed::Nothing), Ok(Typed::Quit)));
        let mistakes = [
            ("dave through helper workbench/fs_read", "nobody is called `dave`"),
            ("nobody workbench/fs_read", "no agent is called `nobody`"),
            ("helper fs_read", "`fs_read` names no server"),
            ("helper elsewhere/fs_read", "there is no server `elsewhere`"),
            ("helper", "`helper` is no call"),
            (
                "helper workbench/fs_read {\"path\"",
                "the arguments are no JSON object",
            ),
        ];
        for (line, said) in mistakes {
            let error = parse(line).unwrap_err();
            assert!(error.starts_with(said), "{line}: {error}");
        }
    }
}
