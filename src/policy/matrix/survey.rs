//! Works out one column after the other.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::pst::{Clause, Expr, Literal, Var};
use cedar_policy::{
    Context, Effect, Entities, Entity, EntityUid, PartialEntities, PartialEntity, PartialEntityUid,
    PartialRequest, Policy, PolicyId, PolicySet as Policies, Request, RestrictedExpression, Schema,
};

use super::super::PolicySet;
use super::cell::{Cell, Said};
use super::outcomes::{Outcomes, simplified};
use super::rewrite::{UNKNOWN, rewritten, text, told};
use super::schema::Second;
use super::what::What;
use super::who::{Asked, Who};
use crate::policy::ask::entities::{BuildError, build, uid};
use crate::policy::ask::evaluate::Rule;

/// A policy set, looked at through its second schema.
#[derive(Debug)]
pub struct Survey<'a> {
    set: &'a PolicySet,
    second: Second,
}

/// One column: who calls, and what that makes known.
struct Column<'a> {
    survey: &'a Survey<'a>,
    asked: Vec<Asked>,
    known: Vec<&'static str>,
    /// The policies as the second schema reads them; `None` where they can't be.
    rewritten: RefCell<HashMap<PolicyId, Option<Policy>>>,
}

/// One thing that one principal is asked about.
struct Place<'a> {
    asked: &'a Asked,
    server: &'a str,
    action: &'a str,
    target: &'a EntityUid,
}

impl<'a> Survey<'a> {
    pub(super) fn new(set: &'a PolicySet, second: Second) -> Self {
        Self { set, second }
    }

    /// A cell for each thing.
    pub(super) fn column(&self, who: &Who, what: &[What]) -> Vec<Cell> {
        let Ok(column) = self.of(who) else {
            return what.iter().map(|_| Cell::default()).collect();
        };
        let mut servers = Servers::default();
        let cells = what
            .iter()
            .map(|thing| column.cell(thing, servers.of(&column, thing, what)));
        cells.collect()
    }

    /// Of each thing, whether some call of it could be allowed: whether its cell is another than [`Cell::Deny`]. What no permit is about is not
    /// worked out, so that this takes a fraction of the time where most is out of reach.
    #[must_use]
    pub fn could_call(&self, who: &Who, what: &[What]) -> Vec<bool> {
        let Ok(column) = self.of(who) else {
            return what.iter().map(|_| true).collect();
        };
        let mut servers = Servers::default();
        let could = what.iter().map(|thing| {
            column.is_about(thing)
                && !matches!(
                    column.cell(thing, servers.of(&column, thing, what)),
                    Cell::Deny(_)
                )
        });
        could.collect()
    }

    fn of(&self, who: &Who) -> Result<Column<'_>, BuildError> {
        let asked = who.subjects.iter();
        let asked: Vec<Asked> = asked
            .map(|subject| Asked::of(subject, &self.set.fixed))
            .collect::<Result<_, _>>()?;
        let known = asked.iter().flat_map(super::who::Asked::in_context).copied();
        Ok(Column {
            survey: self,
            known: known.collect(),
            asked,
            rewritten: RefCell::default(),
        })
    }
}

/// What there is before each server, made when it is first asked for; `None` where it can't be.
#[derive(Default)]
struct Servers<'w>(HashMap<&'w str, Option<PartialEntities>>);

impl<'w> Servers<'w> {
    fn of(&mut self, column: &Column<'_>, thing: &'w What, what: &'w [What]) -> Option<&PartialEntities> {
        let entities = self.0.entry(&thing.server).or_insert_with(|| {
            let same = what.iter().filter(|other| other.server == thing.server);
            column.entities(&thing.server, same).ok()
        });
        entities.as_ref()
    }
}

impl Column<'_> {
    /// Everything that conditions can look at before one server, apart from what is unknown.
    fn entities<'w>(
        &self,
        server: &str,
        what: impl Iterator<Item = &'w What>,
    ) -> Result<PartialEntities, BuildError> {
        let schema = &self.survey.second.schema;
        let fixed = &self.survey.set.fixed;
        let mut there: HashMap<EntityUid, PartialEntity> = HashMap::new();
        for asked in &self.asked {
            there.insert(asked.uid.clone(), asked.partial(schema)?);
        }
        let below = HashSet::from([uid(&fixed.types.server, server)]);
        for thing in what {
            let known = fixed.store(&thing.action).into_iter().flat_map(Entities::iter);
            for entity in known.filter(|entity| *entity.uid().type_name() != fixed.types.action) {
                if let std::collections::hash_map::Entry::Vacant(e) = there.entry(entity.uid()) {
                    e.insert(partial(entity.clone(), schema)?);
                }
            }
            for target in &thing.targets {
                if !there.contains_key(target) {
                    let is_server = below.contains(target);
                    let ancestors = if is_server { HashSet::new() } else { below.clone() };
                    let attributes = is_server.then(BTreeMap::new);
                    let tags = Some(BTreeMap::new());
                    let entity =
                        PartialEntity::new(target.clone(), attributes, Some(ancestors), tags, schema);
                    there.insert(target.clone(), entity.map_err(build)?);
                }
            }
        }
        PartialEntities::from_partial_entities(there.into_values(), schema).map_err(build)
    }

    fn cell(&self, what: &What, entities: Option<&PartialEntities>) -> Cell {
        let Some(entities) = entities else {
            return Cell::default();
        };
        let several = what.targets.len() > 1;
        let on_each = what.targets.iter().map(|target| {
            let of_each = self.places(what, target).map(|place| self.ask(&place, entities));
            let named = several.then(|| target.to_string());
            (Cell::all(of_each), named)
        });
        Cell::any(on_each.collect())
    }

    /// Whether some permit is about each principal before the thing, or before one of those that may be meant.
    fn is_about(&self, what: &What) -> bool {
        let permits = |place: &Place<'_>| match self.in_scope(place) {
            Ok(rules) => rules.iter().any(|rule| rule.policy.effect() == Effect::Permit),
            Err(_) => true,
        };
        let mut targets = what.targets.iter();
        targets.any(|target| self.places(what, target).all(|place| permits(&place)))
    }

    /// Each principal before one thing.
    fn places<'p>(&'p self, what: &'p What, target: &'p EntityUid) -> impl Iterator<Item = Place<'p>> {
        let asked = self.asked.iter();
        asked.map(move |asked| Place {
            asked,
            server: &what.server,
            action: &what.action,
            target,
        })
    }

    /// What is said of one principal before one thing.
    fn ask(&self, place: &Place<'_>, entities: &PartialEntities) -> Cell {
        let Ok(rules) = self.in_scope(place) else {
            return Cell::default();
        };
        let said = self.said(place, entities, &rules);
        let names = self.names(place);
        Cell::of(place.asked.principal, &said, &|left| {
            text(&told(&simplified(left), &names))
        })
    }

    /// The policies in whose scope the principal is before this thing.
    fn in_scope(&self, place: &Place<'_>) -> Result<Vec<&Rule>, BuildError> {
        let set = self.survey.set;
        let types = &set.fixed.types;
        let store = set
            .fixed
            .store(place.action)
            .cloned()
            .unwrap_or_else(Entities::empty);
        let there = store.get(place.target).is_some() || *place.target.type_name() == types.server;
        let target = (!there)
            .then(|| set.fixed.below_server(place.target.clone(), None, place.server))
            .transpose()?;
        let entities = store
            .add_entities([place.asked.entity()?].into_iter().chain(target), None)
            .map_err(build)?;
        let request = Request::new(
            place.asked.uid.clone(),
            uid(&types.action, place.action),
            place.target.clone(),
            Context::empty(),
            None,
        )
        .map_err(build)?;
        Ok(set.engine.in_scope(&request, &entities))
    }

    /// What each of these policies can come to.
    fn said(&self, place: &Place<'_>, entities: &PartialEntities, rules: &[&Rule]) -> Vec<Said> {
        let mut cache = self.rewritten.borrow_mut();
        let mut said = Vec::new();
        let mut asked = Vec::new();
        for rule in rules {
            if !rule.policy.has_non_scope_constraint() {
                said.push(of(rule, Outcomes::ALWAYS, None));
                continue;
            }
            let readable = cache
                .entry(rule.policy.id().clone())
                .or_insert_with(|| rewritten(&rule.policy, &self.known));
            match readable {
                Some(policy) => asked.push((*rule, policy.clone())),
                None => said.push(of(rule, Outcomes::ANY, None)),
            }
        }
        let policies: Vec<&Policy> = asked.iter().map(|(_, policy)| policy).collect();
        let mut left = self.left(place, entities, &policies);
        said.extend(asked.iter().map(|(rule, _)| {
            let expr = left.remove(rule.policy.id());
            let outcomes = expr.as_ref().map_or(Outcomes::ANY, Outcomes::of);
            of(rule, outcomes, expr)
        }));
        said
    }

    /// What partial evaluation leaves of policies: all together, and where that can't be done, each by itself.
    fn left(
        &self,
        place: &Place<'_>,
        entities: &PartialEntities,
        policies: &[&Policy],
    ) -> HashMap<PolicyId, Expr> {
        if policies.is_empty() {
            return HashMap::new();
        }
        match self.evaluate(place, entities, policies) {
            Some(left) => left,
            None if policies.len() == 1 => HashMap::new(),
            None => policies
                .iter()
                .filter_map(|policy| self.evaluate(place, entities, &[policy]))
                .flatten()
                .collect(),
        }
    }

    fn evaluate(
        &self,
        place: &Place<'_>,
        entities: &PartialEntities,
        policies: &[&Policy],
    ) -> Option<HashMap<PolicyId, Expr>> {
        let types = &self.survey.set.fixed.types;
        let schema = &self.survey.second.schema;
        let set = Policies::from_policies(policies.iter().copied().cloned()).ok()?;
        let request = PartialRequest::new(
            PartialEntityUid::from_concrete(place.asked.uid.clone()),
            uid(&types.action, place.action),
            PartialEntityUid::from_concrete(place.target.clone()),
            Some(self.context(place.action).ok()?),
            schema,
        );
        let request = request.ok()?;
        let response = set.tpe(&request, entities, schema).ok()?;
        response
            .policies()
            .map(|policy| Some((policy.id().clone(), condition(&policy)?)))
            .collect()
    }

    /// Who calls, and the entity that holds the rest. Whoever isn't known is nobody: the policies don't look there.
    fn context(&self, action: &str) -> Result<Context, BuildError> {
        let types = &self.survey.set.fixed.types;
        let call = self.survey.second.call(action).parse().map_err(build)?;
        let entity = RestrictedExpression::new_entity_uid;
        let mut pairs = HashMap::from([
            ("user", entity(uid(&types.user, ""))),
            ("workload", entity(uid(&types.workload, ""))),
            (UNKNOWN, entity(uid(&call, ""))),
        ]);
        for asked in &self.asked {
            if let Some(name) = asked.in_context().first() {
                pairs.insert(name, entity(asked.uid.clone()));
            }
        }
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
        Context::from_pairs(pairs).map_err(build)
    }

    /// How a policy calls the entities that stand for what is asked about.
    fn names(&self, place: &Place<'_>) -> Vec<(EntityUid, Expr)> {
        let in_context = |asked: &Asked| {
            Some(Expr::GetAttr {
                expr: Arc::new(Expr::Var(Var::Context)),
                attr: (*asked.in_context().first()?).into(),
            })
        };
        let others = self
            .asked
            .iter()
            .filter_map(|asked| Some((asked.uid.clone(), in_context(asked)?)));
        [
            (place.asked.uid.clone(), Expr::Var(Var::Principal)),
            (place.target.clone(), Expr::Var(Var::Resource)),
        ]
        .into_iter()
        .chain(others)
        .collect()
    }
}

fn of(rule: &Rule, outcomes: Outcomes, left: Option<Expr>) -> Said {
    Said {
        policy: rule.shown.id.clone(),
        effect: rule.policy.effect(),
        outcomes,
        left,
    }
}

/// The condition of a policy that partial evaluation left: one `when`.
fn condition(policy: &Policy) -> Option<Expr> {
    match policy.to_pst().ok()?.body().clauses().as_slice() {
        [] => Some(Expr::Literal(Literal::Bool(true))),
        [Clause::When(condition)] => Some((**condition).clone()),
        _ => None,
    }
}

fn partial(entity: Entity, schema: &Schema) -> Result<PartialEntity, BuildError> {
    let (id, attributes, ancestors) = entity.into_inner();
    let attributes = attributes.into_iter().map(|(name, value)| (name.into(), value));
    let tags = Some(BTreeMap::new());
    PartialEntity::new(id, Some(attributes.collect()), Some(ancestors), tags, schema).map_err(build)
}
