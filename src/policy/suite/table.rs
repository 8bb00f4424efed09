//! Tests as a table: one thing down, another across, what must come of it in each cell.

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::case::{Case, Expected, NOBODY};
use super::line_column;

/// A table as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct Matrix {
    server: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    workload: Option<String>,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    tool: Option<String>,
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
    /// What the columns are; what the rows are, the table's corner says.
    columns: Axis,
    table: Spanned<String>,
}

/// What varies along a side of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Axis {
    User,
    Workload,
    Actor,
    Tool,
    Method,
}

/// A case with its line and column in the file, both from 1.
pub(in crate::policy) type Placed = (Case, (usize, usize));

/// The cells as cases, each with its line and column in the file.
pub(in crate::policy) fn cells(matrix: &Matrix) -> Result<Vec<Placed>, String> {
    let (first_line, _) = line_column(&matrix.table.referenced);
    // Of a block scalar (`table: |`), the place is where its text begins.
    let lines = matrix.table.value.lines().zip(first_line..);
    let mut lines = lines.filter(|(line, _)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let header: Vec<&str> = lines
        .next()
        .map(|(line, _)| line.split_whitespace().collect())
        .unwrap_or_default();
    let Some((corner, header)) = header.split_first().filter(|(_, columns)| !columns.is_empty()) else {
        return Err("the table has no columns".to_owned());
    };
    let rows = Axis::parse(corner).ok_or_else(|| {
        format!(
            "the corner of the table says what its rows are: user, workload, actor, tool or method, not `{corner}`"
        )
    })?;
    if rows == matrix.columns {
        return Err("rows and columns are the same thing".to_owned());
    }
    let mut found = Vec::new();
    for (line, number) in lines {
        let mut words = line.split_whitespace();
        let row = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        if words.len() != header.len() {
            return Err(format!(
                "line {number}: `{row}` has {} cells for {} columns",
                words.len(),
                header.len()
            ));
        }
        for (column, word) in header.iter().zip(words) {
            let expect = Expected::parse(word)
                .ok_or_else(|| format!("line {number}: `{word}` is neither `allow` nor `deny`"))?;
            let mut case = Case {
                server: matrix.server.clone(),
                user: matrix.user.clone(),
                workload: matrix.workload.clone(),
                actor: matrix.actor.clone(),
                tool: matrix.tool.clone(),
                arguments: matrix.arguments.clone(),
                expect,
                ..Case::default()
            };
            rows.put(&mut case, row);
            matrix.columns.put(&mut case, column);
            found.push((case, (number, 1)));
        }
    }
    if found.is_empty() {
        Err("the table has no rows".to_owned())
    } else {
        Ok(found)
    }
}

impl Axis {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "user" => Some(Self::User),
            "workload" => Some(Self::Workload),
            "actor" => Some(Self::Actor),
            "tool" => Some(Self::Tool),
            "method" => Some(Self::Method),
            _ => None,
        }
    }

    fn put(self, case: &mut Case, name: &str) {
        let value = Some(name.to_owned());
        match self {
            Self::User => case.user = value,
            Self::Workload => case.workload = value,
            Self::Actor => case.actor = value,
            Self::Tool => case.tool = value.filter(|name| name != NOBODY),
            Self::Method => case.method = value.filter(|name| name != NOBODY),
        }
    }
}
