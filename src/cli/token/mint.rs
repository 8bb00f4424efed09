//! `token mint`: a token of the dev issuer.

use std::path::PathBuf;

use miette::IntoDiagnostic as _;
use serde_json::{Map, Value, json};

use crate::cli::{Outcome, Output, Terminal};
use crate::clock;
use crate::dev::{DevIssuer, Mint, TokenKind};

/// Issue a token of the dev issuer, as Keycloak writes them; also expired or otherwise bad ones
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mcp-authz token mint --user alice --role mcp-developer --audience https://mcp.example/workbench/mcp
  mcp-authz token mint --user carol --scope public:read --audience https://mcp.example/info/mcp
  mcp-authz token mint --lifetime -60 --audience https://mcp.example/info/mcp    # expired")]
pub(super) struct Args {
    /// Who it is issued to: `preferred_username`
    #[arg(long, default_value = "alice")]
    user: String,
    /// `sub`; without it a UUID that is always the same for this user
    #[arg(long)]
    sub: Option<String>,
    /// `email`
    #[arg(long)]
    email: Option<String>,
    /// A realm role; may be repeated, or several with commas between
    #[arg(long = "role", alias = "roles", value_delimiter = ',', value_name = "ROLE")]
    roles: Vec<String>,
    /// A group; may be repeated
    #[arg(long = "group", alias = "groups", value_delimiter = ',', value_name = "GROUP")]
    groups: Vec<String>,
    /// A tenant, as the group `/tenants/TENANT`; may be repeated
    #[arg(
        long = "tenant",
        alias = "tenants",
        value_delimiter = ',',
        value_name = "TENANT"
    )]
    tenants: Vec<String>,
    /// A scope; may be repeated
    #[arg(long = "scope", alias = "scopes", value_delimiter = ',', value_name = "SCOPE")]
    scopes: Vec<String>,
    /// `aud`: the resource of the server that it is for; may be repeated
    #[arg(long = "audience", alias = "aud", value_name = "URL")]
    audiences: Vec<String>,
    /// The OAuth client that it is issued to: `azp`
    #[arg(long, value_name = "CLIENT", default_value = "mcp-client")]
    client: String,
    /// How long it lives, in seconds; a negative number makes a token that has expired
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 3600,
        allow_negative_numbers = true
    )]
    lifetime: i64,
    /// What kind of token it is
    #[arg(long, value_enum, default_value_t = TokenKind::Access)]
    kind: TokenKind,
    /// Another `kid` than the issuer's
    #[arg(long)]
    kid: Option<String>,
    /// Another claim, as `name=value`; the value is JSON, or a text where it isn't; `null` removes a claim. May be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// Where the dev issuer keeps its key; made where there is none
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = ".mcp-authz/dev",
        env = "MCP_AUTHZ_DEV_DIRECTORY"
    )]
    directory: PathBuf,
    /// The issuer's URL, `iss`; without it the one that the directory remembers
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

pub(super) fn run(args: Args, terminal: Terminal) -> miette::Result<Outcome> {
    let issuer = match &args.issuer {
        Some(url) => DevIssuer::create(&args.directory, url),
        None => DevIssuer::open(&args.directory),
    };
    let issuer = issuer.into_diagnostic()?;
    let mint = args.into_mint();
    let now = clock::now();
    let token = issuer.mint(&mint, now).into_diagnostic()?;
    match terminal.output() {
        Output::Table => terminal.print(token)?,
        Output::Json => terminal.json(&json!({ "token": token, "issuer": issuer.issuer() }))?,
    }
    Ok(Outcome::Yes)
}

impl Args {
    fn into_mint(self) -> Mint {
        Mint {
            user: self.user,
            subject: self.sub,
            email: self.email,
            roles: self.roles,
            groups: self.groups,
            tenants: self.tenants,
            scopes: self.scopes,
            audiences: self.audiences,
            client: Some(self.client),
            lifetime_seconds: self.lifetime,
            kind: self.kind,
            kid: self.kid,
            extra: self.claims.into_iter().collect::<Map<_, _>>(),
        }
    }
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn takes_lists_negative_lifetimes_and_claims_of_any_type() {
        let line = "mint --user bob --role a,b --role c --tenant acme --lifetime -60 --claim n=5 --claim t=x=y --claim acr=null";
        let mint = Line::try_parse_from(line.split(' ')).unwrap().args.into_mint();
        assert_eq!(mint.roles, ["a", "b", "c"]);
        assert_eq!(mint.lifetime_seconds, -60);
        let extra = Value::Object(mint.extra);
        assert_eq!(extra, json!({ "n": 5, "t": "x=y", "acr": null }));
    }
}
