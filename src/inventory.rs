//! Which servers there are, which tools each has, as approved, and the Cedar schema made from them.

pub mod name;
pub mod operation;
pub mod server;

pub use name::ServerName;
pub use operation::OperationKind;
pub use server::{Denials, Disclosure, Requirement, Server};
