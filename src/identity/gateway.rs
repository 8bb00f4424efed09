//! Which gateways are believed, and about what.

use std::net::IpAddr;

use ipnet::IpNet;

use super::IdentitySetupError;
use super::settings::{Trust, TrustedGateway};
use crate::exchange::{Gateway, Peer};

/// The gateways that are believed about something.
#[derive(Debug)]
pub(super) struct Gateways(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    certificate: Option<String>,
    network: Option<IpNet>,
    unix: bool,
    trusted_for: Vec<Trust>,
}

impl Gateways {
    pub(super) fn new(settings: &[TrustedGateway]) -> Result<Self, IdentitySetupError> {
        settings
            .iter()
            .map(Entry::new)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether any entry that this gateway fits believes it about this.
    pub(super) fn trusts(&self, gateway: &Gateway, about: Trust) -> bool {
        self.0
            .iter()
            .any(|entry| entry.trusted_for.contains(&about) && entry.is(gateway))
    }
}

impl Entry {
    fn new(settings: &TrustedGateway) -> Result<Self, IdentitySetupError> {
        let refuse = |problem: String| IdentitySetupError::Gateway {
            gateway: settings.name.clone(),
            problem,
        };
        if settings.certificate.is_none() && settings.address.is_none() && !settings.unix {
            return Err(refuse(
                "say by what it is recognised: `certificate`, `address` or `unix: true`".to_owned(),
            ));
        }
        if settings.unix && (settings.address.is_some() || settings.certificate.is_some()) {
            return Err(refuse(
                "a Unix socket has no address and no certificate: write two entries".to_owned(),
            ));
        }
        if settings.certificate.as_deref() == Some("") {
            return Err(refuse("`certificate` is empty".to_owned()));
        }
        let network = settings.address.as_deref().map(network).transpose();
        let network = network.map_err(|text| refuse(format!("`{text}` is no address or network")))?;
        Ok(Self {
            certificate: settings.certificate.clone(),
            network,
            unix: settings.unix,
            trusted_for: settings.trusted_for.clone(),
        })
    }

    fn is(&self, gateway: &Gateway) -> bool {
        if self.unix {
            return gateway.peer == Peer::Unix;
        }
        let certificate = self
            .certificate
            .as_ref()
            .is_none_or(|name| gateway.certificate_names.contains(name));
        let network = self.network.is_none_or(|network| match gateway.peer {
            // A dual-stack listener sees IPv4 peers as ::ffff:a.b.c.d.
            Peer::Tcp(address) => network.contains(&address.to_canonical()),
            Peer::Unix | Peer::Unknown => false,
        });
        certificate && network
    }
}

fn network(text: &str) -> Result<IpNet, &str> {
    let network = text.parse::<IpNet>().ok();
    network
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        .ok_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(peer: Peer, names: &[&str]) -> Gateway {
        Gateway {
            peer,
            certificate_names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn trusted(certificate: Option<&str>, address: Option<&str>, unix: bool) -> TrustedGateway {
        TrustedGateway {
            name: "edge".to_owned(),
            certificate: certificate.map(str::to_owned),
            address: address.map(str::to_owned),
            unix,
            trusted_for: vec![Trust::Xfcc],
        }
    }

    #[test]
    fn recognises_a_gateway_by_all_that_is_configured() {
        let tcp = |address: &str| Peer::Tcp(address.parse().unwrap());
        let cases = [
            (
                trusted(None, Some("10.0.0.0/8"), false),
                gateway(tcp("10.1.2.3"), &[]),
                true,
            ),
            (
                trusted(None, Some("10.0.0.0/8"), false),
                gateway(tcp("::ffff:10.1.2.3"), &[]),
                true,
            ),
            (
                trusted(None, Some("10.0.0.0/8"), false),
                gateway(tcp("11.1.2.3"), &[]),
                false,
            ),
            (
                trusted(None, Some("127.0.0.1"), false),
                gateway(Peer::Unix, &[]),
                false,
            ),
            (
                trusted(None, Some("0.0.0.0/0"), false),
                gateway(Peer::Unknown, &[]),
                false,
            ),
            (
                trusted(Some("spiffe://td/gw"), None, false),
                gateway(tcp("1.1.1.1"), &["spiffe://td/gw"]),
                true,
            ),
            (
                trusted(Some("spiffe://td/gw"), None, false),
                gateway(tcp("1.1.1.1"), &["spiffe://td/gw2"]),
                false,
            ),
            (
                trusted(Some("gw"), Some("127.0.0.0/8"), false),
                gateway(tcp("127.0.0.1"), &[]),
                false,
            ),
            (
                trusted(Some("gw"), Some("127.0.0.0/8"), false),
                gateway(tcp("128.0.0.1"), &["gw"]),
                false,
            ),
            (trusted(None, None, true), gateway(Peer::Unix, &[]), true),
            (trusted(None, None, true), gateway(tcp("127.0.0.1"), &[]), false),
        ];
        for (settings, gateway, expected) in cases {
            let gateways = Gateways::new(std::slice::from_ref(&settings)).unwrap();
            assert_eq!(
                gateways.trusts(&gateway, Trust::Xfcc),
                expected,
                "{settings:?} {gateway:?}"
            );
            assert!(!gateways.trusts(&gateway, Trust::Principal));
        }
    }

    #[test]
    fn refuses_entries_that_recognise_nothing_or_everything() {
        for settings in [
            trusted(None, None, false),
            trusted(Some(""), None, false),
            trusted(None, Some("10.0.0.0/99"), false),
            trusted(None, Some("gateway.example"), false),
            trusted(None, Some("127.0.0.1"), true),
        ] {
            assert!(Gateways::new(&[settings]).is_err());
        }
    }
}
