//! One question to all the policies: what is asked, of whom, and what comes of it.

use std::collections::BTreeSet;

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};

use super::context::context;
use super::entities::{BuildError, Fixed, StepUp, build, uid};
use super::evaluate::{Engine, Rule, in_scope};
use super::verdict::{Principal, Verdict};
use super::{Question, load, suite};
use crate::inventory::{ArgumentError, Files, Inventory, Place, Problem, Requirement, Server};
use crate::mcp::call::{Operation, Reference};
use crate::mcp::json;

/// URIs that one `subscriptions/listen` may name: each is asked about.
const MAX_LISTENED: usize = 256;
/// Policies whose `@scope` and `@acr` are tried one by one before all are tried together.
const MAX_STEPS: usize = 16;

/// Everything that decides: the policies of one directory as they were at one moment, with the tools they are about.
#[derive(Debug)]
pub struct PolicySet {
    pub(super) engine: Engine,
    pub(super) fixed: Fixed,
    pub(super) inventory: Inventory,
    pub(super) reads_now: bool,
    pub(super) version: String,
    pub(super) warnings: Vec<Problem>,
    pub(super) report: suite::Report,
    #[cfg(test)]
    pub(super) plain: load::Plain,
}

/// Why no verdict can be given. Each denies, with a reason of its own.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AskError {
    /// The call brings neither a user nor a workload.
    #[error("nobody to ask about: the call brings no identity")]
    NoPrincipal,
    /// The server requires an identity that the call doesn't bring.
    #[error("the server requires a {}", match .0 { Requirement::User => "user", Requirement::Workload => "workload" })]
    MissingIdentity(Requirement),
    /// The inventory of the server has no such tool.
    #[error("the server has no approved tool of that name")]
    UnknownTool,
    /// The arguments aren't of the approved types.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// A policy reads an argument whose value Cedar can't hold exactly.
    #[error("a policy decides on the argument `{place}`, and its value can't be held exactly")]
    UnrepresentableArgument {
        /// Where in the arguments.
        place: String,
    },
    /// One message names more resources than are asked about.
    #[error("more than {MAX_LISTENED} resources in one message")]
    TooManyResources,
    /// The request could not be put to Cedar.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl AskError {
    /// The name, as policy tests write it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoPrincipal | Self::MissingIdentity(_) => "missing_identity",
            Self::UnknownTool => "unknown_tool",
            Self::Arguments(_) => "invalid_arguments",
            Self::UnrepresentableArgument { .. } => "unrepresentable_argument",
            Self::TooManyResources => "too_many_resources",
            Self::Build(_) => "internal",
        }
    }
}

/// What is asked for, in Cedar's words.
struct Target {
    action: String,
    resource: EntityUid,
    /// Unless the action's store has it: a tool.
    entity: Option<Entity>,
    arguments: Option<RestrictedExpression>,
    omitted: Vec<Place>,
}

impl PolicySet {
    /// Loads, validates and tests a policy directory for these servers.
    ///
    /// # Errors
    /// Everything that is wrong with it. Nothing of such a directory may rule.
    pub fn load(files: &Files, servers: &[Server]) -> Result<Self, Vec<Problem>> {
        let set = load::load(files, servers)?;
        suite::passed(set, files, servers)
    }

    /// Like [`PolicySet::load`], with the tests' failures in [`PolicySet::tests`] rather than as errors.
    ///
    /// # Errors
    /// Everything else that is wrong with the directory.
    pub fn load_and_test(files: &Files, servers: &[Server]) -> Result<Self, Vec<Problem>> {
        let mut set = load::load(files, servers)?;
        set.report = suite::run(&set, files, servers)?;
        Ok(set)
    }

    /// SHA-256 over all files of the directory, names and contents, as 64 hexadecimal digits.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The beginning of the version: 12 digits, for people.
    #[must_use]
    pub fn short_version(&self) -> &str {
        self.version.get(..12).unwrap_or(&self.version)
    }

    /// How many policies there are, shadow ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engine.rules().count()
    }

    /// Whether there is none: everything is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What its tests said when it was loaded.
    #[must_use]
    pub const fn tests(&self) -> &suite::Report {
        &self.report
    }

    /// What an author should look at, though it doesn't keep the directory from ruling.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The tools that the policies are about.
    #[must_use]
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Asks about every principal on the call: the user first, then the workload. The call may go through only if every
    /// verdict allows it.
    ///
    /// # Errors
    /// Why there is no verdict: the call is to be denied.
    pub fn ask(&self, question: &Question<'_>) -> Result<Vec<Verdict>, AskError> {
        self.ask_as(question, &StepUp::default())
    }

    /// What the user's token would need for this call to be allowed, if scopes or a stronger login is all that it lacks.
    ///
    /// Only what policies name in `@scope` and `@acr` is tried, fewest first, and only what, when asked again with it, is
    /// allowed for every principal counts.
    #[must_use]
    pub fn step_up(&self, question: &Question<'_>) -> Option<StepUp> {
        let user = question.caller.user.as_ref()?;
        let lacking = |step: &StepUp| StepUp {
            scopes: step
                .scopes
                .iter()
                .filter(|scope| !user.scopes.contains(scope))
                .cloned()
                .collect(),
            acr: step.acr.clone().filter(|acr| user.acr.as_ref() != Some(acr)),
        };
        let mut steps: Vec<StepUp> = self
            .engine
            .rules()
            .filter(|rule| !rule.shadow && lacking(&rule.step) != StepUp::default())
            .filter(|rule| self.fits(question, rule))
            .map(|rule| lacking(&rule.step))
            .collect();
        steps.sort_by_key(|step| {
            (
                step.acr.is_some(),
                step.scopes.len(),
                step.scopes.clone(),
                step.acr.clone(),
            )
        });
        steps.dedup();
        steps.truncate(MAX_STEPS);
        let together = StepUp {
            scopes: steps.iter().flat_map(|step| step.scopes.clone()).collect(),
            acr: steps.iter().find_map(|step| step.acr.clone()),
        };
        let scopes_together = StepUp {
            acr: None,
            ..together.clone()
        };
        steps
            .into_iter()
            .chain([scopes_together, together])
            .find(|step| *step != StepUp::default() && self.allows(question, step))
    }

    /// All the scopes that the user's token lacks, if with them every principal would be allowed.
    #[must_use]
    pub fn missing_scopes(&self, question: &Question<'_>) -> Option<BTreeSet<String>> {
        let step = self.step_up(question)?;
        (step.acr.is_none() && !step.scopes.is_empty()).then_some(step.scopes)
    }

    /// Whether a policy that names this step-up has the call in its scope, for one of its principals.
    fn fits(&self, question: &Question<'_>, rule: &Rule) -> bool {
        let Ok((principals, entities)) = self.principals(question, &StepUp::default()) else {
            return false;
        };
        let action_fits = |target: &Target| {
            let store = self.store(target, &entities).ok()?;
            let action = uid(&self.fixed.types.action, &target.action);
            let fits = principals.iter().any(|(_, id)| {
                let request = Request::new(
                    id.clone(),
                    action.clone(),
                    target.resource.clone(),
                    Context::empty(),
                    None,
                );
                request.is_ok_and(|request| in_scope(&rule.policy, &request, &store))
            });
            Some(fits)
        };
        let targets = self.targets(question).unwrap_or_default();
        targets.iter().any(|target| action_fits(target).unwrap_or(false))
    }

    fn allows(&self, question: &Question<'_>, step: &StepUp) -> bool {
        self.ask_as(question, step)
            .is_ok_and(|verdicts| !verdicts.is_empty() && verdicts.iter().all(Verdict::allows))
    }

    fn ask_as(&self, question: &Question<'_>, step: &StepUp) -> Result<Vec<Verdict>, AskError> {
        let (principals, entities) = self.principals(question, step)?;
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(principals.len());
        for target in self.targets(question)? {
            let store = self.store(&target, &entities)?;
            let context = context(question, &self.fixed, target.arguments, self.reads_now)?;
            let action = uid(&self.fixed.types.action, &target.action);
            for (index, (principal, id)) in principals.iter().enumerate() {
                let request = Request::new(
                    id.clone(),
                    action.clone(),
                    target.resource.clone(),
                    context.clone(),
                    None,
                )
                .map_err(build)?;
                self.representable(&target.omitted, &request, &store)?;
                let verdict = self.engine.evaluate(*principal, &request, &store);
                match verdicts.get_mut(index) {
                    Some(sofar) => sofar.also(verdict),
                    None => verdicts.push(verdict),
                }
            }
        }
        Ok(verdicts)
    }

    /// Refuses a call with a value that Cedar doesn't see, if a policy whose scope the call is in reads that very place.
    fn representable(&self, omitted: &[Place], request: &Request, store: &Entities) -> Result<(), AskError> {
        if omitted.is_empty() {
            return Ok(());
        }
        let candidates = self.engine.candidates(request, store);
        let read = omitted.iter().find(|place| {
            let mut reads = candidates.iter().flat_map(|rule| rule.reads.arguments());
            reads.any(|read| place.is_read_by(read))
        });
        match read {
            Some(place) => Err(AskError::UnrepresentableArgument {
                place: place.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// Whom to ask about, and every identity as an entity: policies may look at the other one through the context.
    #[expect(clippy::type_complexity, reason = "two lists that are made together")]
    fn principals(
        &self,
        question: &Question<'_>,
        step: &StepUp,
    ) -> Result<(Vec<(Principal, EntityUid)>, Vec<Entity>), AskError> {
        let caller = question.caller;
        for requirement in &question.server.require {
            let there = match requirement {
                Requirement::User => caller.user.is_some(),
                Requirement::Workload => caller.workload.is_some(),
            };
            if !there {
                return Err(AskError::MissingIdentity(*requirement));
            }
        }
        let mut principals = Vec::with_capacity(2);
        let mut entities = Vec::with_capacity(3);
        if let Some(user) = &caller.user {
            principals.push((Principal::User, self.fixed.user_uid(user)));
            entities.push(self.fixed.user(user, step)?);
        }
        if let Some(workload) = &caller.workload {
            principals.push((Principal::Workload, self.fixed.workload_uid(workload)));
            entities.push(self.fixed.workload(workload)?);
        }
        if principals.is_empty() {
            return Err(AskError::NoPrincipal);
        }
        if let Some(session) = question.session {
            let id = uid(&self.fixed.types.session, session);
            entities.push(self.fixed.below_server(id, None, question.server.name.as_str())?);
        }
        Ok((principals, entities))
    }

    fn store(&self, target: &Target, entities: &[Entity]) -> Result<Entities, AskError> {
        let fixed = self
            .fixed
            .store(&target.action)
            .ok_or_else(|| BuildError(format!("no action `{}` in the schema", target.action)))?;
        let added = entities.iter().cloned().chain(target.entity.clone());
        Ok(fixed.clone().add_entities(added, None).map_err(build)?)
    }

    /// What a call asks for: one thing, but for `subscriptions/listen`, which also reads each resource that it names.
    fn targets(&self, question: &Question<'_>) -> Result<Vec<Target>, AskError> {
        let operation = &question.call.operation;
        let method = operation.method();
        let target = match operation {
            Operation::ToolsCall { tool, arguments } => self.tool(question, tool, arguments)?,
            Operation::PromptsGet { prompt, .. } => self.prompt(question, method, prompt)?,
            Operation::Resource { uri, .. } => self.resource(question, method, uri)?,
            Operation::Complete {
                reference: Reference::Prompt(prompt),
            } => self.prompt(question, method, prompt)?,
            Operation::Complete {
                reference: Reference::Resource(uri),
            } => self.resource(question, method, uri)?,
            Operation::Listen { uris } => return self.listen(question, uris),
            Operation::OpenStream { .. } | Operation::EndSession => match question.session {
                // The session is among the entities already.
                Some(session) => plain(method, uid(&self.fixed.types.session, session), None),
                None => self.server(question, method),
            },
            Operation::Initialize { .. }
            | Operation::Task { .. }
            | Operation::Plain { .. }
            | Operation::Response
            | Operation::Unknown { .. } => self.server(question, method),
        };
        Ok(vec![target])
    }

    fn listen(&self, question: &Question<'_>, uris: &[String]) -> Result<Vec<Target>, AskError> {
        if uris.len() > MAX_LISTENED {
            return Err(AskError::TooManyResources);
        }
        let mut targets = vec![self.server(question, "subscriptions/listen")];
        for uri in uris {
            targets.push(self.resource(question, "resources/subscribe", uri)?);
        }
        Ok(targets)
    }

    /// A tool: its action, with arguments that fit it.
    fn tool(
        &self,
        question: &Question<'_>,
        tool: &str,
        arguments: &json::Object,
    ) -> Result<Target, AskError> {
        let server = self.inventory.server(&question.server.name);
        let tool = server
            .and_then(|server| server.tool(tool))
            .ok_or(AskError::UnknownTool)?;
        tool.accept(arguments, question.server.undeclared_arguments)?;
        let converted = tool.to_cedar(arguments);
        Ok(Target {
            action: tool.action.clone(),
            resource: uid(&self.fixed.types.tool, &tool.action),
            entity: None,
            arguments: Some(converted.record),
            omitted: converted.omitted,
        })
    }

    fn server(&self, question: &Question<'_>, method: &str) -> Target {
        plain(
            method,
            uid(&self.fixed.types.server, question.server.name.as_str()),
            None,
        )
    }

    fn resource(&self, question: &Question<'_>, method: &str, uri: &str) -> Result<Target, AskError> {
        let id = uid(&self.fixed.types.resource, uri);
        let server = question.server.name.as_str();
        let entity = self.fixed.below_server(id.clone(), Some(("uri", uri)), server)?;
        Ok(plain(method, id, Some(entity)))
    }

    fn prompt(&self, question: &Question<'_>, method: &str, prompt: &str) -> Result<Target, AskError> {
        let server = question.server.name.as_str();
        let id = uid(&self.fixed.types.prompt, &format!("{server}/{prompt}"));
        let entity = self
            .fixed
            .below_server(id.clone(), Some(("name", prompt)), server)?;
        Ok(plain(method, id, Some(entity)))
    }
}

fn plain(method: &str, resource: EntityUid, entity: Option<Entity>) -> Target {
    Target {
        action: method.to_owned(),
        resource,
        entity,
        arguments: None,
        omitted: Vec::new(),
    }
}
