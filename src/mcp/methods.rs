//! Which methods a client may send under which version, and what each needs of its params.

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
pub(super) enum Needs {
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
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) sort: Sort,
    pub(super) needs: Needs,
    since: Version,
    until: Version,
}

const fn method(name: &'static str, sort: Sort, needs: Needs, since: Version, until: Version) -> Method {
    Method {
        name,
        sort,
        needs,
        since,
        until,
    }
}

/// The table. 2025-06-18 has the methods of 2025-03-26. `notifications/cancelled` of 2026-07-28 belongs to stdio, but
/// SDKs that share code between transports post it too.
static METHODS: &[Method] = &[
    method("tools/call", Request, Tool, FIRST, STATELESS),
    method("tools/list", Request, Anything, FIRST, STATELESS),
    method("prompts/get", Request, Prompt, FIRST, STATELESS),
    method("prompts/list", Request, Anything, FIRST, STATELESS),
    method("resources/read", Request, Resource, FIRST, STATELESS),
    method("resources/list", Request, Anything, FIRST, STATELESS),
    method("resources/templates/list", Request, Anything, FIRST, STATELESS),
    method("resources/subscribe", Request, Resource, FIRST, TASKS),
    method("resources/unsubscribe", Request, Resource, FIRST, TASKS),
    method("completion/complete", Request, Completion, FIRST, STATELESS),
    method("initialize", Request, Initialize, FIRST, TASKS),
    method("ping", Request, Anything, FIRST, TASKS),
    method("logging/setLevel", Request, Anything, FIRST, TASKS),
    method("tasks/get", Request, Task, TASKS, STATELESS),
    method("tasks/cancel", Request, Task, TASKS, STATELESS),
    method("tasks/result", Request, Task, TASKS, TASKS),
    method("tasks/list", Request, Anything, TASKS, TASKS),
    method("tasks/update", Request, Task, STATELESS, STATELESS),
    method("server/discover", Request, Anything, STATELESS, STATELESS),
    method("subscriptions/listen", Request, Listen, STATELESS, STATELESS),
    method(
        "notifications/cancelled",
        Notification,
        Anything,
        FIRST,
        STATELESS,
    ),
    method("notifications/progress", Notification, Anything, FIRST, TASKS),
    method("notifications/initialized", Notification, Anything, FIRST, TASKS),
    method(
        "notifications/roots/list_changed",
        Notification,
        Anything,
        FIRST,
        TASKS,
    ),
    method("notifications/tasks/status", Notification, Anything, TASKS, TASKS),
];

/// The method of that name, if the version knows it. Names are case-sensitive.
pub(super) fn known(name: &str, version: Version) -> Option<&'static Method> {
    METHODS
        .iter()
        .find(|method| method.name == name && (method.since..=method.until).contains(&version))
}

/// Every method that a version knows.
#[cfg(test)]
pub(super) fn of(version: Version) -> impl Iterator<Item = &'static str> {
    METHODS
        .iter()
        .map(|method| method.name)
        .filter(move |name| known(name, version).is_some())
}
