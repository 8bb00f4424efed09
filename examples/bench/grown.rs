//! The shipped policy directory, grown: many more servers, tools, roles and policies, none of which the shipped tests' calls are in
//! the scope of.
//!
//! What a call costs must not depend on them; what a load costs is measured with them.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers of our own")]

use std::io;
use std::path::Path;

use serde_json::{Value, json};

/// Tools of one server.
const TOOLS_OF_A_SERVER: usize = 20;
/// Roles besides the shipped ones.
const ROLES: usize = 200;

/// A file of the directory: its path there, and its text.
pub(crate) type File = (String, String);

/// The shipped files with so many policies and so many tools besides: 500 policies a file, every fortieth the link of a template.
pub(crate) fn grown(shipped: &Path, policies: usize, tools: usize) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for folder in ["", "tools", "tests"] {
        for entry in std::fs::read_dir(shipped.join(folder))? {
            let path = entry?.path();
            if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                let name = Path::new(folder).join(name);
                files.push((name.display().to_string(), std::fs::read_to_string(&path)?));
            }
        }
    }
    for (_, text) in files.iter_mut().filter(|(path, _)| path == "entities.json") {
        *text = with_roles(text)?;
    }
    let servers = tools.div_ceil(TOOLS_OF_A_SERVER).max(1);
    for server in 0..servers {
        files.push((format!("tools/s{server:02}.json"), server_of(server, tools)));
    }
    let numbers: Vec<usize> = (0..policies).collect();
    for (file, numbers) in numbers.chunks(500).enumerate() {
        let texts = numbers.iter().filter(|number| !is_link(**number));
        let texts: Vec<String> = texts.map(|number| policy(*number, tools)).collect();
        files.push((format!("grown-{file:02}.cedar"), texts.concat()));
    }
    let links: Vec<Value> = numbers
        .iter()
        .filter(|number| is_link(**number))
        .map(|number| link(*number, tools))
        .collect();
    if !links.is_empty() {
        files.push(("grown.cedar".to_owned(), TEMPLATE.to_owned()));
        files.push(("links.json".to_owned(), serde_json::to_string_pretty(&links)?));
    }
    Ok(files)
}

const TEMPLATE: &str = r#"@id("grown-template")
@reason("Whoever has the role may call this very tool for little")
permit (principal in ?principal, action in Action::"tools/call", resource == ?resource)
when { principal is User && context.arguments has path && context.arguments.path like "/srv/*" };
"#;

const fn is_link(number: usize) -> bool {
    number % 40 == 39
}

fn with_roles(text: &str) -> io::Result<String> {
    let mut entities: Vec<Value> = serde_json::from_str(text)?;
    entities.extend((0..ROLES).map(|role| {
        json!({ "uid": { "type": "Role", "id": format!("grown-{role:03}") }, "attrs": {}, "parents": [] })
    }));
    Ok(serde_json::to_string_pretty(&entities)?)
}

/// `<server>/<tool>`
fn tool(number: usize) -> String {
    format!(
        "s{:02}/tool_{:02}",
        number / TOOLS_OF_A_SERVER,
        number % TOOLS_OF_A_SERVER
    )
}

fn server_of(server: usize, tools: usize) -> String {
    let first = server * TOOLS_OF_A_SERVER;
    let own: Vec<Value> = (first..tools.min(first + TOOLS_OF_A_SERVER))
        .map(definition)
        .collect();
    json!({ "tools": own }).to_string()
}

fn definition(number: usize) -> Value {
    let own = format!("field_{:02}", number % TOOLS_OF_A_SERVER);
    json!({
        "name": format!("tool_{:02}", number % TOOLS_OF_A_SERVER),
        "description": "One of many.",
        "annotations": { "readOnlyHint": number.is_multiple_of(3) },
        "inputSchema": {
            "type": "object",
            "properties": {
                "path": { "type": "string", "maxLength": 4096 },
                "limit": { "type": "integer", "minimum": 0 },
                "mode": { "type": "string", "enum": ["all", "some", "none"] },
                "where": { "type": "object", "properties": {
                    "zones": { "type": "array", "items": { "type": "string" } },
                    "owner": { "type": "string" },
                }, "required": ["owner"] },
                own: { "type": "boolean" },
            },
            "required": ["path"],
            "additionalProperties": false,
        },
    })
}

fn policy(number: usize, tools: usize) -> String {
    let (one, role) = (tool(number % tools), number * 7 % ROLES);
    let server = number % tools / TOOLS_OF_A_SERVER;
    let own = number % tools % TOOLS_OF_A_SERVER;
    let rest = match number % 20 {
        0..=10 => format!(
            r#"permit (principal in Role::"grown-{role:03}", action == Action::"{one}", resource)
when {{ context.arguments.path like "/srv/{number}/*" && context.arguments has limit && context.arguments.limit <= {number} }}
unless {{ context.arguments has field_{own:02} && context.arguments.field_{own:02} }};"#
        ),
        11..=13 => format!(
            r#"permit (principal in Role::"grown-{role:03}", action in [Action::"{one}", Action::"{}"], resource)
when {{ principal is User && principal.tenants.contains("tenant-{number}") && principal has acr }};"#,
            tool(number % tools / TOOLS_OF_A_SERVER * TOOLS_OF_A_SERVER)
        ),
        14..=15 => format!(
            r#"permit (principal in Role::"grown-{role:03}", action in Action::"read", resource in Server::"s{server:02}");"#
        ),
        16 => format!(
            r#"permit (principal in WorkloadPath::"spiffe://mcp-identity.local/grown/{number}", action in Action::"tools/call", resource in Server::"s{server:02}");"#
        ),
        17 => format!(
            r#"forbid (principal, action in Action::"tools/call", resource in Server::"s{server:02}")
when {{ context.arguments has path && context.arguments.path like "/secret/{number}/*" && context.now > datetime("2030-01-01") }};"#
        ),
        _ => format!(
            r#"permit (principal == User::"https://issuer.example#{number}", action, resource == Tool::"{one}")
when {{ context.user.username != "nobody" }};"#
        ),
    };
    format!("@id(\"grown-{number:05}\")\n@reason(\"One of many\")\n{rest}\n\n")
}

fn link(number: usize, tools: usize) -> Value {
    json!({
        "template_id": "grown-template",
        "link_id": format!("grown-{number:05}"),
        "args": {
            "?principal": format!(r#"Role::"grown-{:03}""#, number * 7 % ROLES),
            "?resource": format!(r#"Tool::"{}""#, tool(number % tools)),
        },
    })
}
