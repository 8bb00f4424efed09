//! The answers are those of plain Cedar over the whole schema, every entity and every policy.

use std::collections::BTreeSet;

use cedar_policy::{Authorizer, Decision, Entities, Request};

use super::*;
use crate::policy::ask::context::{Needs, context};
use crate::policy::ask::entities::{StepUp, uid};

const FILES: &[(&str, &str)] = &[(
    "more.cedar",
    r#"
@id("nested") permit (principal in Role::"staff", action in Action::"read", resource in ToolGroup::"everything");
@id("named") forbid (principal is User, action in Action::"admin", resource)
  when { Role::"mcp-developer" in Role::"staff" && !(principal in Role::"mcp-admin") };
@id("by-literal") permit (principal is Workload, action in Action::"list", resource)
  when { Tool::"workbench/fs_write".destructive && principal in [TrustTier::"trusted"] };
@id("by-other") forbid (principal is User, action in Action::"tools/call", resource)
  when { context.workload in TrustTier::"untrusted" && resource in ToolGroup::"everything" };
"#,
)];

fn entities() -> String {
    let mut list: Vec<serde_json::Value> =
        serde_json::from_slice(Files::read(&directory()).unwrap().get("entities.json").unwrap()).unwrap();
    for entity in &mut list {
        let id = entity["uid"]["id"].as_str().unwrap().to_owned();
        let parent = |kind: &str, id: &str| serde_json::json!([{ "type": kind, "id": id }]);
        if id == "mcp-developer" || id == "mcp-viewer" {
            entity["parents"] = parent("Role", "staff");
        }
        if id == "filesystem" || id == "database" {
            entity["parents"] = parent("ToolGroup", "everything");
        }
    }
    for (kind, id) in [("Role", "staff"), ("ToolGroup", "everything")] {
        list.push(serde_json::json!({ "uid": { "type": kind, "id": id }, "attrs": {}, "parents": [] }));
    }
    serde_json::to_string(&list).unwrap()
}

#[test]
fn verdicts_equal_those_of_plain_cedar_over_everything() {
    let entities = entities();
    let set = load(&files(&[FILES[0], ("entities.json", &entities)]));
    let callers: Vec<Caller> = ["mcp-admin", "mcp-developer", "mcp-viewer", "staff", "none"]
        .iter()
        .flat_map(|role| {
            [
                "/agent/trusted/1",
                "/agent/semi-trusted/2",
                "/agent/untrusted",
                "/other",
            ]
            .map(|path| caller(user(role, &[role]), path))
        })
        .collect();
    let server = default_server("workbench").unwrap();
    let tools = set.inventory().server(&server.name).unwrap();
    let mut compared = 0;
    for tool_in in tools.iter() {
        // Plain Cedar is asked with no arguments too: no type is checked, no policy here reads them but one behind `has`.
        for caller in &callers {
            let call = Call {
                id: None,
                operation: Operation::ToolsCall {
                    tool: tool_in.name.clone(),
                    arguments: json::Object::default(),
                },
            };
            let question = question(&server, caller, &call);
            let Ok(verdicts) = with_any_arguments(&set, &question, &tool_in.action) else {
                panic!("{}", tool_in.action)
            };
            for (index, plain) in plain(&set, &question, &tool_in.action).into_iter().enumerate() {
                let ours: BTreeSet<String> = verdicts[index]
                    .fired
                    .iter()
                    .map(|fired| fired.id.clone())
                    .collect();
                assert_eq!(
                    (verdicts[index].allows(), ours),
                    plain,
                    "{} {:?}",
                    tool_in.action,
                    caller
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 25 * 20 * 2);
}

/// The same evaluation as a call's, past the check of its arguments.
fn with_any_arguments(
    set: &PolicySet,
    question: &Question<'_>,
    action: &str,
) -> Result<Vec<Verdict>, BuildError> {
    let fixed = &set.fixed;
    let (user, workload) = (
        question.caller.user.as_ref().unwrap(),
        question.caller.workload.as_ref().unwrap(),
    );
    let added = [
        fixed.user(user, &StepUp::default(), question.now)?,
        fixed.workload(workload)?,
    ];
    let store = fixed
        .store(action)
        .unwrap()
        .clone()
        .add_entities(added, None)
        .unwrap();
    let mut verdicts = Vec::new();
    for (kind, id) in [
        (Principal::User, fixed.user_uid(user)),
        (Principal::Workload, fixed.workload_uid(workload)),
    ] {
        let request = request(set, question, action, id, None);
        let candidates = set.engine.candidates(&request, &store).unwrap();
        let store = fixed.with(store.clone(), &candidates.looked_up).unwrap();
        verdicts.push(set.engine.evaluate(kind, &request, &store, &candidates));
    }
    Ok(verdicts)
}

fn request(
    set: &PolicySet,
    question: &Question<'_>,
    action: &str,
    principal: cedar_policy::EntityUid,
    schema: Option<&cedar_policy::Schema>,
) -> Request {
    let types = &set.fixed.types;
    let arguments = cedar_policy::RestrictedExpression::new_record([]).unwrap();
    let context = context(
        question,
        question.caller.user.as_deref(),
        &set.fixed,
        Some(arguments),
        Needs::EVERYTHING,
    )
    .unwrap();
    Request::new(
        principal,
        uid(&types.action, action),
        uid(&types.tool, action),
        context,
        schema,
    )
    .unwrap()
}

fn plain(set: &PolicySet, question: &Question<'_>, action: &str) -> Vec<(bool, BTreeSet<String>)> {
    let everything = everything(set, question);
    let policies: Vec<_> = set.engine.rules().map(|rule| rule.policy.clone()).collect();
    let policies = cedar_policy::PolicySet::from_policies(policies).unwrap();
    let caller = question.caller;
    [
        set.fixed.user_uid(caller.user.as_ref().unwrap()),
        set.fixed.workload_uid(caller.workload.as_ref().unwrap()),
    ]
    .map(|principal| {
        let request = request(set, question, action, principal, None);
        let response = Authorizer::new().is_authorized(&request, &policies, &everything);
        let ids = response.diagnostics().reason().map(ToString::to_string).collect();
        (response.decision() == Decision::Allow, ids)
    })
    .into()
}

/// Every entity there is: what is declared, all actions, all tools, the callers and the session.
pub(super) fn everything(set: &PolicySet, question: &Question<'_>) -> Entities {
    let fixed = &set.fixed;
    let tools = set.inventory().iter().flat_map(|server| {
        server.iter().map(|tool| {
            fixed
                .tool(&crate::policy::ask::entities::ToolEntity {
                    action: &tool.action,
                    server: server.name.as_str(),
                    groups: &tool.groups,
                    pinned: true,
                    destructive: tool.destructive,
                    open_world: tool.open_world,
                })
                .unwrap()
        })
    });
    let caller = question.caller;
    let session = question.session.map(|session| {
        fixed
            .below_server(
                uid(&fixed.types.session, session),
                None,
                question.server.name.as_str(),
            )
            .unwrap()
    });
    let mut people = vec![
        fixed
            .user(caller.user.as_ref().unwrap(), &StepUp::default(), question.now)
            .unwrap(),
        fixed.workload(caller.workload.as_ref().unwrap()).unwrap(),
    ];
    let actor = caller.actor.iter().map(|actor| fixed.actor(actor).unwrap());
    people.extend(actor.filter(|actor| actor.uid() != fixed.workload_uid(caller.workload.as_ref().unwrap())));
    let schema = &set.plain.schema;
    // With the schema: what we build conforms to it.
    let declared = set.plain.declared.clone();
    let actions: Entities = Entities::from_entities([], Some(schema)).unwrap();
    let known: BTreeSet<_> = declared.iter().map(cedar_policy::Entity::uid).collect();
    let actions = actions
        .iter()
        .filter(|action| !known.contains(&action.uid()))
        .cloned();
    declared
        .clone()
        .add_entities(actions.chain(tools).chain(people).chain(session), Some(schema))
        .unwrap()
}

#[test]
fn requests_conform_to_the_schema_that_policies_were_validated_against() {
    let set = load(&files(&[]));
    let server = default_server("workbench").unwrap();
    let caller = admin();
    let call = tool("shell_list", "{}");
    let question = question(&server, &caller, &call);
    let principal = set.fixed.user_uid(caller.user.as_ref().unwrap());
    let request = request(
        &set,
        &question,
        "workbench/shell_list",
        principal,
        Some(&set.plain.schema),
    );
    assert!(request.context().is_some());
}
