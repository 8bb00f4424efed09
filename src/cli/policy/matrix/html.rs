//! A matrix as a page that stands alone.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::sheet::{Sheet, conditions};
use crate::policy::matrix::{Cell, Matrix, Who};

const STYLE: &str = "\
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 1rem; }
.sheet { overflow: auto; max-height: 85vh; border: 1px solid #8884; }
table { border-collapse: separate; border-spacing: 0; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #8884; text-align: left; white-space: nowrap; }
thead th { position: sticky; top: 0; background: Canvas; z-index: 1; }
tbody th { position: sticky; left: 0; background: Canvas; font-weight: normal; }
thead th:first-child { left: 0; z-index: 2; }
.allow { background: light-dark(#d9f2dd, #12401d); color: light-dark(#0b3d17, #d9f2dd); }
.deny { background: light-dark(#f9dcdc, #4d1616); color: light-dark(#5c0d0d, #f9dcdc); }
.depends { background: light-dark(#fdf0c8, #4a3a06); color: light-dark(#4a3500, #fdf0c8); }
code { font: 12px ui-monospace, monospace; white-space: pre-wrap; }
";

/// The whole page. Every name and every condition is text in it, never markup.
pub(super) fn page(matrix: &Matrix, version: &str) -> String {
    let sheet = Sheet::of(matrix);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Who may call what" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Who may call what" }
                p { "Policies " code { (version) } ". " (legend()) }
                div.sheet { (table(matrix, &sheet)) }
                @if !sheet.notes.is_empty() {
                    h2 { "What it depends on" }
                    ol {
                        @for (number, note) in (1..).zip(&sheet.notes) {
                            li id={ "note-" (number) } { code { (note) } }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn legend() -> Markup {
    html! {
        b { "allow" } ": every call that fits the tool is allowed; "
        b { "deny" } ": none is; "
        b { "depends" } ": on what the numbered notes say."
    }
}

fn table(matrix: &Matrix, sheet: &Sheet) -> Markup {
    let rows = matrix.rows.iter().zip(&sheet.rows);
    html! {
        table {
            thead { tr { th scope="col" { "tool" } @for title in &sheet.header { th scope="col" { (title) } } } }
            tbody {
                @for ((_, cells), (title, entries)) in rows {
                    tr {
                        th scope="row" { (title) }
                        @for ((who, cell), entry) in matrix.who.iter().zip(cells).zip(entries) {
                            td class=(entry.word) title=(told(who, cell)) {
                                (entry.word)
                                @for note in &entry.notes { " " a href={ "#note-" (note) } { (note) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Why a cell says what it says.
fn told(who: &Who, cell: &Cell) -> String {
    match cell {
        Cell::Allow(by) => format!("by {}", by.join(", ")),
        Cell::Deny(because) if because.by.is_empty() => because.code.to_owned(),
        Cell::Deny(because) => format!("{} by {}", because.code, because.by.join(", ")),
        Cell::Depends(_) => conditions(who, cell).join("; "),
    }
}
