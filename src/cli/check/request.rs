//! A request as a file describes it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::clock;
use crate::config::Config;
use crate::exchange::{Body, Exchange, Fate, Gateway, Headers, Peer, Source};
use crate::identity::settings::TrustedGateway;

/// What a gateway would say of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    #[serde(default = "post")]
    method: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    context: HashMap<String, String>,
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    address: Option<IpAddr>,
    #[serde(default)]
    gateway: Option<String>,
}

fn post() -> String {
    "POST".to_owned()
}

impl Request {
    /// The same as an exchange that began now.
    ///
    /// # Errors
    /// The gateway isn't a configured one.
    pub(super) fn exchange(self, config: &Config, patience: Duration) -> miette::Result<Exchange> {
        let gateway = match &self.gateway {
            Some(name) => named(name, &config.identity.gateways)?,
            None => Gateway::default(),
        };
        let started = clock::instant();
        Ok(Exchange {
            method: self.method,
            path: self.path,
            host: self.host,
            scheme: "https".to_owned(),
            headers: self.headers.into_iter().collect::<Headers>(),
            body: body(self.body),
            source: Source {
                principal: self.principal,
                certificate: None,
                address: self.address,
            },
            context: self.context,
            filter_metadata: serde_json::Map::new(),
            gateway,
            request_id: String::new(),
            received: clock::now(),
            started,
            deadline: started.checked_add(patience).unwrap_or(started),
            fate: Fate::default(),
        })
    }
}

/// A text is sent as it is, anything else as compact JSON.
fn body(body: Option<Value>) -> Body {
    match body {
        None => Body::Absent,
        Some(Value::String(text)) => Body::Whole(text.into()),
        Some(value) => Body::Whole(value.to_string().into()),
    }
}

/// The gateway of that name, as it would be recognised.
fn named(name: &str, gateways: &[TrustedGateway]) -> miette::Result<Gateway> {
    let known = gateways.iter().find(|gateway| gateway.name == name);
    let gateway =
        known.ok_or_else(|| miette::miette!("`gateway`: no gateway `{name}` in `identity.gateways`"))?;
    let network = gateway
        .address
        .as_deref()
        .and_then(|address| address.split('/').next()?.parse().ok());
    let peer = match network {
        Some(address) => Peer::Tcp(address),
        None if gateway.unix => Peer::Unix,
        None => Peer::Unknown,
    };
    Ok(Gateway {
        peer,
        certificate_names: gateway.certificate.iter().cloned().collect(),
    })
}
