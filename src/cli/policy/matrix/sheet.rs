//! A matrix on paper: cells of one word, and numbered notes for what they depend on.

use comfy_table::{Cell as Drawn, Color};

use crate::cli::Terminal;
use crate::policy::matrix::{Cell, Matrix, Who};

/// What is left in a corner of the table.
const CORNER: &str = "tool";

/// Words for every cell, with the notes that they refer to.
pub(super) struct Sheet {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<(String, Vec<Entry>)>,
    /// Note 1 is the first.
    pub(super) notes: Vec<String>,
}

/// A cell on paper.
pub(super) struct Entry {
    /// `allow`, `deny` or `depends`.
    pub(super) word: &'static str,
    /// On these notes.
    pub(super) notes: Vec<usize>,
}

impl Sheet {
    pub(super) fn of(matrix: &Matrix) -> Self {
        let mut notes: Vec<String> = Vec::new();
        let mut rows = Vec::new();
        for (what, cells) in &matrix.rows {
            let mut entries = Vec::new();
            for (who, cell) in matrix.who.iter().zip(cells) {
                let numbers = conditions(who, cell).into_iter().map(|note| {
                    let known = notes.iter().position(|other| *other == note);
                    let index = known.unwrap_or_else(|| {
                        notes.push(note);
                        notes.len().saturating_sub(1)
                    });
                    index.saturating_add(1)
                });
                entries.push(Entry {
                    word: cell.as_str(),
                    notes: numbers.collect(),
                });
            }
            rows.push((what.title(), entries));
        }
        Self {
            header: matrix.who.iter().map(Who::title).collect(),
            rows,
            notes,
        }
    }

    pub(super) fn table(&self, terminal: Terminal, colors: bool) -> String {
        let header = [CORNER].into_iter().chain(self.header.iter().map(String::as_str));
        let mut table = terminal.table(header.map(Drawn::new));
        for (title, entries) in &self.rows {
            let cells = entries.iter().map(|entry| {
                let cell = Drawn::new(entry.text());
                match (colors && terminal.colors(), entry.word) {
                    (false, _) => cell,
                    (true, "allow") => cell.fg(Color::Green),
                    (true, "deny") => cell.fg(Color::Red),
                    (true, _) => cell.fg(Color::Yellow),
                }
            });
            table.add_row([Drawn::new(title)].into_iter().chain(cells));
        }
        let notes = (1..)
            .zip(&self.notes)
            .map(|(number, note)| format!("{number:>4}  {note}"));
        [table.to_string()]
            .into_iter()
            .chain(notes)
            .collect::<Vec<_>>()
            .join("\n")
    }

    pub(super) fn markdown(&self) -> String {
        let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let titles = self.header.iter().map(|title| escaped(title));
        let mut text = row([CORNER.to_owned()].into_iter().chain(titles).collect());
        text.push_str(&row(vec!["---".to_owned(); self.header.len().saturating_add(1)]));
        for (title, entries) in &self.rows {
            let cells = entries.iter().map(Entry::text);
            text.push_str(&row([escaped(title)].into_iter().chain(cells).collect()));
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        text.extend(
            (1..)
                .zip(&self.notes)
                .map(|(number, note)| format!("{number}. {}\n", escaped(note))),
        );
        text
    }
}

impl Entry {
    fn text(&self) -> String {
        let numbers: Vec<String> = self.notes.iter().map(ToString::to_string).collect();
        if numbers.is_empty() {
            return self.word.to_owned();
        }
        format!("{} {}", self.word, numbers.join(", "))
    }
}

/// A line for each thing, with what each cell depends on in the cell.
pub(super) fn csv(matrix: &Matrix) -> miette::Result<String> {
    let failed = |error: &dyn std::fmt::Display| miette::miette!("{error}");
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [CORNER.to_owned()]
        .into_iter()
        .chain(matrix.who.iter().map(Who::title));
    writer.write_record(header).map_err(|error| failed(&error))?;
    for (what, cells) in &matrix.rows {
        let cells = matrix.who.iter().zip(cells).map(|(who, cell)| {
            let conditions = conditions(who, cell).join("; ");
            if conditions.is_empty() {
                return cell.as_str().to_owned();
            }
            format!("{}: {conditions}", cell.as_str())
        });
        let record = [what.title()].into_iter().chain(cells);
        writer.write_record(record).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// What a cell depends on; of a pair, who is asked.
pub(super) fn conditions(who: &Who, cell: &Cell) -> Vec<String> {
    let several = who.subjects.len() > 1;
    let each = cell.conditions().iter().map(|condition| {
        let asked = if several { condition.principal.as_str() } else { "" };
        format!("{asked}{}{condition}", if several { ": " } else { "" })
    });
    let mut each: Vec<String> = each.collect();
    each.dedup();
    if each.is_empty() && cell.as_str() == "depends" {
        each.push("on what only a call can tell".to_owned());
    }
    each
}

/// So that a text means itself in Markdown, in a table too.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' | '~' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}
