//! How deep a Cedar text may go, looked at before it is parsed: Cedar's parser, validator and evaluator recurse.

use std::sync::Arc;

use crate::inventory::Problem;

/// Brackets within brackets.
const MAX_DEPTH: usize = 48;
/// Operators and dots of one statement: each may be one level of its tree.
const MAX_OPERATORS: usize = 1_000;

/// Refuses a text whose tree could be too deep to walk.
pub(in crate::policy) fn check(file: &str, source: &Arc<str>) -> Result<(), Problem> {
    let mut depth = 0_usize;
    let mut operators = 0_usize;
    let mut bytes = source.bytes().enumerate().peekable();
    let mut last_word = 0_usize;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'/' if bytes.peek().is_some_and(|(_, next)| *next == b'/') => {
                while bytes.next_if(|(_, next)| *next != b'\n').is_some() {}
            }
            b'(' | b'[' | b'{' => depth = depth.saturating_add(1),
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b';' => (depth, operators) = (0, 0),
            // `<` opens `Set<…>` in a schema.
            b'<' | b'&' | b'|' | b'.' | b'+' | b'-' | b'*' | b'!' => operators = operators.saturating_add(1),
            // `if` nests in `else`.
            b'f' if last_word == at.saturating_sub(1) && source.get(last_word..=at) == Some("if") => {
                operators = operators.saturating_add(1);
            }
            _ => {}
        }
        if !byte.is_ascii_alphanumeric() && byte != b'_' {
            last_word = at.saturating_add(1);
        }
        if depth > MAX_DEPTH || operators > MAX_OPERATORS {
            let what = if depth > MAX_DEPTH {
                format!("more than {MAX_DEPTH} brackets within one another")
            } else {
                format!("more than {MAX_OPERATORS} operators in one statement")
            };
            return Err(Problem::new(file, what)
                .at(source, at, 1)
                .help("make more than one of it"));
        }
    }
    Ok(())
}

fn skip_string(bytes: &mut impl Iterator<Item = (usize, u8)>) {
    while let Some((_, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_deep_is_refused_and_texts_and_comments_count_for_nothing() {
        let many = |part: &str, count: usize| part.repeat(count);
        for (text, refused) in [
            (many("(", 48), false),
            (many("(", 49), true),
            (many("a; (", 200), false),
            (format!("\"{}\\\"{}\"", many("(", 100), many("&&", 1000)), false),
            (format!("// {}\n", many("((", 100)), false),
            (many("a && ", 500), false),
            (many("a && ", 501), true),
            (many("if a then b else ", 1001), true),
            (many("a.", 1001), true),
            (many("x < y ", 20), false),
        ] {
            let source: Arc<str> = text.as_str().into();
            assert_eq!(
                check("a.cedar", &source).is_err(),
                refused,
                "{}",
                text.chars().take(40).collect::<String>()
            );
        }
    }
}
