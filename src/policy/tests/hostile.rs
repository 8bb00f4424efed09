//! Directories that would like to do harm.

use super::*;

fn problems(files: &Files) -> Vec<Problem> {
    PolicySet::load(files, &[]).err().unwrap_or_default()
}

#[test]
fn a_condition_nested_without_end_is_an_error_and_no_crash() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{a:", "}"),
        ("!", ""),
        ("if true then ", " else true"),
    ] {
        for depth in [10, 40, 100, 3_000, 50_000] {
            let condition = format!("{}true{}", open.repeat(depth), close.repeat(depth));
            let policy = format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};");
            // Whatever comes of it, something does.
            drop(problems(&only(&policy)));
        }
    }
    for (part, between) in [
        ("true", " && "),
        ("true", " || "),
        ("a", "."),
        ("1", " + "),
        ("if true then true", " else "),
    ] {
        for count in [450, 20_000] {
            let chain = vec![part; count].join(between);
            let policy =
                format!("@id(\"a\") permit (principal, action, resource) when {{ context.x == {chain} }};");
            assert!(!problems(&only(&policy)).is_empty());
        }
    }
}

#[test]
fn too_many_policies_tests_and_entities_are_refused() {
    let cells = format!(
        "users: {{ a: {{}} }}\nmatrices:\n  - server: info\n    columns: method\n    table: |\n      user {}\n{}",
        "ping ".repeat(200),
        format!("      a {}\n", "allow ".repeat(200)).repeat(101)
    );
    let found = problems(&files(&[("tests/many.yaml", &cells)]));
    assert!(
        shown(&found).contains("more than 20000 tests"),
        "{}",
        shown(&found).chars().take(300).collect::<String>()
    );
    let entity = r#"{"uid":{"type":"Role","id":"a"},"attrs":{},"parents":[]},"#;
    let many = format!("[{}{}]", entity.repeat(50_001), entity.trim_end_matches(','));
    let found = problems(&files(&[("entities.json", &many)]));
    assert!(
        shown(&found).contains("at most 50000 entities"),
        "{}",
        found.len()
    );
}

#[test]
fn a_test_file_that_multiplies_by_aliases_is_refused() {
    let mut lines = vec!["a: &a { roles: [x, x, x, x, x, x, x, x, x, x] }".to_owned()];
    for (one, other) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let ten = vec![format!("*{one}"); 10].join(", ");
        lines.push(format!("{other}: &{other} [{ten}]"));
    }
    assert!(!problems(&files(&[("tests/bomb.yaml", &lines.join("\n"))])).is_empty());
}
