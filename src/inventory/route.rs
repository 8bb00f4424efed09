//! Which server a request is for.

use std::collections::HashMap;
use std::sync::Arc;

use crate::exchange::Exchange;

use super::server::HostAndPath;
use super::{Server, ServerName};

/// The key in `context_extensions` under which a route names its server.
pub const CONTEXT_KEY: &str = "server";

/// Every configured server, found by what a gateway says of a request.
#[derive(Debug, Default)]
pub struct Routes {
    by_name: HashMap<ServerName, Arc<Server>>,
    by_place: HashMap<HostAndPath, Arc<Server>>,
}

/// Why no server is found: no server, no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The route names a server that isn't configured.
    #[error("the gateway's route names a server that is not configured")]
    UnknownServer,
    /// The route names none, and neither does any configured host and path.
    #[error("the gateway's route names no server: set `context_extensions.server` on it")]
    NoServer,
}

impl Routes {
    /// The routes of these servers.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = Server>) -> Self {
        let mut routes = Self::default();
        for server in servers {
            let server = Arc::new(server);
            if let Some(place) = server.route.clone() {
                routes.by_place.insert(place, Arc::clone(&server));
            }
            routes.by_name.insert(server.name.clone(), server);
        }
        routes
    }

    /// The server that a request is for. The route's own word comes first: what the client sent (`Host`, path)
    /// counts only where the gateway names nothing, and then only if it matches to the byte.
    ///
    /// # Errors
    /// [`RouteError`] if no configured server is meant.
    pub fn find(&self, exchange: &Exchange) -> Result<&Arc<Server>, RouteError> {
        if let Some(name) = exchange.context.get(CONTEXT_KEY) {
            let name = name.parse().map_err(|_| RouteError::UnknownServer)?;
            return self.by_name.get(&name).ok_or(RouteError::UnknownServer);
        }
        let place = HostAndPath {
            host: exchange.host.clone(),
            path: exchange.path.clone(),
        };
        self.by_place.get(&place).ok_or(RouteError::NoServer)
    }

    /// Every server, in no particular order.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.by_name.values()
    }
}
