//! The people and the workloads whom the tests of a policy directory name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::Subject;
use crate::identity::Workload;
use crate::inventory::{Files, Problem};
use crate::policy::suite::case::TestUser;
use crate::spiffe::SpiffeId;

/// Of a file of tests, whom it names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    users: BTreeMap<String, TestUser>,
    workloads: BTreeMap<String, String>,
}

/// Whom the tests name, users first. Whoever is somebody else in another file is told apart by the file's name.
///
/// # Errors
/// Test files that can't be read as tests.
pub fn people(files: &Files) -> Result<Vec<Subject>, Vec<Problem>> {
    let mut found: Vec<Subject> = Vec::new();
    let paths = files.under("tests", ".yaml").chain(files.under("tests", ".yml"));
    for path in paths {
        let one = |message: String| vec![Problem::new(path, message)];
        let text = files
            .text(path)
            .map_err(|problem| vec![problem])?
            .unwrap_or_default();
        let named: Named =
            serde_saphyr::from_str(&text).map_err(|error| one(error.without_snippet().to_string()))?;
        let users = named.users.into_iter().map(|(name, user)| {
            let user = Arc::new(user.user(&name));
            Ok::<_, Vec<Problem>>(Subject::User(name, user))
        });
        let workloads = named.workloads.into_iter().map(|(name, id)| {
            let spiffe_id = SpiffeId::parse(&id).map_err(|error| one(error.to_string()))?;
            Ok(Subject::Workload(name, Arc::new(Workload { spiffe_id })))
        });
        for subject in users.chain(workloads) {
            let subject = subject?;
            let namesake =
                |other: &&Subject| other.kind() == subject.kind() && other.name() == subject.name();
            match found.iter().find(namesake) {
                None => found.push(subject),
                Some(same) if *same == subject => {}
                Some(_) => found.push(subject.named_in(path)),
            }
        }
    }
    found.sort_by_key(|subject| !subject.is_person());
    Ok(found)
}
