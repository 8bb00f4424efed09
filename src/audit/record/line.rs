//! A [`Record`] as JSON, written straight into the line: every call writes one.
//!
//! By way of serde each text was looked at twice, byte by byte, and each field passed three calls: that was a fifteenth of the
//! time of a check.

use std::io::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;

use super::{
    Batch, Durations, MAX_POLICIES, PolicyEffect, Record, ShadowOpinion, Text, User, clipped, to_plain_json,
};
use crate::audit::redact::Redacted;
use crate::exchange::printable;

/// Adds the record, without its newline. A field that is added does not compile until it is here.
pub(super) fn write(record: &Record<'_>, line: &mut Vec<u8>) {
    let Record {
        time,
        decision_id,
        outcome,
        reason,
        server,
        method,
        protocol_version,
        target,
        target_kind,
        user,
        workload,
        actor,
        actor_client,
        actors,
        tenant,
        session,
        policies,
        shadow,
        policy_version,
        durations_us,
        trace_id,
        gateway,
        request_id,
        client,
        batch,
        arguments,
    } = record;
    let mut object = Object::begin(line);
    object.time("time", *time);
    object.text("decision_id", decision_id);
    object.text("outcome", outcome);
    object.word("reason", *reason);
    object.maybe("server", server.as_ref());
    object.maybe("method", method.as_ref());
    object.word("protocol_version", *protocol_version);
    object.maybe("target", target.as_ref());
    object.word("target_kind", *target_kind);
    object.user("user", user.as_ref());
    object.maybe("workload", workload.as_ref());
    object.maybe("actor", actor.as_ref());
    object.maybe("actor_client", actor_client.as_ref());
    object.list("actors", actors);
    object.maybe("tenant", tenant.as_ref());
    object.maybe("session", session.as_ref());
    object.policies("policies", policies);
    object.opinions("shadow", shadow);
    object.maybe("policy_version", policy_version.as_ref());
    object.durations("durations_us", *durations_us);
    object.maybe("trace_id", trace_id.as_ref());
    object.text("gateway", gateway);
    object.maybe("request_id", request_id.as_ref());
    object.address("client", *client);
    object.batch("batch", *batch);
    object.arguments(arguments.as_ref());
    object.end();
}

/// An object on its way.
struct Object<'a> {
    line: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    fn begin(line: &'a mut Vec<u8>) -> Self {
        line.push(b'{');
        Self { line, empty: true }
    }

    fn end(self) {
        self.line.push(b'}');
    }

    /// The name of a member of ours, which needs no escape; its value is to follow.
    fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.line.push(b',');
        }
        self.line.push(b'"');
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
        self.line
    }

    fn text(&mut self, name: &'static str, text: &str) {
        put_text(self.name(name), text);
    }

    fn maybe(&mut self, name: &'static str, text: Option<&Text<'_>>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn word(&mut self, name: &'static str, word: Option<&'static str>) {
        if let Some(word) = word {
            self.text(name, word);
        }
    }

    fn number(&mut self, name: &'static str, number: u64) {
        // Writing to a Vec doesn't fail, here and below.
        let _ = write!(self.name(name), "{number}");
    }

    fn time(&mut self, name: &'static str, time: Timestamp) {
        let _ = write!(self.name(name), "\"{time:.6}\"");
    }

    fn address(&mut self, name: &'static str, address: Option<IpAddr>) {
        if let Some(address) = address {
            let line = self.name(name);
            line.push(b'"');
            printable::push_address(line, address);
            line.push(b'"');
        }
    }

    fn list(&mut self, name: &'static str, texts: &[Text<'_>]) {
        if !texts.is_empty() {
            put_list(self.name(name), texts.iter(), |line, text| put_text(line, text));
        }
    }

    fn user(&mut self, name: &'static str, user: Option<&User<'_>>) {
        let Some(User {
            issuer,
            subject,
            username,
            claims,
        }) = user
        else {
            return;
        };
        let mut object = Object::begin(self.name(name));
        object.text("issuer", issuer);
        object.text("subject", subject);
        object.text("username", username);
        if let Some(claims) = claims {
            object.name("claims").extend_from_slice(claims.get().as_bytes());
        }
        object.end();
    }

    fn policies(&mut self, name: &'static str, policies: &[PolicyEffect<'_>]) {
        if policies.is_empty() {
            return;
        }
        let omitted = policies.len().saturating_sub(MAX_POLICIES);
        let last = (omitted > 0).then_some(Shown::Omitted(omitted));
        let shown = policies.iter().take(MAX_POLICIES).map(Shown::Policy);
        put_list(self.name(name), shown.chain(last), |line, shown| {
            let mut object = Object::begin(line);
            match shown {
                Shown::Policy(PolicyEffect {
                    id,
                    principal,
                    effect,
                }) => {
                    object.text("id", id);
                    object.text("principal", principal);
                    object.text("effect", effect);
                }
                Shown::Omitted(count) => object.number("omitted", wide(count)),
            }
            object.end();
        });
    }

    fn opinions(&mut self, name: &'static str, opinions: &[ShadowOpinion<'_>]) {
        if opinions.is_empty() {
            return;
        }
        put_list(self.name(name), opinions.iter(), |line, opinion| {
            let ShadowOpinion {
                from,
                would,
                code,
                because,
                policies,
                policy_version,
            } = opinion;
            let mut object = Object::begin(line);
            object.text("from", from);
            object.text("would", would);
            object.word("code", *code);
            object.word("because", *because);
            object.policies("policies", policies);
            object.maybe("policy_version", policy_version.as_ref());
            object.end();
        });
    }

    fn durations(&mut self, name: &'static str, durations: Durations) {
        let Durations {
            total,
            read,
            identity,
            policy,
        } = durations;
        let mut object = Object::begin(self.name(name));
        object.number("total", total);
        for (name, stage) in [("read", read), ("identity", identity), ("policy", policy)] {
            if let Some(stage) = stage {
                object.number(name, stage);
            }
        }
        object.end();
    }

    fn batch(&mut self, name: &'static str, batch: Option<Batch>) {
        let Some(Batch { index, size }) = batch else {
            return;
        };
        let mut object = Object::begin(self.name(name));
        object.number("index", wide(index));
        object.number("size", wide(size));
        object.end();
    }

    fn arguments(&mut self, redacted: Option<&Redacted>) {
        let Some(Redacted {
            arguments,
            omitted,
            shown,
        }) = redacted
        else {
            return;
        };
        self.name("arguments").extend_from_slice(arguments.as_bytes());
        if *omitted > 0 {
            self.number("arguments_omitted", wide(*omitted));
        }
        self.text("arguments_as", shown.name());
    }
}

/// An entry of the list of policies.
enum Shown<'a> {
    Policy(&'a PolicyEffect<'a>),
    /// Stands at the end of a list that was cut.
    Omitted(usize),
}

fn put_list<T>(line: &mut Vec<u8>, items: impl Iterator<Item = T>, put: impl Fn(&mut Vec<u8>, T)) {
    line.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            line.push(b',');
        }
        put(line, item);
    }
    line.push(b']');
}

/// A text as a string of JSON, bounded, in which nothing disturbs the line.
fn put_text(line: &mut Vec<u8>, text: &str) {
    let text = clipped(text);
    if printable::stands_for_itself(&text) {
        line.push(b'"');
        line.extend_from_slice(text.as_bytes());
        line.push(b'"');
    } else {
        line.extend(to_plain_json(&text));
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
