//! Which servers there are, which tools each has, as approved, and the Cedar schema made from them.

pub mod files;
pub mod name;
pub mod operation;
pub mod problem;
pub mod server;

pub use files::Files;
pub use name::ServerName;
pub use operation::OperationKind;
pub use problem::Problem;
pub use server::{Denials, Disclosure, Requirement, Server};
