//! A condition with the values that a request brought, in words: «replicas is 8, at most 5 is allowed».

use cedar_policy::pst::BinaryOp;
use serde_json::json;

use super::subject::Subject;
use super::value::Value;

/// The most words of an alternative that are joined.
const MAX_JOINED: usize = 4;

/// What can be told of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A comparison.
    One(Compared),
    /// One of them would do.
    Any(Vec<Said>),
    /// Each is needed.
    All(Vec<Said>),
    /// No more than its text.
    Opaque,
}

/// A value met, and the one needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// What is looked at.
    pub subject: Subject,
    /// How it must be to what is needed.
    pub relation: Relation,
    /// The value met; `None` if there is none.
    pub met: Option<Value>,
    /// The value needed.
    pub needed: Value,
    /// Whether the policy itself writes that value, and it is no entity.
    pub written: bool,
    /// Whether the relation holds; `None` if Cedar can't tell.
    pub holds: Option<bool>,
}

/// How a value must be to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its own word; `words` spells them out")]
pub enum Relation {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
    OneOf,
    NoneOf,
    Having,
    Lacking,
    HavingAll,
    LackingOneOf,
    HavingOneOf,
    LackingAll,
    Within,
    Outside,
    InRange,
    OutOfRange,
    Like,
    Unlike,
    OfType,
    NotOfType,
    Present,
    Absent,
}

impl Relation {
    /// That of the left side to the right.
    pub(super) const fn of(op: BinaryOp) -> Option<Self> {
        Some(match op {
            BinaryOp::Eq => Self::Equal,
            BinaryOp::NotEq => Self::Unequal,
            BinaryOp::Less | BinaryOp::DecimalLessThan => Self::Less,
            BinaryOp::LessEq | BinaryOp::DecimalLessEq => Self::AtMost,
            BinaryOp::Greater | BinaryOp::DecimalGreater => Self::More,
            BinaryOp::GreaterEq | BinaryOp::DecimalGreaterEq => Self::AtLeast,
            BinaryOp::Contains => Self::Having,
            BinaryOp::ContainsAll => Self::HavingAll,
            BinaryOp::ContainsAny => Self::HavingOneOf,
            BinaryOp::In => Self::Within,
            BinaryOp::IsInRange => Self::InRange,
            _ => return None,
        })
    }

    /// That which holds if this doesn't.
    pub(super) const fn inverse(self) -> Self {
        match self {
            Self::Equal => Self::Unequal,
            Self::Unequal => Self::Equal,
            Self::Less => Self::AtLeast,
            Self::AtMost => Self::More,
            Self::More => Self::AtMost,
            Self::AtLeast => Self::Less,
            Self::OneOf => Self::NoneOf,
            Self::NoneOf => Self::OneOf,
            Self::Having => Self::Lacking,
            Self::Lacking => Self::Having,
            Self::HavingAll => Self::LackingOneOf,
            Self::LackingOneOf => Self::HavingAll,
            Self::HavingOneOf => Self::LackingAll,
            Self::LackingAll => Self::HavingOneOf,
            Self::Within => Self::Outside,
            Self::Outside => Self::Within,
            Self::InRange => Self::OutOfRange,
            Self::OutOfRange => Self::InRange,
            Self::Like => Self::Unlike,
            Self::Unlike => Self::Like,
            Self::OfType => Self::NotOfType,
            Self::NotOfType => Self::OfType,
            Self::Present => Self::Absent,
            Self::Absent => Self::Present,
        }
    }

    /// That of the right side to the left.
    pub(super) const fn turned(self) -> Self {
        match self {
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
            Self::Having => Self::OneOf,
            other => other,
        }
    }
}

impl Compared {
    /// One sentence, without its full stop.
    #[must_use]
    pub fn words(&self) -> String {
        let (subject, needed) = (&self.subject.name, &self.needed);
        let is = match &self.met {
            Some(met) => format!("{subject} is {met}"),
            None => format!("{subject} is missing"),
        };
        let one_of = match needed.members() {
            [one] => one.to_string(),
            _ => format!("one of {needed}"),
        };
        match self.relation {
            Relation::Equal => format!("{is}, {needed} is needed"),
            Relation::Unequal => format!("{is}, anything but {needed} is allowed"),
            Relation::Less => format!("{is}, less than {needed} is allowed"),
            Relation::AtMost => format!("{is}, at most {needed} is allowed"),
            Relation::More => format!("{is}, more than {needed} is needed"),
            Relation::AtLeast => format!("{is}, at least {needed} is needed"),
            Relation::OneOf | Relation::Like | Relation::OfType => format!("{is}, {one_of} is needed"),
            Relation::NoneOf | Relation::Unlike => format!("{is}, {one_of} is not allowed"),
            Relation::NotOfType => format!("{is}, and must not be a {needed}"),
            Relation::Having | Relation::HavingAll => format!("{is}, {needed} must be in it"),
            Relation::HavingOneOf => format!("{is}, {one_of} must be in it"),
            Relation::Lacking | Relation::LackingAll => format!("{is}, {needed} must not be in it"),
            Relation::LackingOneOf => format!("{is}, {needed} must not all be in it"),
            Relation::Within => self.within(&one_of),
            Relation::Outside => format!("{subject} must not be in {one_of}"),
            Relation::InRange => format!("{is}, an address in {needed} is needed"),
            Relation::OutOfRange => format!("{is}, an address outside of {needed} is needed"),
            Relation::Present => format!("{subject} is missing"),
            Relation::Absent => format!("{subject} is given, and must not be"),
        }
    }

    fn within(&self, one_of: &str) -> String {
        let has = match &self.met {
            Some(met) if !met.members().is_empty() => format!("; is in {met}"),
            _ => String::new(),
        };
        format!("{} needs to be in {one_of}{has}", self.subject.name)
    }

    fn is_presence(&self) -> bool {
        matches!(self.relation, Relation::Present | Relation::Absent)
    }

    /// Whether the caller may be told: it is about what they themselves bring, and names no entity.
    fn is_open(&self) -> bool {
        self.subject.is_open() && self.written
    }
}

impl Said {
    /// A sentence or several, joined; `None` if there is no more than the condition's text.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        match self {
            Self::One(compared) => Some(compared.words()),
            Self::Any(parts) => joined(parts, ", or "),
            Self::All(parts) => {
                let lacking: Vec<Self> = parts
                    .iter()
                    .filter(|part| part.holds() != Some(true))
                    .cloned()
                    .collect();
                joined(&lacking, ", and ")
            }
            Self::Opaque => None,
        }
    }

    /// What of it the caller may be told, such that doing as they are told is enough; `None` if nothing is.
    #[must_use]
    pub fn open(&self) -> Option<Self> {
        match self {
            Self::One(compared) => compared.is_open().then(|| self.clone()),
            Self::Any(parts) => {
                let open: Vec<Self> = parts.iter().filter_map(Self::open).collect();
                (!open.is_empty()).then_some(Self::Any(open))
            }
            Self::All(parts) => {
                let lacking = parts.iter().filter(|part| part.holds() != Some(true));
                let open: Option<Vec<Self>> = lacking.map(Self::open).collect();
                open.filter(|open| !open.is_empty()).map(Self::All)
            }
            Self::Opaque => None,
        }
    }

    /// Whether it is so; `None` if Cedar can't tell.
    fn holds(&self) -> Option<bool> {
        match self {
            Self::One(compared) => compared.holds,
            Self::Any(parts) => {
                let each: Vec<Option<bool>> = parts.iter().map(Self::holds).collect();
                each.contains(&Some(true)).then_some(true)
            }
            Self::All(parts) => {
                let mut each = parts.iter().map(Self::holds);
                each.all(|holds| holds == Some(true)).then_some(true)
            }
            Self::Opaque => None,
        }
    }

    /// Whether it says no more than that something must be there, or must not, of which `other` says more.
    pub(in crate::policy) fn is_said_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(one), Self::One(other)) => {
                one.is_presence() && !other.is_presence() && one.subject == other.subject
            }
            _ => false,
        }
    }

    /// For scripts: the values of a comparison.
    #[must_use]
    pub fn values(&self) -> Option<serde_json::Value> {
        match self {
            Self::One(compared) => Some(json!({
                "subject": compared.subject.name,
                "met": compared.met.as_ref().map(Value::to_json),
                "needed": compared.needed.to_json(),
            })),
            _ => None,
        }
    }
}

/// The sentences without those that others say better. One that can't be told makes the whole untellable.
fn joined(parts: &[Said], by: &str) -> Option<String> {
    let kept = parts
        .iter()
        .filter(|part| !parts.iter().any(|other| part.is_said_by(other)));
    let words: Option<Vec<String>> = kept.map(Said::words).collect();
    let words = words.filter(|words| !words.is_empty())?;
    let shown = words.get(..MAX_JOINED).unwrap_or(&words);
    Some(shown.join(by))
}
