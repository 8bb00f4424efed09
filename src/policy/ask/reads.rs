//! What a policy reads of the context and of users, and which entities and literals its conditions name.
//!
//! In: a policy's syntax tree. Out: [`Reads`], the places below `context` whose value can change what the policy says. `has` counts as
//! reading; whoever uses a whole record reads all of it; what can't be analysed reads everything.

use std::collections::BTreeSet;

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Var};
use cedar_policy::{EntityUid, Policy, Template};

use super::telling::Telling;

/// A place below `context`: `["arguments", "path"]`. The empty one is the whole context.
pub(in crate::policy) type Place = Vec<String>;

/// What one policy reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::policy) struct Reads {
    places: BTreeSet<Place>,
    /// Entities that its conditions name, apart from its scope.
    pub(in crate::policy) entities: BTreeSet<EntityUid>,
    /// Those of them whose parents or attributes are looked up: not those that others are only in, or are compared with.
    pub(in crate::policy) looked_up: BTreeSet<EntityUid>,
    /// Places that are compared with a text.
    pub(in crate::policy) compared: BTreeSet<(Place, String)>,
    /// Whether its conditions look at the action.
    pub(in crate::policy) action: bool,
    /// By what its conditions can tell users apart.
    pub(in crate::policy) users: Telling,
    /// Whether the conditions could be analysed.
    pub(in crate::policy) analysed: bool,
}

impl Reads {
    /// Analyses a policy.
    pub(in crate::policy) fn of(policy: &Policy) -> Self {
        let mut reads = match policy.to_pst() {
            Ok(tree) => Self::of_clauses(tree.body().clauses()),
            Err(_) => Self::unanalysed(),
        };
        // What a condition names is looked up among the entities: an over-estimate is harmless.
        if !reads.analysed {
            reads.entities.extend(policy.entity_literals());
            reads.looked_up.clone_from(&reads.entities);
        }
        reads
    }

    /// Analyses what all links of a template have in common: everything, if that could be analysed.
    pub(in crate::policy) fn of_template(template: &Template) -> Self {
        match template.to_pst() {
            Ok(tree) => Self::of_clauses(tree.clauses()),
            Err(_) => Self::unanalysed(),
        }
    }

    fn of_clauses<'a>(clauses: impl IntoIterator<Item = &'a Clause>) -> Self {
        let mut reads = Self {
            analysed: true,
            ..Self::default()
        };
        for clause in clauses {
            let (Clause::When(condition) | Clause::Unless(condition)) = clause;
            reads.walk(condition);
        }
        reads
    }

    fn unanalysed() -> Self {
        let mut reads = Self::default();
        reads.everything();
        reads
    }

    /// Whether the value at a place, or the absence of one, can change what the policy says.
    pub(in crate::policy) fn touches(&self, place: &[impl AsRef<str>]) -> bool {
        self.places.iter().any(|read| {
            // One lies on the way to the other.
            read.iter().zip(place).all(|(a, b)| a == b.as_ref())
        })
    }

    /// What is read below `context.arguments`, as paths from there; the empty path is all of it.
    pub(in crate::policy) fn arguments(&self) -> impl Iterator<Item = &[String]> {
        self.places.iter().filter_map(|place| match place.split_first() {
            None => Some(place.as_slice()),
            Some((first, rest)) => (first == "arguments").then_some(rest),
        })
    }

    /// Whether a session is looked at by its id, rather than through the context.
    pub(in crate::policy) fn names_sessions(&self) -> bool {
        let mut types = self.entities.iter().map(EntityUid::type_name);
        types.any(|type_name| type_name.basename() == "Session")
    }

    fn everything(&mut self) {
        self.analysed = false;
        self.action = true;
        self.users.identity = true;
        self.places.insert(Place::new());
    }

    fn walk(&mut self, expr: &Expr) {
        if let Some(place) = place(expr) {
            self.user_in_context(expr, &place);
            self.places.insert(place);
            return;
        }
        match expr {
            Expr::Literal(Literal::EntityUID(uid)) => self.name(uid, true),
            Expr::Var(Var::Action) => self.action = true,
            // As a value: compared, or on its way to be.
            Expr::Var(Var::Principal) => self.users.identity = true,
            Expr::Literal(_) | Expr::Var(_) => {}
            Expr::GetAttr { expr, attr } if is_principal(expr) => self.users.read(attr),
            Expr::HasAttr { expr, attrs } if is_principal(expr) => self.users.read(attrs.first()),
            Expr::UnaryOp { expr, .. }
            | Expr::GetAttr { expr, .. }
            | Expr::HasAttr { expr, .. }
            | Expr::Like { expr, .. } => self.walk(expr),
            Expr::BinaryOp { op, left, right } => {
                self.comparison(*op, left, right);
                match op {
                    BinaryOp::In => {
                        self.walk_member(left);
                        self.walk_named(right);
                    }
                    BinaryOp::Eq | BinaryOp::NotEq => {
                        self.walk_named(left);
                        self.walk_named(right);
                    }
                    _ => {
                        self.walk(left);
                        self.walk(right);
                    }
                }
            }
            Expr::Is { expr, in_expr, .. } => {
                self.walk_member(expr);
                if let Some(within) = in_expr {
                    self.walk_named(within);
                }
            }
            Expr::IfThenElse {
                cond,
                then_expr,
                else_expr,
            } => [cond, then_expr, else_expr]
                .into_iter()
                .for_each(|part| self.walk(part)),
            Expr::Set(parts) => parts.iter().for_each(|part| self.walk(part)),
            Expr::Record(members) => members.values().for_each(|part| self.walk(part)),
            // Slots, unknowns, and whatever a later Cedar adds.
            _ => self.everything(),
        }
    }

    /// Walks what is asked whether it is of a type or in something: peers are in the same.
    fn walk_member(&mut self, expr: &Expr) {
        match place(expr) {
            Some(place) if is_user(&place) => drop(self.places.insert(place)),
            _ if is_principal(expr) => {}
            _ => self.walk(expr),
        }
    }

    /// What is read of the user by way of the context.
    fn user_in_context(&mut self, expr: &Expr, place: &[String]) {
        match place {
            // That there is one.
            [_] if is_user(place) && matches!(expr, Expr::HasAttr { .. }) => {}
            [user, attribute, ..] if user == USER => self.users.read(attribute),
            // As a value, by itself or in the whole context.
            [] => self.users.identity = true,
            _ if is_user(place) => self.users.identity = true,
            _ => {}
        }
    }

    /// Walks what something is in or is compared with: an entity there, or a set of them, is named and not looked up.
    fn walk_named(&mut self, expr: &Expr) {
        match expr {
            Expr::Literal(Literal::EntityUID(uid)) => self.name(uid, false),
            Expr::Set(parts) => parts.iter().for_each(|part| self.walk_named(part)),
            _ => self.walk(expr),
        }
    }

    fn name(&mut self, uid: &cedar_policy::pst::EntityUID, looked_up: bool) {
        match entity_uid(uid) {
            Some(uid) => {
                if looked_up {
                    self.looked_up.insert(uid.clone());
                }
                self.entities.insert(uid);
            }
            None => self.everything(),
        }
    }

    /// Notes `place == "text"`, `place != "text"` and `["text", …].contains(place)`, either way round.
    fn comparison(&mut self, op: BinaryOp, left: &Expr, right: &Expr) {
        let sides = match op {
            BinaryOp::Eq | BinaryOp::NotEq => place(left)
                .map(|at| (at, right))
                .or_else(|| place(right).map(|at| (at, left))),
            BinaryOp::Contains => place(right)
                .map(|at| (at, left))
                .or_else(|| place(left).map(|at| (at, right))),
            BinaryOp::ContainsAll | BinaryOp::ContainsAny => place(left).map(|at| (at, right)),
            _ => None,
        };
        if let Some((at, other)) = sides {
            for text in texts(other) {
                self.compared.insert((at.clone(), text));
            }
        }
    }
}

/// The name of the user in the context.
const USER: &str = "user";

fn is_user(place: &[String]) -> bool {
    matches!(place, [user] if user == USER)
}

const fn is_principal(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Principal))
}

/// The texts that an expression is, or is a set of.
fn texts(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Literal(Literal::String(text)) => vec![text.to_string()],
        Expr::Set(parts) => parts.iter().flat_map(|part| texts(part)).collect(),
        _ => Vec::new(),
    }
}

/// The place that an expression reads, if it is a plain path from `context`.
fn place(expr: &Expr) -> Option<Place> {
    match expr {
        Expr::Var(Var::Context) => Some(Place::new()),
        Expr::GetAttr { expr, attr } => {
            let mut place = place(expr)?;
            place.push(attr.to_string());
            Some(place)
        }
        Expr::HasAttr { expr, attrs } => {
            let mut place = place(expr)?;
            place.extend(attrs.iter().map(ToString::to_string));
            Some(place)
        }
        _ => None,
    }
}

fn entity_uid(uid: &cedar_policy::pst::EntityUID) -> Option<EntityUid> {
    let type_name = uid.ty.to_string().parse().ok()?;
    Some(EntityUid::from_type_name_and_id(
        type_name,
        cedar_policy::EntityId::new(uid.eid.as_str()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(condition: &str) -> Reads {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        Reads::of(&Policy::parse(None, text).unwrap())
    }

    #[test]
    fn a_policy_reads_the_places_that_it_names_and_what_lies_on_the_way() {
        let cases: [(&str, &[&str], bool); 14] = [
            ("context.arguments.path == \"/a\"", &["arguments", "path"], true),
            ("context.arguments.path == \"/a\"", &["arguments", "limit"], false),
            ("context.arguments has path", &["arguments", "path"], true),
            (
                "context.arguments has filter.name",
                &["arguments", "filter", "name"],
                true,
            ),
            (
                "context.arguments has filter.name",
                &["arguments", "filter"],
                true,
            ),
            (
                "context.arguments.filter == {}",
                &["arguments", "filter", "name"],
                true,
            ),
            ("context has arguments", &["arguments", "path"], true),
            ("context == context", &["arguments", "path"], true),
            (
                "{a: context.arguments}.a.path == \"\"",
                &["arguments", "other"],
                true,
            ),
            (
                "(if true then context else context).arguments.b",
                &["arguments", "other"],
                true,
            ),
            (
                "[context.arguments.tags].contains(resource)",
                &["arguments", "tags"],
                true,
            ),
            (
                "principal.tenants.contains(context.arguments.tenant)",
                &["arguments", "tenant"],
                true,
            ),
            (
                "context[\"arguments\"][\"odd name\"] == 1",
                &["arguments", "odd name"],
                true,
            ),
            ("principal.scopes.contains(\"arguments\")", &["arguments"], false),
        ];
        for (condition, place, expected) in cases {
            assert_eq!(reads(condition).touches(place), expected, "{condition} {place:?}");
        }
    }

    #[test]
    fn the_texts_that_a_place_is_compared_with_are_found() {
        let found = reads(
            "context.arguments.a == \"x\" || \"y\" != context.arguments.a || [\"z\"].contains(context.arguments.b)",
        );
        let at = |name: &str, text: &str| (vec!["arguments".to_owned(), name.to_owned()], text.to_owned());
        assert_eq!(
            found.compared.into_iter().collect::<Vec<_>>(),
            [at("a", "x"), at("a", "y"), at("b", "z")]
        );
    }

    #[test]
    fn only_entities_whose_parents_or_attributes_matter_are_looked_up() {
        for (condition, looked_up) in [
            (r#"principal in Role::"a""#, ""),
            (r#"principal in [Role::"a", Role::"b"]"#, ""),
            (r#"principal is User in Role::"a""#, ""),
            (r#"principal == User::"a" || resource != Tool::"b""#, ""),
            (r#"Role::"a" in Role::"b""#, "a"),
            (r#"Tool::"a".pinned"#, "a"),
            (r#"Tool::"a" has pinned"#, "a"),
            (r#"(if true then Tool::"a" else Tool::"b").pinned"#, "a b"),
            (
                r#"principal in (if Role::"a" in Role::"b" then Role::"c" else Role::"d")"#,
                "a c d",
            ),
            (r#"[Role::"a"].contains(Role::"b")"#, "a b"),
        ] {
            let found = reads(condition).looked_up;
            let ids: Vec<_> = found.iter().map(|uid| uid.id().unescaped()).collect();
            assert_eq!(ids.join(" "), looked_up, "{condition}");
        }
    }

    #[test]
    fn entities_that_conditions_name_are_found_with_odd_ids() {
        let found = reads(r#"principal in Role::"a\"b\\c""#);
        let names: Vec<_> = found
            .entities
            .iter()
            .map(|uid| uid.id().unescaped().to_owned())
            .collect();
        assert_eq!(names, ["a\"b\\c"]);
    }
}
