//! One question to all the policies: what is asked, of whom, and what comes of it.

pub(super) mod actions;
pub(super) mod context;
pub(super) mod decisions;
pub(super) mod entities;
pub(super) mod evaluate;
pub(super) mod index;
pub(super) mod knowledge;
pub(super) mod peers;
pub(super) mod reads;
pub(super) mod scope;
pub(super) mod standing;
pub(super) mod target;
pub(super) mod telling;
pub(super) mod values;

use std::borrow::Cow;
use std::sync::Arc;

use cedar_policy::{Context, Entities};

use self::context::context;
use self::decisions::{DecisionStatus, Decisions, Lookups};
use self::entities::{BuildError, Fixed, StepUp, build, uid};
use self::evaluate::Engine;
use self::peers::Peers;
use self::standing::{Standing, Standings, Standpoint};
use self::target::{MAX_LISTENED, Target};
use super::explain::conditions::Known;
use super::load::kept::Kept;
use super::settings::DecisionCache;
use super::verdict::Verdict;
use super::{Question, code, load, suite};
use crate::inventory::{ArgumentError, Files, Inventory, Place, Problem, Requirement, Server};

/// Everything that decides: the policies of one directory as they were at one moment, with the tools they are about.
#[derive(Debug)]
pub struct PolicySet {
    pub(super) engine: Engine,
    pub(super) fixed: Fixed,
    pub(super) inventory: Inventory,
    pub(super) standings: Standings,
    pub(super) peers: Peers,
    pub(super) decisions: Decisions,
    pub(super) version: String,
    pub(super) warnings: Vec<Problem>,
    pub(super) report: suite::Report,
    /// For explanations.
    pub(super) conditions: Known,
    #[cfg(test)]
    pub(super) plain: load::Plain,
}

/// A question in Cedar's words, as it is the same for each principal.
pub(super) struct Posed<'a> {
    pub(super) context: Context,
    pub(super) entities: Cow<'a, Entities>,
    /// Arguments whose values Cedar can't hold.
    pub(super) omitted: Vec<Place>,
}

/// Why no verdict can be given. Each denies, with a reason of its own.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AskError {
    /// The call brings neither a user nor a workload.
    #[error("nobody to ask about: the call brings no identity")]
    NoPrincipal,
    /// The server requires an identity that the call doesn't bring.
    #[error("the server requires an identity that doesn't come with the call: the {}", .0.as_str())]
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
        Self::reload(files, servers, &mut Kept::default())
    }

    /// Like [`PolicySet::load`], but whatever depends on nothing that changed since the last load is not read and validated
    /// again.
    ///
    /// # Errors
    /// Everything that is wrong with it. Nothing of such a directory may rule.
    pub fn reload(files: &Files, servers: &[Server], kept: &mut Kept) -> Result<Self, Vec<Problem>> {
        let set = load::load(files, servers, kept)?;
        suite::passed(set, files, servers)
    }

    /// Like [`PolicySet::load`], with the tests' failures in [`PolicySet::tests`] rather than as errors.
    ///
    /// # Errors
    /// Everything else that is wrong with the directory.
    pub fn load_and_test(files: &Files, servers: &[Server]) -> Result<Self, Vec<Problem>> {
        let mut set = load::load(files, servers, &mut Kept::default())?;
        set.report = set.test(files, servers, None, &mut |_, _| {})?;
        Ok(set)
    }

    /// Loads and validates a policy directory without running its tests: they are to be run apart ([`PolicySet::test`]).
    ///
    /// # Errors
    /// Everything that is wrong with it but for its tests.
    pub fn load_untested(files: &Files, servers: &[Server]) -> Result<Self, Vec<Problem>> {
        load::load(files, servers, &mut Kept::default())
    }

    /// The same set with nothing remembered of what it was asked, and with so much room to remember what it will be.
    #[must_use]
    pub fn remembering(self, room: DecisionCache, lookups: Arc<Lookups>) -> Self {
        Self {
            standings: standing::none(),
            decisions: Decisions::new(room, lookups),
            ..self
        }
    }

    /// How its decisions fare.
    #[must_use]
    pub fn decisions(&self) -> DecisionStatus {
        self.decisions.status()
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
        Self::identified(question)?;
        self.ask_of(question, &self.targets(question)?, step)
    }

    /// Asks about everything that a call is for.
    pub(super) fn ask_of(
        &self,
        question: &Question<'_>,
        targets: &[Target<'_>],
        step: &StepUp,
    ) -> Result<Vec<Verdict>, AskError> {
        let mut verdicts: Vec<Verdict> = Vec::new();
        for target in targets {
            let standing = self.standing(question, target, step)?;
            let on_target = Arc::unwrap_or_clone(self.decided(question, target, &standing)?);
            for (index, verdict) in on_target.into_iter().enumerate() {
                match verdicts.get_mut(index) {
                    Some(sofar) => sofar.also(verdict),
                    None => verdicts.push(verdict),
                }
            }
        }
        Ok(verdicts)
    }

    /// Asks about every principal before one target.
    pub(super) fn verdicts(
        &self,
        question: &Question<'_>,
        target: &Target<'_>,
        standing: &Standing,
    ) -> Result<Vec<Verdict>, AskError> {
        let posed = self.pose(question, target, standing)?;
        let mut verdicts = Vec::with_capacity(standing.principals.len());
        for standpoint in &standing.principals {
            self.representable(&posed.omitted, standpoint)?;
            let request = self.request(&standpoint.uid, target, posed.context.clone())?;
            verdicts.push(self.engine.evaluate(
                standpoint.principal,
                &request,
                &posed.entities,
                &standpoint.candidates,
            ));
        }
        Ok(verdicts)
    }

    /// Puts a question about one target into Cedar's words, but for who is asked about.
    pub(super) fn pose<'a>(
        &self,
        question: &Question<'_>,
        target: &Target<'_>,
        standing: &'a Standing,
    ) -> Result<Posed<'a>, AskError> {
        let given = target.arguments.filter(|_| standing.needs.arguments);
        let converted = given.map(|(tool, arguments)| tool.selected_to_cedar(arguments, &standing.arguments));
        let (arguments, omitted) = converted
            .map(|converted| (converted.record, converted.omitted))
            .unzip();
        Ok(Posed {
            context: context(
                question,
                standing.user.as_deref(),
                &self.fixed,
                arguments,
                standing.needs,
            )?,
            entities: self.with_session(question, target, standing)?,
            omitted: omitted.unwrap_or_default(),
        })
    }

    /// The entities of a standing, and the session's where a policy looks at it.
    fn with_session<'a>(
        &self,
        question: &Question<'_>,
        target: &Target<'_>,
        standing: &'a Standing,
    ) -> Result<Cow<'a, Entities>, BuildError> {
        let id = question
            .session
            .filter(|_| standing.needs.session)
            .map(|session| uid(&self.fixed.types.session, session))
            .filter(|id| *id != target.resource);
        let Some(id) = id else {
            return Ok(Cow::Borrowed(&standing.entities));
        };
        let session = self.fixed.below_server(id, None, question.server.name.as_str())?;
        let entities = standing.entities.clone().add_entities([session], None);
        Ok(Cow::Owned(entities.map_err(build)?))
    }

    /// Refuses a call with a value that Cedar doesn't see, if a policy whose scope the call is in reads that very place.
    fn representable(&self, omitted: &[Place], standpoint: &Standpoint) -> Result<(), AskError> {
        if omitted.is_empty() {
            return Ok(());
        }
        let candidates = self.engine.ruling(std::iter::once(&*standpoint.candidates));
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
}
