//! A call that is described on the command line: a test that nobody wrote down.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::inventory::Files;
use crate::policy::PolicySet;

/// A call that nobody made.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "A call")]
pub(super) struct Imagined {
    /// The server; needed if there are several
    #[arg(long, value_name = "NAME", conflicts_with_all = ["test", "decision", "audit"])]
    server: Option<String>,
    /// The tool that is called
    #[arg(long, value_name = "NAME", conflicts_with_all = ["test", "decision", "audit", "method", "prompt"])]
    tool: Option<String>,
    /// Its arguments, as JSON
    #[arg(long, value_name = "JSON", requires = "tool")]
    arguments: Option<String>,
    /// The method, where no tool is called
    #[arg(long, value_name = "METHOD", conflicts_with_all = ["test", "decision", "audit"])]
    method: Option<String>,
    /// The URI of a resource
    #[arg(long, value_name = "URI", requires = "method")]
    uri: Option<String>,
    /// The prompt that is asked for
    #[arg(long, value_name = "NAME", conflicts_with_all = ["test", "decision", "audit"])]
    prompt: Option<String>,
    /// The user's name; a role, group, tenant, scope, acr or client also makes one
    #[arg(long, value_name = "NAME", conflicts_with_all = ["test", "decision", "audit"])]
    user: Option<String>,
    /// A role of the user; may be given several times
    #[arg(long = "role", value_name = "ROLE", conflicts_with_all = ["test", "decision", "audit"])]
    roles: Vec<String>,
    /// A group of the user
    #[arg(long = "group", value_name = "GROUP", conflicts_with_all = ["test", "decision", "audit"])]
    groups: Vec<String>,
    /// A tenant of the user
    #[arg(long = "tenant", value_name = "TENANT", conflicts_with_all = ["test", "decision", "audit"])]
    tenants: Vec<String>,
    /// A scope of the user's token
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with_all = ["test", "decision", "audit"])]
    scopes: Vec<String>,
    /// How strong the user's login was
    #[arg(long, value_name = "ACR", conflicts_with_all = ["test", "decision", "audit"])]
    acr: Option<String>,
    /// When the user logged in
    #[arg(long, value_name = "TIME", conflicts_with_all = ["test", "decision", "audit"])]
    authenticated: Option<Timestamp>,
    /// The OAuth client of the user's token
    #[arg(long, value_name = "ID", conflicts_with_all = ["test", "decision", "audit"])]
    client_id: Option<String>,
    /// The workload's SPIFFE ID
    #[arg(long, value_name = "ID", conflicts_with_all = ["test", "decision", "audit"])]
    workload: Option<String>,
    /// Who acts for the user: a SPIFFE ID, or the id of an OAuth client
    #[arg(long, value_name = "ID", conflicts_with_all = ["test", "decision", "audit"])]
    actor: Option<String>,
    /// The session's id
    #[arg(long, value_name = "ID", conflicts_with_all = ["test", "decision", "audit"])]
    session: Option<String>,
    /// The client's address
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["test", "decision", "audit"])]
    address: Option<IpAddr>,
    /// When it is called. Default: now
    #[arg(long, value_name = "TIME", conflicts_with_all = ["test", "decision", "audit"])]
    now: Option<Timestamp>,
}

impl Imagined {
    /// The call as a file of tests.
    pub(super) fn as_tests(&self, set: &PolicySet) -> miette::Result<Files> {
        if self.tool.is_none() && self.method.is_none() && self.prompt.is_none() {
            return Err(miette::miette!(
                help = "give `--tool` and who calls it, or `--test`, `--decision` or `--audit`",
                "which call is to be explained?"
            ));
        }
        let mut case = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                case.insert(name.to_owned(), value);
            }
        };
        let text = |text: &Option<String>| text.clone().map(Value::String);
        put("server", Some(json!(self.server(set)?)));
        put("tool", text(&self.tool));
        put("method", text(&self.method));
        put("uri", text(&self.uri));
        put("prompt", text(&self.prompt));
        put("session", text(&self.session));
        put("arguments", self.arguments()?);
        put("address", self.address.map(|address| json!(address)));
        let now = self.now.unwrap_or_else(crate::clock::now);
        put("now", Some(json!(now)));
        put("user", self.has_user().then(|| json!("user")));
        put("workload", self.workload.as_ref().map(|_| json!("workload")));
        put("actor", self.actor.as_ref().map(|_| json!("actor")));
        put("expect", Some(json!("allow")));
        let mut file = json!({ "cases": [case] });
        let mut name = |kind: &str, name: &str, value: Option<Value>| {
            if let (Some(value), Some(members)) = (value, file.as_object_mut()) {
                members.insert(kind.to_owned(), json!({ name: value }));
            }
        };
        name("users", "user", self.has_user().then(|| self.user()));
        name("workloads", "workload", text(&self.workload));
        name("actors", "actor", self.actor.as_deref().map(actor));
        // JSON is YAML.
        Ok([("tests/the command line.yaml", file.to_string())]
            .into_iter()
            .collect())
    }

    /// The server that was named, or the only one that has tools.
    fn server(&self, set: &PolicySet) -> miette::Result<String> {
        if let Some(name) = &self.server {
            return Ok(name.clone());
        }
        let mut known = set.inventory().iter().map(|server| server.name.to_string());
        match (known.next(), known.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(miette::miette!("which server? give `--server`")),
        }
    }

    fn arguments(&self) -> miette::Result<Option<Value>> {
        let Some(text) = &self.arguments else {
            return Ok(None);
        };
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Ok(Some(Value::Object(members))),
            Ok(_) => Err(miette::miette!("`--arguments` is no JSON object")),
            Err(error) => Err(miette::miette!("`--arguments` is no JSON: {error}")),
        }
    }

    fn has_user(&self) -> bool {
        let lists = [&self.roles, &self.groups, &self.tenants, &self.scopes];
        let texts = [&self.user, &self.acr, &self.client_id];
        lists.iter().any(|list| !list.is_empty())
            || texts.iter().any(|text| text.is_some())
            || self.authenticated.is_some()
    }

    fn user(&self) -> Value {
        let name = self.user.as_deref().unwrap_or("user");
        let mut user = json!({
            "subject": name,
            "username": name,
            "roles": self.roles,
            "groups": self.groups,
            "tenants": self.tenants,
            "scopes": self.scopes,
        });
        let optional = [
            ("acr", self.acr.as_ref().map(|acr| json!(acr))),
            ("client_id", self.client_id.as_ref().map(|id| json!(id))),
            ("authenticated", self.authenticated.map(|at| json!(at))),
        ];
        if let Some(members) = user.as_object_mut() {
            let given = optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)));
            members.extend(given.map(|(name, value)| (name.to_owned(), value)));
        }
        user
    }
}

fn actor(id: &str) -> Value {
    if id.starts_with("spiffe://") {
        json!(id)
    } else {
        json!({ "client_id": id })
    }
}
