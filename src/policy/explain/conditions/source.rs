//! Where a policy's conditions stand in its text: Cedar's syntax tree has no places.
//!
//! In: the text of a policy that Cedar could parse. Out: the byte ranges of its clauses, and of the operands of one. What is cut here is
//! for people to read; what is evaluated comes from the syntax tree.

use std::ops::Range;

/// What joins operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    And,
    Or,
}

/// What stands outside of all brackets, texts and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A bracket with all that is in it.
    Block,
    And,
    Or,
    If,
}

/// The insides of the braces of each `when` and `unless`, in order.
pub(super) fn clauses(policy: &str) -> Vec<Range<usize>> {
    let blocks = marks(policy).into_iter().filter(|(_, mark)| *mark == Mark::Block);
    let braces = blocks.filter(|(range, _)| slice(policy, range).starts_with('{'));
    braces.map(|(range, _)| within(&range)).collect()
}

/// The operands of an expression's top-level `&&`, or `||`: in order, each without what surrounds it. One that isn't so joined is
/// its only operand.
pub(super) fn operands(policy: &str, range: &Range<usize>, joined: Joined) -> Vec<Range<usize>> {
    let range = trimmed(policy, range);
    let found = marks(slice(policy, &range));
    let shifted = |mark: &Range<usize>| moved(mark, range.start);
    if let [(block, Mark::Block)] = found.as_slice()
        && shifted(block) == range
        && slice(policy, &range).starts_with('(')
    {
        return operands(policy, &within(&range), joined);
    }
    let has = |wanted: Mark| found.iter().any(|(_, mark)| *mark == wanted);
    // `||` binds weaker than `&&`, and `if` than both.
    let separator = match joined {
        Joined::And if !has(Mark::Or) => Mark::And,
        Joined::Or => Mark::Or,
        Joined::And => return vec![range],
    };
    if has(Mark::If) || !has(separator) {
        return vec![range];
    }
    let mut cut = Vec::new();
    let mut start = range.start;
    for (mark, _) in found.iter().filter(|(_, mark)| *mark == separator) {
        let mark = shifted(mark);
        cut.extend(operands(policy, &(start..mark.start), joined));
        start = mark.end;
    }
    cut.extend(operands(policy, &(start..range.end), joined));
    cut
}

/// A piece of a policy on one line, without comments.
pub(super) fn on_one_line(text: &str) -> String {
    let lines = text.lines().map(|line| match comment(line) {
        Some(at) => line.get(..at).unwrap_or_default().trim(),
        None => line.trim(),
    });
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

/// Where a line's comment begins.
fn comment(line: &str) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let rest = line.get(at..)?;
        if rest.starts_with("//") {
            return Some(at);
        }
        at = at.saturating_add(step(rest)?);
    }
}

/// Without the space and the comments around it.
fn trimmed(policy: &str, range: &Range<usize>) -> Range<usize> {
    let mut start = range.start;
    loop {
        let text = slice(policy, &(start..range.end));
        let spaces = text.len().saturating_sub(text.trim_start().len());
        let skipped = match spaces {
            0 if text.starts_with("//") => text.find('\n').unwrap_or(text.len()),
            _ => spaces,
        };
        if skipped == 0 {
            break;
        }
        start = start.saturating_add(skipped);
    }
    let end = start.saturating_add(slice(policy, &(start..range.end)).trim_end().len());
    start..end
}

fn marks(text: &str) -> Vec<(Range<usize>, Mark)> {
    let (mut found, mut depth, mut opened, mut at) = (Vec::new(), 0_usize, 0_usize, 0_usize);
    while let Some(rest) = text.get(at..)
        && let Some(length) = step(rest)
    {
        let range = at..at.saturating_add(length);
        at = range.end;
        match slice(text, &range) {
            "(" | "[" | "{" => {
                if depth == 0 {
                    opened = range.start;
                }
                depth = depth.saturating_add(1);
            }
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    found.push((opened..range.end, Mark::Block));
                }
            }
            "&&" if depth == 0 => found.push((range, Mark::And)),
            "||" if depth == 0 => found.push((range, Mark::Or)),
            "if" if depth == 0 => found.push((range, Mark::If)),
            _ => {}
        }
    }
    found
}

/// How long the first thing of a text is: a text, a comment, a word, `&&`, `||`, or any other character.
fn step(rest: &str) -> Option<usize> {
    let first = rest.chars().next()?;
    let word = |one: char| one.is_alphanumeric() || one == '_';
    Some(match first {
        '"' => quoted(rest),
        '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
        '&' | '|' if rest.starts_with("&&") || rest.starts_with("||") => 2,
        _ if word(first) => rest.find(|one| !word(one)).unwrap_or(rest.len()),
        _ => first.len_utf8(),
    })
}

/// How long the quoted text is that another begins with.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, one) in rest.char_indices().skip(1) {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at.saturating_add(1),
            _ => {}
        }
    }
    rest.len()
}

fn slice<'a>(text: &'a str, range: &Range<usize>) -> &'a str {
    text.get(range.clone()).unwrap_or_default()
}

fn moved(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start.saturating_add(by)..range.end.saturating_add(by)
}

fn within(range: &Range<usize>) -> Range<usize> {
    range.start.saturating_add(1)..range.end.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_cut_where_cedar_would() {
        let cases: [(&str, Joined, &[&str]); 9] = [
            ("a && b", Joined::And, &["a", "b"]),
            ("(a && b) && c", Joined::And, &["a", "b", "c"]),
            ("(a) && (b || c)", Joined::And, &["a", "b || c"]),
            ("a && b || c", Joined::And, &["a && b || c"]),
            ("a || b && c", Joined::Or, &["a", "b && c"]),
            (
                "x == \"&& }\" && // why && not\n [y].contains(z)",
                Joined::And,
                &["x == \"&& }\"", "[y].contains(z)"],
            ),
            (
                "if a then b else c && d",
                Joined::And,
                &["if a then b else c && d"],
            ),
            ("a && x.f(b && c) && d", Joined::And, &["a", "x.f(b && c)", "d"]),
            (" // first\n a.iff", Joined::And, &["a.iff"]),
        ];
        for (text, joined, expected) in cases {
            let policy =
                format!("@reason(\"{{when}}\") permit (principal, action, resource) when {{{text}}};");
            let clauses = clauses(&policy);
            assert_eq!(clauses.len(), 1, "{text}");
            let found = operands(&policy, &clauses[0], joined);
            let found: Vec<&str> = found.iter().map(|range| slice(&policy, range)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_condition_of_several_lines_reads_as_one() {
        let text = "resource in [\n    A::\"//\", // the first\n    B::\"b\"\n  ]";
        assert_eq!(on_one_line(text), "resource in [ A::\"//\", B::\"b\" ]");
    }
}
