//! `links.json`: templates with something in their slots, in the format of Cedar's own command line.
//!
//! ```json
//! [{ "template_id": "team-reads", "link_id": "blue-reads", "args": { "?principal": "Role::\"blue\"" } }]
//! ```
//!
//! In: the templates of `*.cedar`. Out: for each link a policy of its own id, with the annotations of its template; its text is
//! the template's with the entities in the slots' places. Refused: unknown templates and slots, slots that nothing is in.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, PolicyId, Template};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::annotations::{self, Notes};
use super::bounds;
use super::rules::Rules;
use crate::inventory::problem::code;
use crate::inventory::{Files, Problem};
use crate::policy::ask::evaluate::Rule;
use crate::policy::ask::reads::Reads;
use crate::policy::ask::scope::Scope;
use crate::policy::written::Written;

/// Where they are.
pub(in crate::policy) const FILE: &str = "links.json";

/// A template, ready to be linked.
#[derive(Debug)]
pub(in crate::policy) struct Linkable {
    /// Under its `@id`.
    pub(in crate::policy) template: Template,
    text: String,
    notes: Notes,
    pub(in crate::policy) reads: Reads,
    slots: BTreeSet<String>,
    pub(in crate::policy) written: Arc<Written>,
}

/// One link as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    template_id: String,
    link_id: String,
    args: Slots,
}

/// What stands in each slot. Of a slot that is named twice nobody could say which one counts.
#[derive(Debug)]
struct Slots(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EachOnce)
    }
}

struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Slots;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an entity for each slot")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Slots, A::Error> {
        let mut slots = BTreeMap::new();
        while let Some((slot, entity)) = map.next_entry::<String, String>()? {
            if slots.contains_key(&slot) {
                return Err(serde::de::Error::custom(format_args!("`{slot}` is there twice")));
            }
            slots.insert(slot, entity);
        }
        Ok(Slots(slots))
    }
}

impl Linkable {
    /// Checks what is written over a template.
    pub(in crate::policy) fn read(
        template: &Template,
        text: String,
        written: Written,
    ) -> Result<Self, Vec<Problem>> {
        let notes = annotations::read(template.annotations(), &written)?;
        Ok(Self {
            template: template.new_id(PolicyId::new(&notes.shown.id)),
            reads: Reads::of_template(template),
            slots: template.slots().map(ToString::to_string).collect(),
            written: Arc::new(written),
            text,
            notes,
        })
    }

    /// Its `@id`.
    pub(in crate::policy) fn id(&self) -> &str {
        &self.notes.shown.id
    }

    /// The policy that it is with these entities in its slots.
    fn link(
        &self,
        id: &str,
        entities: &BTreeMap<String, EntityUid>,
        written: &Written,
    ) -> Result<Rule, Problem> {
        let policy = Policy::parse(Some(PolicyId::new(id)), filled(&self.text, entities))
            .map_err(|error| written.problem(format!("`{}` can't be linked: {error}", self.id()), ""))?;
        let notes = self.notes.of(id);
        Ok(Rule {
            scope: Scope::of(&policy),
            reads: if self.reads.analysed {
                self.reads.clone()
            } else {
                Reads::of(&policy)
            },
            policy,
            shown: notes.shown(),
            step: notes.step,
            shadow: notes.shadow,
            location: written.location(),
        })
    }
}

/// Reads the file, if there is one, and links what it says.
pub(in crate::policy) fn read(files: &Files, rules: &mut Rules, problems: &mut Vec<Problem>) {
    let mut found = Vec::new();
    read_links(files, rules, &mut found);
    problems.extend(Problem::coded(found, code::LINK));
}

fn read_links(files: &Files, rules: &mut Rules, problems: &mut Vec<Problem>) {
    let source = match files.text(FILE) {
        Ok(source) => source.unwrap_or_else(|| "[]".into()),
        Err(problem) => return problems.push(problem),
    };
    let entries: Vec<&RawValue> = match serde_json::from_str(&source) {
        Ok(entries) => entries,
        Err(error) => {
            let problem =
                Problem::new(FILE, error.to_string()).at_line(&source, error.line(), error.column());
            return problems.push(
                problem.help("a list of links: [{ \"template_id\": …, \"link_id\": …, \"args\": { … } }]"),
            );
        }
    };
    let file: Arc<str> = FILE.into();
    let mut linked = HashSet::new();
    let (mut cursor, mut line) = (0_usize, 1_usize);
    for entry in entries {
        let start = entry.get().as_ptr().addr().saturating_sub(source.as_ptr().addr());
        let before = source.get(cursor..start).unwrap_or_default();
        line = line.saturating_add(before.matches('\n').count());
        cursor = start;
        let written = Written {
            file: Arc::clone(&file),
            source: Arc::clone(&source),
            start,
            length: entry.get().len(),
            line,
            template: None,
        };
        match self::link(entry.get(), written, &rules.templates) {
            Ok((rule, written, template)) => {
                linked.insert(template.clone());
                let id = rule.policy.id().clone();
                match rules.rule(&rule, &written, "\"link_id\"") {
                    None => drop(rules.linked.insert(id, template)),
                    Some(taken) => problems.push(taken),
                }
            }
            Err(found) => problems.extend(found),
        }
    }
    let unused = rules
        .templates
        .values()
        .filter(|template| !linked.contains(template.id()));
    let unused = unused.map(|template| {
        let message = format!("nothing links the template `{}`: it rules nothing", template.id());
        template
            .written
            .problem(message, "@id")
            .warn()
            .code(code::UNUSED_TEMPLATE)
            .help(format!("link it in {FILE}, or remove it"))
    });
    rules.warnings.extend(unused);
}

/// One link: the policy, where it is written, and its template's id.
fn link(
    text: &str,
    written: Written,
    templates: &BTreeMap<String, Arc<Linkable>>,
) -> Result<(Arc<Rule>, Written, String), Vec<Problem>> {
    let one = |problem: Problem| vec![problem];
    let entry: Entry = serde_json::from_str(text).map_err(|error| {
        let help = "a link is { \"template_id\": …, \"link_id\": …, \"args\": { \"?principal\": \"Role::\\\"…\\\"\" } }";
        one(written.problem(error.to_string(), "").help(help))
    })?;
    let Entry {
        template_id,
        link_id,
        args: Slots(args),
    } = entry;
    let Some(template) = templates.get(&template_id) else {
        let problem = written.problem(
            format!("there is no template `{template_id}`"),
            &as_json(&template_id),
        );
        return Err(one(
            problem.suggest(&template_id, templates.keys().map(String::as_str))
        ));
    };
    let mut problems = Vec::new();
    if let Some(wrong) = annotations::wrong_id(&link_id) {
        problems.push(written.problem(format!("a `link_id` {wrong}"), "\"link_id\""));
    }
    let mut entities = BTreeMap::new();
    for (slot, text) in &args {
        if !template.slots.contains(slot) {
            let problem = written.problem(format!("`{template_id}` has no slot `{slot}`"), slot);
            problems.push(problem.suggest(slot, template.slots.iter().map(String::as_str)));
            continue;
        }
        if let Some(entity) = entity(text) {
            entities.insert(slot.clone(), entity);
        } else {
            let problem = written.problem(format!("`{text}` is no entity"), &as_json(text));
            problems.push(problem.help("write it like \"Role::\\\"mcp-admin\\\"\""));
        }
    }
    for slot in template.slots.iter().filter(|slot| !args.contains_key(*slot)) {
        let problem = written.problem(
            format!("nothing is in the slot `{slot}` of `{template_id}`"),
            "\"args\"",
        );
        problems.push(problem.help(format!("add \"{slot}\": \"Type::\\\"id\\\"\" to its `args`")));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let written = Written {
        template: Some(Arc::clone(&template.written)),
        ..written
    };
    let rule = template.link(&link_id, &entities, &written).map_err(one)?;
    Ok((Arc::new(rule), written, template_id))
}

fn entity(text: &str) -> Option<EntityUid> {
    bounds::check(FILE, &text.into()).ok()?;
    text.parse().ok()
}

/// A text as it stands within a JSON text, without its quotes.
pub(in crate::policy) fn as_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.trim_matches('"').to_owned()
}

/// The text of a template with entities in the places of its slots: not within texts and comments.
fn filled(text: &str, entities: &BTreeMap<String, EntityUid>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let slot = entities.iter().find(|(slot, _)| rest.starts_with(slot.as_str()));
        let length = match (first, slot) {
            ('"', _) => quoted(rest),
            ('/', _) if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            (_, Some((slot, entity))) => {
                filled.push_str(&entity.to_string());
                rest = rest.get(slot.len()..).unwrap_or_default();
                continue;
            }
            _ => first.len_utf8(),
        };
        let (taken, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        filled.push_str(taken);
        rest = after;
    }
    filled
}

/// The length of the quoted text that this begins with.
fn quoted(text: &str) -> usize {
    let mut escaped = true;
    let end = text.char_indices().find(|(_, one)| {
        // The first quote opens: it counts as escaped.
        let ends = *one == '"' && !escaped;
        escaped = *one == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_stand_where_slots_stood_and_not_in_texts_or_comments() {
        let entities = BTreeMap::from([(
            "?principal".to_owned(),
            r#"Role::"a\"b?principal""#.parse().unwrap(),
        )]);
        let text = "@reason(\"of ?principal \\\" ?principal\") // ?principal\npermit (principal in ?principal, action, resource);";
        assert_eq!(
            filled(text, &entities),
            "@reason(\"of ?principal \\\" ?principal\") // ?principal\npermit (principal in Role::\"a\\\"b?principal\", action, resource);"
        );
    }
}
