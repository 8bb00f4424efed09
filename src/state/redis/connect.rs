//! A connection to Redis: to one server, or to all of a cluster.

use std::path::{Path, PathBuf};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, TlsCertificates, Value,
};

use super::Settings;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{}", said(.0))]
    Redis(#[from] RedisError),
    #[error("`{}` can't be read: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

/// What went wrong, in words that say who is to blame.
pub(super) fn said(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            format!("it does not answer as Redis does: {error}")
        }
        _ => error.to_string(),
    }
}

/// A connection that many ask through at once.
#[derive(Clone)]
pub(super) enum Connection {
    /// To one server.
    Single(MultiplexedConnection),
    /// To those of a cluster: each question goes to the server of its keys, wherever they are by then.
    Cluster(ClusterConnection),
}

/// How often a question to a cluster is asked again: it may have to be asked elsewhere. No longer than the timeout.
const RETRIES: u32 = 4;
/// How long is waited in between, in milliseconds.
const WAIT: (u64, u64) = (10, 100);

/// Connects and logs in. Bounded by the timeout of the settings.
pub(super) async fn connect(settings: &Settings) -> Result<Connection, ConnectError> {
    let certificates = certificates(settings).await?;
    let password = password(settings).await?;
    if settings.cluster {
        return cluster(settings, password, certificates).await;
    }
    let info = login(settings, settings.url.as_str().into_connection_info()?, password);
    let client = match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates)?,
        None => Client::open(info)?,
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.timeout))
        .set_response_timeout(Some(settings.timeout));
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    Ok(Connection::Single(connection.await?))
}

async fn cluster(
    settings: &Settings,
    password: Option<String>,
    certificates: Option<TlsCertificates>,
) -> Result<Connection, ConnectError> {
    let urls = std::iter::once(&settings.url).chain(&settings.seeds);
    let (shortest, longest) = WAIT;
    let mut builder = ClusterClient::builder(urls.map(String::as_str))
        .connection_timeout(settings.timeout)
        .response_timeout(settings.timeout)
        .retries(RETRIES)
        .min_retry_wait(shortest)
        .max_retry_wait(longest);
    if let Some(user) = &settings.user {
        builder = builder.username(user);
    }
    if let Some(password) = password {
        builder = builder.password(password);
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    let connection = builder.build()?.get_async_connection().await?;
    Ok(Connection::Cluster(connection))
}

fn login(settings: &Settings, info: ConnectionInfo, password: Option<String>) -> ConnectionInfo {
    let mut login = info.redis_settings().clone();
    if let Some(user) = &settings.user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    info.set_redis_settings(login)
}

async fn password(settings: &Settings) -> Result<Option<String>, ConnectError> {
    let Some(path) = &settings.password_file else {
        return Ok(None);
    };
    let text = read(path).await?;
    Ok(Some(String::from_utf8_lossy(&text).trim_end().to_owned()))
}

/// What a server of TLS is checked by; `None` without TLS.
async fn certificates(settings: &Settings) -> Result<Option<TlsCertificates>, ConnectError> {
    if !settings.is_tls() {
        return Ok(None);
    }
    // The crate takes the process's provider of cryptography; the first to be installed counts.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Ok(Some(TlsCertificates {
        client_tls: None,
        root_cert: match &settings.ca_file {
            Some(path) => Some(read(path).await?),
            None => None,
        },
    }))
}

async fn read(path: &Path) -> Result<Vec<u8>, ConnectError> {
    tokio::fs::read(path).await.map_err(|source| ConnectError::File {
        path: path.to_owned(),
        source,
    })
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
