//! What a trace says of policies and their conditions.

use cedar_policy::Effect;

use super::*;

const POLICIES: &str = r#"// Two policies.
@id("readers")
@reason("Readers may read")
permit (principal in Role::"mcp-viewer", action == Action::"workbench/fs_read", resource)
when {
  // only there
  context.arguments.path like "/srv/*" &&
  principal has acr && principal.acr == "high"
}
unless { context.request.version == "2024-11-05" || context has agent };

@id("agents") permit (principal is Workload, action, resource) when { true };
@id("never") @shadow forbid (principal is User, action, resource)
  when { context has session && 9223372036854775807 + 1 == 0 };
"#;

fn trace(roles: &[&str], path: &str) -> Trace {
    let set = load(&only(POLICIES));
    let server = default_server("workbench").unwrap();
    let caller = caller(user("ada", roles), "/agent/trusted/1");
    let call = tool("fs_read", &format!(r#"{{"path": "{path}"}}"#));
    set.trace(&question(&server, &caller, &call)).unwrap()
}

#[test]
fn each_condition_is_told_with_its_line_and_whether_it_holds() {
    let trace = trace(&["mcp-viewer"], "/etc/a");
    let outcomes: Vec<Outcome> = trace.verdicts.iter().map(|verdict| verdict.outcome).collect();
    assert_eq!(outcomes, [Outcome::NoPermit, Outcome::Allowed]);
    let user = &trace.targets[0].principals[0];
    let ids: Vec<&str> = user.policies.iter().map(|met| met.policy.id.as_str()).collect();
    assert_eq!(ids, ["never", "readers"]);
    let readers = &user.policies[1];
    assert_eq!((&*readers.location.file, readers.location.line), ("own.cedar", 2));
    assert_eq!(
        (readers.effect, readers.shadow, readers.applied),
        (Effect::Permit, false, Applied::No)
    );
    let told: Vec<(&str, bool, usize, bool, bool)> = readers
        .conditions
        .iter()
        .map(|looked| {
            let condition = &looked.condition;
            (
                &*condition.text,
                condition.unless,
                condition.line,
                looked.reached,
                looked.holds(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (r#"context.arguments.path like "/srv/*""#, false, 7, true, false),
            ("principal has acr", false, 8, false, false),
            (r#"principal.acr == "high""#, false, 8, false, false),
            (
                r#"context.request.version == "2024-11-05""#,
                true,
                10,
                false,
                true
            ),
            ("context has agent", true, 10, false, true),
        ]
    );
    // Behind a `has` that doesn't hold nothing can be said.
    assert!(matches!(&readers.conditions[2].truth, Truth::Unknown(why) if why.contains("acr")));
}

#[test]
fn a_shadow_policy_that_fails_is_told_as_such() {
    let trace = trace(&[], "/srv/a");
    let user = &trace.targets[0].principals[0];
    assert_eq!(user.policies.len(), 1);
    let never = &user.policies[0];
    assert_eq!(
        (never.effect, never.shadow, never.applied),
        (Effect::Forbid, true, Applied::Failed)
    );
    assert_eq!(user.id, r#"User::"https://issuer.example#ada""#);
}

#[test]
fn where_a_policy_and_its_conditions_are_written_is_known_by_its_id() {
    let set = load(&only(POLICIES));
    let line = |id: &str| set.place(id).map(|location| location.line);
    assert_eq!(
        [line("readers"), line("agents"), line("never"), line("other")],
        [Some(2), Some(12), Some(13), None]
    );
    let texts: Vec<String> = set
        .conditions("agents")
        .iter()
        .map(|condition| condition.text.clone())
        .collect();
    assert_eq!(texts, ["true"]);
    assert_eq!(set.conditions("readers").len(), 5);
    assert!(set.conditions("other").is_empty());
}

#[test]
fn what_cannot_be_asked_cannot_be_traced() {
    let set = load(&only(POLICIES));
    let server = default_server("workbench").unwrap();
    let call = tool("no_such_tool", "{}");
    let found = set.trace(&question(&server, &admin(), &call));
    assert_eq!(found.unwrap_err(), AskError::UnknownTool);
}
