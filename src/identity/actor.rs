//! Who acts for the user: a token's `act` (RFC 8693 §4.1), or the client that it was issued to, to an [`Actor`].
//!
//! Refused: an `act` that names nobody, somebody whom this issuer may not name, or another than the client does; and where the
//! server asks about actors, a token without one, and a workload that isn't the one that calls.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::caller::{Acting, Actor, Agent, Workload};
use super::workload::Workloads;
use super::{IdentityError, settings};
use crate::inventory::{Requirement, Server};
use crate::spiffe::{self, SpiffeId};

/// Actors that one token may name, the current one included.
pub(super) const MOST_ACTORS: usize = 8;

type Claims = Map<String, Value>;

/// The actor that the claims of a token name, which was issued to this client.
pub(super) fn read(
    claims: &Claims,
    client: Option<&str>,
    settings: &settings::Issuer,
) -> Result<Option<Arc<Actor>>, IdentityError> {
    let of_client = client.filter(|client| {
        let listed = settings.clients.get(*client);
        listed.is_some_and(|client| client.actor)
    });
    let Some(act) = claims.get("act").filter(|act| !act.is_null()) else {
        // Keycloak's token exchange writes no `act`, but changes `azp`.
        return Ok(of_client.map(|client| {
            Arc::new(Actor {
                current: Acting::Agent(Agent::client(&settings.issuer, client)),
                earlier: Vec::new(),
            })
        }));
    };
    let actor = chain(act, settings)?;
    match of_client {
        Some(client) if !is_client(&actor, client) => Err(IdentityError::ActorAmbiguous),
        _ => Ok(Some(Arc::new(actor))),
    }
}

/// An actor and those before it. Only the outermost is held against who may be named: the others decide nothing.
fn chain(outermost: &Value, settings: &settings::Issuer) -> Result<Actor, IdentityError> {
    let mut actors = Vec::new();
    let mut next = Some(outermost);
    while let Some(act) = next {
        if actors.len() >= MOST_ACTORS {
            return Err(IdentityError::TooManyActors);
        }
        let members = act.as_object().ok_or(IdentityError::ActorMalformed)?;
        actors.push(one(members, settings)?);
        next = members.get("act").filter(|act| !act.is_null());
    }
    let mut actors = actors.into_iter();
    let (current, issuer) = actors.next().ok_or(IdentityError::ActorMalformed)?;
    if issuer != settings.issuer && !settings.actor_issuers.contains(&issuer) {
        return Err(IdentityError::ActorIssuerNotAccepted);
    }
    let key = |acting: Acting| match acting {
        Acting::Workload(workload) => workload.key().to_owned(),
        Acting::Agent(agent) => agent.key().to_owned(),
    };
    Ok(Actor {
        current,
        earlier: actors.map(|(acting, _)| key(acting)).collect(),
    })
}

/// Whom one object of the chain names, and whose name it says that it is. Other members (`exp`, `aud` …) mean nothing here
/// (RFC 8693 §4.1).
fn one(members: &Claims, settings: &settings::Issuer) -> Result<(Acting, String), IdentityError> {
    let issuer = text(members, "iss")?.unwrap_or(&settings.issuer);
    // An issuer's URL has no fragment: a key with one would be another's.
    if issuer.contains('#') {
        return Err(IdentityError::ActorMalformed);
    }
    let acting = match (text(members, "sub")?, text(members, "client_id")?) {
        (Some(subject), _) if spiffe::claims_to_be(subject) => {
            let spiffe_id = SpiffeId::parse(subject).map_err(|_| IdentityError::ActorMalformed)?;
            Acting::Workload(Workload { spiffe_id })
        }
        (Some(subject), client) => Acting::Agent(Agent::subject(issuer, subject, client)),
        (None, Some(client)) => Acting::Agent(Agent::client(issuer, client)),
        (None, None) => return Err(IdentityError::ActorMalformed),
    };
    Ok((acting, issuer.to_owned()))
}

fn text<'a>(members: &'a Claims, name: &str) -> Result<Option<&'a str>, IdentityError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(IdentityError::ActorMalformed),
    }
}

/// Whether an actor is known to be this client.
fn is_client(actor: &Actor, client: &str) -> bool {
    match &actor.current {
        Acting::Workload(_) => false,
        Acting::Agent(agent) => match (&agent.client_id, &agent.subject) {
            (Some(id), _) => id == client,
            (None, subject) => subject.as_deref() == Some(client),
        },
    }
}

/// Holds what the token says against what is trusted, and against the workload that calls.
///
/// What an actor is doesn't depend on the server; that there is one, and that it calls itself, is asked only where it is
/// to decide. An issuer may call anybody an actor, and a token may be stolen: only the workload itself proves which it is.
pub(super) fn check(
    actor: Option<&Actor>,
    workload: Option<&Workload>,
    workloads: &Workloads,
    server: &Server,
) -> Result<(), IdentityError> {
    let required = server.require.contains(&Requirement::Actor);
    let Some(actor) = actor else {
        return if required {
            Err(IdentityError::ActorMissing)
        } else {
            Ok(())
        };
    };
    let Acting::Workload(acting) = &actor.current else {
        return Ok(());
    };
    if !workloads.accepts(acting.spiffe_id.trust_domain()) {
        return Err(IdentityError::ActorForeignTrustDomain);
    }
    if !required || server.proxied_actors {
        return Ok(());
    }
    match workload {
        Some(workload) if workload == acting => Ok(()),
        Some(_) => Err(IdentityError::ActorDisagrees),
        None => Err(IdentityError::WorkloadMissing),
    }
}
