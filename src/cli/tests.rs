//! The tree of commands as people see it.

use std::fmt::Write as _;

use super::*;

/// Every command's long help, as one text.
fn helps(command: &mut clap::Command, path: &str, all: &mut String) {
    let help = command.render_long_help();
    writeln!(all, "\n═══ {path} ═══\n{help}").unwrap();
    for sub in command
        .get_subcommands_mut()
        .filter(|sub| sub.get_name() != "help")
    {
        let path = format!("{path} {}", sub.get_name());
        helps(sub, &path, all);
    }
}

#[test]
fn every_command_explains_itself() {
    let mut tree = tree().term_width(100);
    tree.build();
    let mut all = String::new();
    helps(&mut tree, "mcp-authz", &mut all);
    insta::assert_snapshot!(all);
}

#[test]
fn every_command_without_subcommands_shows_examples() {
    fn walk(command: &clap::Command, path: &str) {
        let subs: Vec<_> = command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
            .collect();
        if subs.is_empty() {
            let after = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(after.contains("Examples:"), "`{path}` shows no examples");
        }
        for sub in subs {
            walk(sub, &format!("{path} {}", sub.get_name()));
        }
    }
    walk(&tree(), "mcp-authz");
}

#[test]
fn the_tree_has_no_contradictions() {
    tree().debug_assert();
}

#[test]
fn the_wanted_colour_is_known_before_the_arguments_are_read() {
    let asked = |words: &[&str]| {
        let argv: Vec<OsString> = words.iter().map(Into::into).collect();
        terminal::asked_color(&argv)
    };
    assert_eq!(asked(&["mcp-authz", "--color", "never", "--help"]), Color::Never);
    assert_eq!(asked(&["mcp-authz", "--color=always"]), Color::Always);
    assert_eq!(asked(&["mcp-authz", "--", "--color=always"]), Color::Auto);
    assert_eq!(asked(&["mcp-authz", "--colorful"]), Color::Auto);
}
