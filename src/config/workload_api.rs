//! What the SPIFFE Workload API is needed for, where it is, and what contradicts that.

use std::ffi::{OsStr, OsString};

use crate::spiffe::settings::BundleSource;
use crate::spiffe::workload_api::address::VARIABLE;
use crate::spiffe::workload_api::{Choice, Wanted};
use crate::spiffe::{SpiffeId, TrustDomain};
use crate::wire::settings::WorkloadTls;

use super::Config;
use super::problem::Problem;
use super::tree::{Place, Step};

const AN_ADDRESS: &str = "for instance `workload_api: {socket: unix:///run/spire/agent.sock}`";

impl Config {
    /// What is asked of the Workload API; `None` where nothing needs it.
    #[must_use]
    pub fn wanted_of_workload_api(&self) -> Option<Wanted> {
        let choice = |tls: &WorkloadTls| match &tls.spiffe_id {
            // What is no SPIFFE ID was refused.
            Some(id) => SpiffeId::parse(id).map_or(Choice::Default, Choice::Of),
            None => Choice::Default,
        };
        let x509 = self.tls_by_workload_api().map(choice);
        let jwt = self.workload_api.socket.is_some() || self.bundle_by_workload_api().is_some();
        (x509.is_some() || jwt).then_some(Wanted { x509, jwt })
    }

    /// The first trust domain whose bundle is the Workload API's, if there is one.
    fn bundle_by_workload_api(&self) -> Option<usize> {
        let mut domains = self.identity.spiffe.trust_domains.iter();
        domains.position(|domain| domain.bundle == Some(BundleSource::WorkloadApi))
    }

    /// The listener's TLS, where it is by the Workload API.
    #[must_use]
    pub fn tls_by_workload_api(&self) -> Option<&WorkloadTls> {
        self.grpc.tls.as_ref()?.workload_api.as_ref()
    }
}

/// The variable's value, if it is there.
pub(super) fn variable(environment: &[(OsString, OsString)]) -> Option<&OsStr> {
    let found = environment.iter().rfind(|(name, _)| name == VARIABLE);
    found.map(|(_, value)| value.as_os_str())
}

/// Takes the address from the environment where it is needed and the configuration names none.
pub(super) fn complete(config: &mut Config, variable: Option<&OsStr>, problems: &mut Vec<Problem>) {
    if config.workload_api.socket.is_some() || config.wanted_of_workload_api().is_none() {
        return;
    }
    let Some(value) = variable else { return };
    match value.to_string_lossy().parse() {
        Ok(address) => config.workload_api.socket = Some(address),
        Err(error) => {
            let problem = Problem::at(Place::Variable(VARIABLE.into()), error.to_string());
            problems.push(problem.help(AN_ADDRESS));
        }
    }
}

/// Names that are none, gateways that could never be known, and a Workload API that is nowhere.
pub(super) fn check(config: &Config, report: &mut impl FnMut(&[Step], String, &str)) {
    let nowhere =
        || format!("nothing says where the Workload API is: neither `workload_api.socket` nor `{VARIABLE}`");
    if let Some(index) = config.bundle_by_workload_api()
        && config.workload_api.socket.is_none()
    {
        let mut path = ["identity", "spiffe", "trust_domains"]
            .map(|step| Step::Key(step.to_owned()))
            .to_vec();
        path.push(Step::Index(index));
        report(&path, nowhere(), AN_ADDRESS);
    }
    let Some(tls) = config.tls_by_workload_api() else {
        return;
    };
    let at = |steps: &[&str]| -> Vec<Step> {
        let path = ["grpc", "tls", "workload_api"].iter().chain(steps);
        path.map(|step| Step::Key((*step).to_owned())).collect()
    };
    if config.workload_api.socket.is_none() {
        report(&at(&[]), nowhere(), AN_ADDRESS);
    }
    for (index, name) in tls.trust_domains.iter().enumerate() {
        if let Err(error) = TrustDomain::parse(name) {
            let mut path = at(&["trust_domains"]);
            path.push(Step::Index(index));
            let help = "write its bare name, for instance `mcp-identity.local`";
            report(&path, format!("`{name}` is no trust domain: {error}"), help);
        }
    }
    if let Some(id) = &tls.spiffe_id
        && let Err(error) = SpiffeId::parse(id)
    {
        let help = "write it whole, for instance `spiffe://mcp-identity.local/mcp-authz`";
        report(
            &at(&["spiffe_id"]),
            format!("`{id}` is no SPIFFE ID: {error}"),
            help,
        );
    }
    of_gateways(config, tls, report);
}

/// By an X.509-SVID a gateway is known by its SPIFFE ID, and by nothing else.
fn of_gateways(config: &Config, tls: &WorkloadTls, report: &mut impl FnMut(&[Step], String, &str)) {
    for (index, gateway) in config.identity.gateways.iter().enumerate() {
        let Some(name) = &gateway.certificate else {
            continue;
        };
        let domain = SpiffeId::parse(name).map(|id| id.trust_domain().to_owned());
        let problem = match domain {
            Err(error) => format!(
                "`{name}` could never connect: the listener takes SPIFFE IDs alone, and it is none: {error}"
            ),
            Ok(domain) if !tls.trust_domains.contains(&domain) => {
                format!(
                    "`{name}` could never connect: its trust domain is not in `grpc.tls.workload_api.trust_domains`"
                )
            }
            Ok(_) => continue,
        };
        let path = [
            Step::Key("identity".to_owned()),
            Step::Key("gateways".to_owned()),
            Step::Index(index),
            Step::Key("certificate".to_owned()),
        ];
        let help = "name the SPIFFE ID of its X.509-SVID, of a trust domain that is listed";
        report(&path, problem, help);
    }
}
