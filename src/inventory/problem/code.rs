//! The codes of everything that can be said of a policy directory: for scripts, which don't read sentences.

/// Declares the codes and the list of them with what they mean.
macro_rules! codes {
    ($($name:ident $code:literal $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)*

        /// Every code, with what it means.
        pub const ALL: &[(&str, &str)] = &[$(($code, $meaning),)*];
    };
}

codes! {
    // What keeps a directory from ruling.
    INVALID "invalid" "A file that can't be read or taken as what it should be";
    STRAY_FILE "stray_file" "A file that nothing reads";
    SYNTAX "syntax" "Text that isn't Cedar";
    BASE_SCHEMA "base_schema" "`base.cedarschema` is missing or can't be used";
    TOOLS "tools" "A server's approved tools, or their overrides, can't be used";
    ENTITIES "entities" "`entities.json` says what no entity can be";
    MISSING_ID "missing_id" "A policy without an `@id`";
    INVALID_ID "invalid_id" "An `@id` that can't be a name";
    TAKEN_ID "taken_id" "An `@id` that another policy has";
    ANNOTATION "annotation" "An annotation that is unknown or says nothing";
    LINK "link" "`links.json` says what no link of a template can be";
    UNKNOWN_NAME "unknown_name" "A role, group, tenant, tier, tool group, tool or server that nobody declared";
    TYPE "type" "What Cedar's validator refuses: unknown actions and attributes, types that don't fit";
    UNKNOWN_ARGUMENT "unknown_argument" "An argument that no tool in the policy's scope has";
    UNSEEN_ARGUMENT "unseen_argument" "An argument for which Cedar has no type";
    UNLISTED_TEXT "unlisted_text" "A text that an argument's enumeration doesn't list";
    IMPOSSIBLE "impossible" "A policy that can never apply, by the types alone";
    MISLEADING_TEXT "misleading_text" "Text that is shown otherwise than it is compared";
    INVALID_TEST "invalid_test" "A test that can't be read as one";
    FAILED_TEST "failed_test" "A test that came out otherwise";

    // What an author should look at.
    VALIDATOR "validator" "What Cedar's validator warns of";
    UNCLASSIFIED_TOOL "unclassified_tool" "A tool of which nobody says what it does";
    UNDECLARED_ACTION "undeclared_action" "A method of MCP that `base.cedarschema` doesn't declare";
    UNUSED_TEMPLATE "unused_template" "A template that nothing links";
    CROWDED "crowded" "A head that so many policies have that calls meet too many";
    MISSING_REASON "missing_reason" "A policy that can stop a caller and doesn't say why";
    UNREACHABLE "unreachable" "A policy in whose scope no call can be";
    DUPLICATE "duplicate" "A policy that says the same as another";
    REDUNDANT "redundant" "A policy that adds nothing to a wider one";
    OVERRIDDEN "overridden" "A permit that a forbid always overrides";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_findings_lists_every_code_with_what_it_means() {
        let page = include_str!("../../../docs/findings.md");
        let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let codes: Vec<String> = ALL
            .iter()
            .map(|(code, meaning)| format!("| `{code}` | {meaning} |"))
            .collect();
        assert_eq!(listed, codes);
    }

    #[test]
    fn no_code_is_given_twice() {
        let mut codes: Vec<&str> = ALL.iter().map(|(code, _)| *code).collect();
        codes.sort_unstable();
        let all = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
