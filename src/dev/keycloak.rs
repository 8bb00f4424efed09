//! A real Keycloak on loopback: started as a part, given realms, asked for tokens, administered.
//!
//! `scripts/tools.sh --keycloak` puts it where it is looked for. Each start has a database of its own in its directory: one
//! that is kept from an earlier start would save a second of eight.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::part::{self, Part, PartError};

mod admin;
pub mod realm;
mod token;

pub use admin::Realm;
pub use token::{Client, Grant, Tokens};

/// The administrator's name; the password is another at every start.
const ADMINISTRATOR: &str = "administrator";

/// Why there is no Keycloak, or why it doesn't do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum KeycloakError {
    /// It isn't installed.
    #[error("`{}` is missing: run `scripts/tools.sh --keycloak`", .0.display())]
    NoTool(PathBuf),
    /// It doesn't start.
    #[error(transparent)]
    Part(#[from] PartError),
    /// The realm's file isn't as expected.
    #[error(transparent)]
    Realm(#[from] realm::Unexpected),
    /// A file or a directory can't be written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It can't be asked.
    #[error("Keycloak can't be asked: {0}")]
    Http(#[from] reqwest::Error),
    /// It refuses.
    #[error("Keycloak refuses: {status} at {place}: {said}")]
    Refused {
        /// The status.
        status: u16,
        /// What was asked.
        place: String,
        /// Its answer: `error` and `error_description` of a token request.
        said: String,
    },
}

/// Where it listens.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// For everybody.
    pub http: u16,
    /// Health.
    pub management: u16,
}

impl Ports {
    /// Two that are free.
    ///
    /// # Errors
    /// [`PartError::NoPort`].
    pub fn free() -> Result<Self, PartError> {
        let [http, management] = part::free_ports()?;
        Ok(Self { http, management })
    }

    /// Its URL: each realm's `iss` begins with it.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// What tokens of a realm say as `iss`.
    #[must_use]
    pub fn issuer(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.base())
    }
}

/// A running Keycloak; it ends when this is dropped.
#[derive(Debug)]
pub struct Keycloak {
    part: Part,
    ports: Ports,
    password: String,
    http: reqwest::Client,
}

impl Keycloak {
    /// Starts it and waits until it is ready: eight seconds on an idle machine.
    ///
    /// # Errors
    /// [`KeycloakError`].
    pub async fn start(tools: &Path, directory: &Path, ports: Ports) -> Result<Self, KeycloakError> {
        let program = tools.join("keycloak/server/bin/kc.sh");
        if !tools.join("keycloak/built").is_file() {
            return Err(KeycloakError::NoTool(program));
        }
        let failed = |source| KeycloakError::File {
            path: directory.to_owned(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(failed)?;
        let directory = directory.canonicalize().map_err(failed)?;
        // Another part of the process may have chosen already: whoever comes first is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build()?;
        let password = uuid::Uuid::now_v7().to_string();
        let command = command(&program, &directory, ports, &password);
        let part = Part::start("keycloak", &command, &directory.join("keycloak.log"))?;
        let mut keycloak = Self {
            part,
            ports,
            password,
            http,
        };
        let management = ports.management;
        keycloak
            .part
            .ready(|| part::answers_ok(management, "/health/ready"))
            .await?;
        Ok(keycloak)
    }

    /// Makes a realm of the shipped file.
    ///
    /// # Errors
    /// [`KeycloakError::Refused`], as when there is one of that name already.
    pub async fn realm(&self, places: &realm::Places) -> Result<Realm, KeycloakError> {
        let configuration = realm::configuration(places)?;
        let realm = Realm::new(
            self.ports,
            self.http.clone(),
            self.password.clone(),
            &places.realm,
            realm::Credentials::of(&configuration),
        );
        realm.import(&configuration).await?;
        Ok(realm)
    }

    /// Makes a realm as Keycloak itself has it, with nobody in it.
    ///
    /// # Errors
    /// [`KeycloakError::Refused`], as when there is one of that name already.
    pub async fn empty_realm(&self, name: &str) -> Result<Realm, KeycloakError> {
        let credentials = realm::Credentials::default();
        let realm = Realm::new(
            self.ports,
            self.http.clone(),
            self.password.clone(),
            name,
            credentials,
        );
        let configuration = serde_json::json!({ "realm": name, "enabled": true });
        realm.import(&configuration).await?;
        Ok(realm)
    }

    /// Where it listens.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.part.log_tail()
    }

    /// Ends it and waits until it has.
    pub async fn stop(&mut self) {
        self.part.stop().await;
    }
}

fn command(program: &Path, directory: &Path, ports: Ports, password: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["start", "--optimized", "--cache=local"])
        .args(["--http-enabled=true", "--http-host=127.0.0.1"])
        .arg(format!("--http-port={}", ports.http))
        .arg(format!("--http-management-port={}", ports.management))
        .arg(format!("--hostname={}", ports.base()))
        .arg(format!(
            "--db-url=jdbc:h2:file:{}/database;NON_KEYWORDS=VALUE",
            directory.display()
        ))
        // It shares the machine with whatever is tried on it.
        .env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx256m")
        .env(
            "JAVA_OPTS_APPEND",
            "-XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        )
        .env("KC_BOOTSTRAP_ADMIN_USERNAME", ADMINISTRATOR)
        .env("KC_BOOTSTRAP_ADMIN_PASSWORD", password);
    command
}
