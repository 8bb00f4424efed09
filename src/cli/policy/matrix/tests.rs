//! What a reader sees, on the shipped policies.

use std::path::Path;

use super::*;
use crate::cli::Color;
use crate::cli::policy::matrix::sheet::csv;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn matrix(who: &Selection, what: &Things) -> Matrix {
    let files = Files::read(&shipped()).unwrap();
    let set = PolicySet::load_and_test(&files, &[]).unwrap();
    let who = who.who(set.declared_subjects(), people(&files).unwrap()).unwrap();
    let survey = set.survey(&files, &[]).unwrap();
    survey.matrix(who, what.of(&set).unwrap())
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// People and agents before the tools of the databases and of `info`.
fn some() -> Matrix {
    let what = Things {
        tool: named(&["db_*", "info/*"]),
        ..Things::default()
    };
    matrix(&Selection::default(), &what)
}

/// Viewers through trusted agents.
fn pairs() -> Matrix {
    let who = Selection {
        role: named(&["mcp-viewer"]),
        user: named(&["admin*"]),
        tier: named(&["trusted"]),
        ..Selection::default()
    };
    let what = Things {
        tool: named(&["db_*"]),
        ..Things::default()
    };
    matrix(&who, &what)
}

#[test]
fn the_table_says_what_each_may_and_notes_on_what_that_depends() {
    let table = |matrix: &Matrix| Sheet::of(matrix).table(Terminal::new(Output::Table, Color::Never), true);
    insta::assert_snapshot!("table", table(&some()));
    insta::assert_snapshot!("pairs", table(&pairs()));
}

#[test]
fn it_can_be_had_for_documents_spreadsheets_browsers_and_scripts() {
    insta::assert_snapshot!("markdown", Sheet::of(&some()).markdown());
    insta::assert_snapshot!("csv", csv(&some()).unwrap());
    insta::assert_snapshot!("html", html::page(&pairs(), "0123456789ab"));
    insta::assert_json_snapshot!("json", to_json(&pairs()));
}

#[test]
fn what_mcp_itself_asks_for_is_shown_on_request() {
    let what = Things {
        server: named(&["info"]),
        tool: named(&["resources/*", "tools/list", "stream/open"]),
        protocol: true,
    };
    let who = Selection {
        role: named(&["mcp-viewer"]),
        tier: named(&["trusted"]),
        ..Selection::default()
    };
    insta::assert_snapshot!("protocol", csv(&matrix(&who, &what)).unwrap());
}

#[test]
fn names_that_nobody_has_are_told_with_what_may_be_meant() {
    let files = Files::read(&shipped()).unwrap();
    let set = PolicySet::load_and_test(&files, &[]).unwrap();
    let who = Selection {
        role: named(&["mcp-admim"]),
        ..Selection::default()
    };
    let error = who.who(set.declared_subjects(), Vec::new()).unwrap_err();
    assert_eq!(
        (error.to_string(), error.help().unwrap().to_string()),
        (
            "no role `mcp-admim`".to_owned(),
            "did you mean `mcp-admin`?".to_owned()
        )
    );
    let what = Things {
        tool: named(&["db_reed"]),
        ..Things::default()
    };
    assert_eq!(what.of(&set).unwrap_err().to_string(), "no tool `db_reed`");
    let what = Things {
        server: named(&["workbanch"]),
        ..Things::default()
    };
    assert_eq!(what.of(&set).unwrap_err().to_string(), "no server `workbanch`");
}

#[test]
fn markup_in_names_and_conditions_stays_text() {
    let mut matrix = pairs();
    matrix.rows.truncate(1);
    matrix.rows[0].0.tool = Some("x".to_owned());
    matrix.rows[0].0.action = "workbench/<script>|`x`".to_owned();
    matrix.rows[0].1[0] = Cell::Depends(vec![Condition {
        principal: crate::policy::Principal::User,
        policy: "</td><b>".to_owned(),
        permits: true,
        left: Some("context.arguments.x == \"|<img>\"".to_owned()),
    }]);
    let page = html::page(&matrix, "v");
    assert!(
        !page.contains("<script>") && !page.contains("<img>") && !page.contains("<b></td>"),
        "{page}"
    );
    assert!(page.contains("workbench/&lt;script&gt;"), "{page}");
    let markdown = Sheet::of(&matrix).markdown();
    assert!(markdown.contains(r"workbench/\<script\>\|\`x\`"), "{markdown}");
    assert!(
        markdown.contains(r#"== "\|\<img\>" (\</td\>\<b\>)"#),
        "{markdown}"
    );
}
