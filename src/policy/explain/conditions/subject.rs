//! What a condition is about, by the name that a caller knows it by.

use cedar_policy::pst::{BinaryOp, Expr, UnaryOp, Var};

/// What a condition is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// For instance `filter.limit`, `acr`, `time of day`.
    pub name: String,
    whose: Whose,
}

/// Who brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The call: one of its arguments.
    Argument,
    /// The login: how strong and how long ago.
    Login,
    /// The clock.
    Clock,
    Other,
}

impl Subject {
    /// The subject that an expression is.
    pub(super) fn of(expr: &Expr) -> Self {
        let named = |name: String, whose: Whose| Self { name, whose };
        match expr {
            Expr::BinaryOp {
                op: BinaryOp::DurationSince,
                left,
                right,
            } if is_now(left) => {
                let since = Self::of(right);
                named(format!("the time since `{}`", since.name), since.whose)
            }
            Expr::UnaryOp {
                op: UnaryOp::ToTime,
                expr,
            } if is_now(expr) => named("the time of day".to_owned(), Whose::Clock),
            _ => match path(expr) {
                Some((Var::Context, path)) => match path.as_slice() {
                    ["now"] => named("now".to_owned(), Whose::Clock),
                    ["arguments", rest @ ..] if !rest.is_empty() => named(rest.join("."), Whose::Argument),
                    ["user", attribute] => named(path.join("."), of_login(attribute)),
                    _ => named(path.join("."), Whose::Other),
                },
                Some((Var::Principal, path)) => match path.as_slice() {
                    [] => named("principal".to_owned(), Whose::Other),
                    [attribute] => named((*attribute).to_owned(), of_login(attribute)),
                    _ => named(path.join("."), Whose::Other),
                },
                Some((var, path)) => {
                    let first = if var == Var::Action { "action" } else { "resource" };
                    let all: Vec<&str> = std::iter::once(first).chain(path).collect();
                    named(all.join("."), Whose::Other)
                }
                None => named(expr.to_string(), Whose::Other),
            },
        }
    }

    /// Whether it is an argument of the call.
    #[must_use]
    pub fn is_argument(&self) -> bool {
        self.whose == Whose::Argument
    }

    /// Whether the caller may be told what is needed of it: their own arguments, how they logged in, the time.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.whose != Whose::Other
    }
}

fn of_login(attribute: &str) -> Whose {
    match attribute {
        "acr" | "authenticated" => Whose::Login,
        _ => Whose::Other,
    }
}

fn is_now(expr: &Expr) -> bool {
    path(expr).is_some_and(|(var, path)| var == Var::Context && path == ["now"])
}

/// A variable, and what is read of it.
fn path(expr: &Expr) -> Option<(Var, Vec<&str>)> {
    match expr {
        Expr::Var(var) => Some((var.clone(), Vec::new())),
        Expr::GetAttr { expr, attr } => {
            let (var, mut path) = path(expr)?;
            path.push(attr);
            Some((var, path))
        }
        _ => None,
    }
}
