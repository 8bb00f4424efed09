//! One question to all the policies: what is asked, of whom, and what comes of it.

use cedar_policy::{Entities, Entity, EntityUid, Request};

use super::context::{Costly, context};
use super::entities::{BuildError, Fixed, StepUp, build, uid};
use super::evaluate::Engine;
use super::target::{MAX_LISTENED, Target};
use super::verdict::{Principal, Verdict};
use super::{Question, code, load, suite};
use crate::inventory::{ArgumentError, Files, Inventory, Place, Problem, Requirement, Server};

/// Everything that decides: the policies of one directory as they were at one moment, with the tools they are about.
#[derive(Debug)]
pub struct PolicySet {
    pub(super) engine: Engine,
    pub(super) fixed: Fixed,
    pub(super) inventory: Inventory,
    pub(super) costly: Costly,
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
    /// The code of its reason, as policy tests, audit and metrics write it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoPrincipal => code::NO_PRINCIPAL,
            Self::MissingIdentity(_) => code::MISSING_IDENTITY,
            Self::UnknownTool => code::UNKNOWN_TOOL,
            Self::Arguments(argument) if argument.undeclared => code::UNDECLARED_ARGUMENT,
            Self::Arguments(_) => code::ARGUMENTS_DONT_FIT,
            Self::UnrepresentableArgument { .. } => code::ARGUMENT_UNREPRESENTABLE,
            Self::TooManyResources => code::TOO_MANY_RESOURCES,
            Self::Build(_) => code::INTERNAL,
        }
    }
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

    pub(super) fn ask_as(&self, question: &Question<'_>, step: &StepUp) -> Result<Vec<Verdict>, AskError> {
        let (principals, entities) = self.principals(question, step)?;
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(principals.len());
        for target in self.targets(question)? {
            let store = self.store(&target, &entities)?;
            let context = context(question, &self.fixed, target.arguments, self.costly)?;
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
    pub(super) fn principals(
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

    pub(super) fn store(&self, target: &Target, entities: &[Entity]) -> Result<Entities, AskError> {
        let fixed = self
            .fixed
            .store(&target.action)
            .ok_or_else(|| BuildError(format!("no action `{}` in the schema", target.action)))?;
        let added = entities.iter().cloned().chain(target.entity.clone());
        Ok(fixed.clone().add_entities(added, None).map_err(build)?)
    }
}
