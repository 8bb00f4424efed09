//! A connection to Redis that may be used: to a server that forgets nothing on its own.

use std::path::{Path, PathBuf};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates};

use super::Settings;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("`{}` can't be read: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("it drops keys when it is full (`maxmemory-policy {0}`): set it to noeviction")]
    Evicts(String),
}

/// Connects, logs in, and looks whether the server would drop keys. Bounded by the timeout of the settings.
pub(super) async fn connect(settings: &Settings) -> Result<MultiplexedConnection, ConnectError> {
    let client = client(settings).await?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.timeout))
        .set_response_timeout(Some(settings.timeout));
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let memory: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut connection)
        .await?;
    match evicts(&memory) {
        Some(policy) => Err(ConnectError::Evicts(policy.to_owned())),
        None => Ok(connection),
    }
}

async fn client(settings: &Settings) -> Result<Client, ConnectError> {
    let info: ConnectionInfo = settings.url.as_str().into_connection_info()?;
    let mut login = info.redis_settings().clone();
    if let Some(user) = &settings.user {
        login = login.set_username(user);
    }
    if let Some(path) = &settings.password_file {
        let password = String::from_utf8_lossy(&read(path).await?).trim_end().to_owned();
        login = login.set_password(password);
    }
    let info = info.set_redis_settings(login);
    if !settings.is_tls() {
        return Ok(Client::open(info)?);
    }
    let root_cert = match &settings.ca_file {
        Some(path) => Some(read(path).await?),
        None => None,
    };
    // The crate takes the process's provider of cryptography; the first to be installed counts.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert,
    };
    Ok(Client::build_with_tls(info, certificates)?)
}

async fn read(path: &Path) -> Result<Vec<u8>, ConnectError> {
    tokio::fs::read(path).await.map_err(|source| ConnectError::File {
        path: path.to_owned(),
        source,
    })
}

/// The policy by which a server that has a limit drops keys.
fn evicts(memory: &str) -> Option<&str> {
    let field = |name: &str| {
        memory
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let limited = field("maxmemory").is_some_and(|limit| limit.trim() != "0");
    field("maxmemory_policy")
        .map(str::trim)
        .filter(|policy| limited && *policy != "noeviction")
}
