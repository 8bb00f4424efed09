//! The one list of methods: what a client may send under which version, and what each needs of its params.

use super::Version;
use Needs::{Anything, Completion, Initialize, Listen, Prompt, Resource, Task, Tool};
use Sort::{Notification, Request};
use Version::{V2025_03_26 as FIRST, V2025_11_25 as TASKS, V2026_07_28 as STATELESS};

/// Whether a method expects an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// With an id.
    Request,
    /// Without one.
    Notification,
}

/// What is read of the params.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing beyond `_meta`.
    Anything,
    /// `name`, `arguments`, `task`
    Tool,
    /// `name`, `arguments`
    Prompt,
    /// `uri`
    Resource,
    /// `notifications.resourceSubscriptions`
    Listen,
    /// `ref`
    Completion,
    /// `protocolVersion`
    Initialize,
    /// `taskId`
    Task,
}

/// A method that some version knows.
#[derive(Debug)]
pub struct Method {
    /// As JSON-RPC has it.
    pub name: &'static str,
    pub(super) sort: Sort,
    /// What is read of its params.
    pub needs: Needs,
    since: Version,
    /// `None`: every version since has it.
    last: Option<Version>,
}

const fn method(name: &'static str, sort: Sort, needs: Needs, since: Version) -> Method {
    Method {
        name,
        sort,
        needs,
        since,
        last: None,
    }
}

impl Method {
    /// The last version that has it.
    const fn until(self, last: Version) -> Self {
        Self {
            last: Some(last),
            ..self
        }
    }

    fn is_of(&self, version: Version) -> bool {
        let place = version.place();
        self.since.place() <= place && self.last.is_none_or(|last| place <= last.place())
    }
}

/// The table: a method without an end is every later version's too. 2025-06-18 has the methods of 2025-03-26.
/// `notifications/cancelled` of 2026-07-28 belongs to stdio, but SDKs that share code between transports post it too.
static METHODS: &[Method] = &[
    method("tools/call", Request, Tool, FIRST),
    method("tools/list", Request, Anything, FIRST),
    method("prompts/get", Request, Prompt, FIRST),
    method("prompts/list", Request, Anything, FIRST),
    method("resources/read", Request, Resource, FIRST),
    method("resources/list", Request, Anything, FIRST),
    method("resources/templates/list", Request, Anything, FIRST),
    method("resources/subscribe", Request, Resource, FIRST).until(TASKS),
    method("resources/unsubscribe", Request, Resource, FIRST).until(TASKS),
    method("completion/complete", Request, Completion, FIRST),
    method("initialize", Request, Initialize, FIRST).until(TASKS),
    method("ping", Request, Anything, FIRST).until(TASKS),
    method("logging/setLevel", Request, Anything, FIRST).until(TASKS),
    method("tasks/get", Request, Task, TASKS),
    method("tasks/cancel", Request, Task, TASKS),
    method("tasks/result", Request, Task, TASKS).until(TASKS),
    method("tasks/list", Request, Anything, TASKS).until(TASKS),
    method("tasks/update", Request, Task, STATELESS),
    method("server/discover", Request, Anything, STATELESS),
    method("subscriptions/listen", Request, Listen, STATELESS),
    method("notifications/cancelled", Notification, Anything, FIRST),
    method("notifications/progress", Notification, Anything, FIRST).until(TASKS),
    method("notifications/initialized", Notification, Anything, FIRST).until(TASKS),
    method("notifications/roots/list_changed", Notification, Anything, FIRST).until(TASKS),
    method("notifications/tasks/status", Notification, Anything, TASKS).until(TASKS),
];

/// Every method that some version knows.
#[must_use]
pub fn all() -> &'static [Method] {
    METHODS
}

/// The method of that name, whichever version knows it.
#[must_use]
pub fn named(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// The method of that name, if the version knows it. Names are case-sensitive.
pub(super) fn known(name: &str, version: Version) -> Option<&'static Method> {
    named(name).filter(|method| method.is_of(version))
}

/// Every method that a version knows.
#[cfg(test)]
pub(super) fn of(version: Version) -> impl Iterator<Item = &'static str> {
    METHODS
        .iter()
        .map(|method| method.name)
        .filter(move |name| known(name, version).is_some())
}
