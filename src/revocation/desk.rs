//! Where every revocation passes, whoever says it: kept first, then recorded and counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::audit::{self, Journal, JournalError, Slot};
use crate::clock::{self, Seldom};
use crate::identity::Verifier;
use crate::identity::notice::{Notice, NoticeError, Told, When};
use crate::identity::revocation::{Order, RevokeError};
use crate::state::{Id, StateError, Used};
use crate::telemetry::Metrics;

/// Takes revocations.
#[derive(Debug)]
pub struct Desk {
    verifier: Arc<Verifier>,
    journal: Journal,
    metrics: Arc<Metrics>,
    resources: Vec<String>,
    /// Notices that were refused, for the log.
    refused: Seldom,
}

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The issuer itself.
    Notice(Notice),
    /// Somebody on this machine, by user id.
    Operator(u32),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It holds, and is remembered until then.
    Revoked(Timestamp),
    /// There was nothing to revoke.
    Nothing,
    /// The notice had come before: nothing is changed by it.
    Again,
}

/// Why it isn't done, or nobody knows that it is.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The notice isn't believed.
    #[error(transparent)]
    Notice(#[from] NoticeError),
    /// It can't be kept.
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    /// It holds, but nobody can tell whether it came before.
    #[error("revoked, but {0}")]
    Repeated(StateError),
    /// It holds, but isn't recorded.
    #[error("revoked, but {0}")]
    Audit(#[from] JournalError),
}

impl DeskError {
    /// The code in metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Notice(error) => error.code(),
            Self::Revoke(RevokeError::UnknownIssuer) => "unknown_issuer",
            Self::Revoke(RevokeError::State(_)) | Self::Repeated(_) => "state_unavailable",
            Self::Audit(_) => "audit_unavailable",
        }
    }

    /// Whether a part of ours is down: it is worth another try.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Notice(error) => error.is_outage(),
            Self::Revoke(RevokeError::UnknownIssuer) => false,
            Self::Revoke(RevokeError::State(_)) | Self::Repeated(_) | Self::Audit(_) => true,
        }
    }
}

impl Source {
    /// Its name in metrics and the audit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice(notice) => notice.name(),
            Self::Operator(_) => "operator",
        }
    }
}

impl Desk {
    /// A desk for these parts of a service, whose MCP servers are these resources.
    pub fn new(
        verifier: Arc<Verifier>,
        journal: Journal,
        metrics: Arc<Metrics>,
        resources: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            verifier,
            journal,
            metrics,
            resources: resources.into_iter().collect(),
            refused: Seldom::default(),
        }
    }

    /// Whose tokens are verified, and what replicas share.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Takes what an issuer tells, if it is the issuer that does.
    ///
    /// # Errors
    /// [`DeskError`]. It was counted and logged.
    pub async fn take_notice(
        &self,
        notice: Notice,
        issuer: &str,
        text: &str,
        within: Duration,
    ) -> Result<Done, DeskError> {
        let started = clock::instant();
        let when = When {
            now: clock::now(),
            started,
            deadline: started.checked_add(within).unwrap_or(started),
        };
        let taken = self.told(notice, issuer, text, when).await;
        let outcome = match &taken {
            Ok(Done::Revoked(_)) => "revoked",
            Ok(Done::Nothing) => "nothing",
            Ok(Done::Again) => "repeated",
            Err(error) => error.code(),
        };
        self.count_notice(issuer, notice.name(), outcome);
        if let Err(error) = &taken
            && let Some(count) = self.refused.came_up(started)
        {
            // The name is the sender's word until it is one of ours.
            let issuer = self.known_name(issuer);
            tracing::warn!(issuer, notice = notice.name(), reason = error.code(), count, %error, "an issuer's notice was refused");
        }
        taken
    }

    async fn told(&self, notice: Notice, issuer: &str, text: &str, when: When) -> Result<Done, DeskError> {
        let reading = self
            .verifier
            .read_notice(notice, issuer, text, &self.resources, when);
        let Told { order, id, keep } = reading.await?;
        if order.what.is_empty() {
            return Ok(Done::Nothing);
        }
        self.carry_out(&order, Source::Notice(notice), Some((id, keep)), when.deadline)
            .await
    }

    /// Counts a notice that was taken or refused.
    pub(super) fn count_notice(&self, issuer: &str, notice: &'static str, outcome: &'static str) {
        self.metrics.notice(self.known_name(issuer), notice, outcome);
    }

    fn known_name<'a>(&'a self, issuer: &str) -> &'a str {
        let settings = self.verifier.issuer_settings(Some(issuer));
        settings.map_or("none", |settings| &settings.name)
    }

    /// Carries out what somebody said who may.
    ///
    /// # Errors
    /// [`DeskError`], also if it holds and isn't recorded.
    pub async fn carry_out(
        &self,
        order: &Order,
        source: Source,
        once: Option<(Id, Duration)>,
        deadline: Instant,
    ) -> Result<Done, DeskError> {
        // Before anything else may fail. What comes twice finds itself done.
        let keep_until = self.verifier.revoke(order, deadline).await?;
        let slot = self.journal.reserve(deadline).await?;
        let again = match once {
            Some((id, keep)) => self.verifier.store().use_once(id, keep, deadline).await,
            None => Ok(Used::First {
                remembers_since: Timestamp::MIN,
            }),
        };
        if again == Ok(Used::Again) {
            return Ok(Done::Again);
        }
        self.record(slot, order, source, keep_until, deadline).await?;
        again.map_err(DeskError::Repeated)?;
        Ok(Done::Revoked(keep_until))
    }

    async fn record(
        &self,
        slot: Slot,
        order: &Order,
        source: Source,
        keep_until: Timestamp,
        deadline: Instant,
    ) -> Result<(), JournalError> {
        let (mut revoked, mut operator) = (Vec::new(), None);
        if let Source::Operator(uid) = source {
            operator = Some(uid);
        }
        for (kind, value) in &order.what {
            self.metrics.revocation(kind.name(), source.name());
            tracing::info!(
                issuer = order.issuer, kind = kind.name(), source = source.name(), operator,
                issued_until = %order.issued_until, "tokens were revoked"
            );
            revoked.push(audit::What {
                kind: kind.name(),
                value: value.clone(),
            });
        }
        let record = audit::Revoked {
            time: clock::now(),
            issuer: order.issuer.clone(),
            source: source.name(),
            operator,
            revoked,
            issued_until: order.issued_until,
            keep_until,
        };
        slot.commit_revoked(&record).durable(deadline).await
    }
}
