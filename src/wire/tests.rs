//! The listeners as a gateway meets them: a real gRPC client over real sockets.

mod answers;
pub(super) mod harness;
mod hostile;
mod lifetime;
mod mutual_tls;
mod overload;
mod services;
