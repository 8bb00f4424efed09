//! Why an issuer's word about a token could not be had, or doesn't count.

/// What went wrong with asking an issuer about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IntrospectionFault {
    /// It can't be reached, answers with an error, or leads elsewhere.
    #[error("the issuer can't be asked about the token")]
    Unavailable,
    /// It didn't answer in time.
    #[error("the issuer did not say in time whether the token is active")]
    TooLate,
    /// It doesn't take our own credential, or doesn't let us ask.
    #[error("the issuer does not let mcp-authz ask about tokens")]
    NotAllowed,
    /// There is no credential of our own to ask with.
    #[error("mcp-authz has no credential to ask the issuer with")]
    NoCredential,
    /// It answers with something that isn't an answer.
    #[error("the issuer's answer about the token can't be read")]
    AnswerMalformed,
    /// Its answer is about another issuer's token, or another one than was sent.
    #[error("the issuer's answer is about another token")]
    AnswerDisagrees,
    /// Too many tokens are being asked about.
    #[error("too many tokens are being asked about")]
    Overloaded,
}

impl IntrospectionFault {
    /// Every fault.
    pub const ALL: [Self; 7] = [
        Self::Unavailable,
        Self::TooLate,
        Self::NotAllowed,
        Self::NoCredential,
        Self::AnswerMalformed,
        Self::AnswerDisagrees,
        Self::Overloaded,
    ];

    /// The reason's code. Stable.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "introspection_unavailable",
            Self::TooLate => "introspection_too_late",
            Self::NotAllowed => "introspection_not_allowed",
            Self::NoCredential => "introspection_no_credential",
            Self::AnswerMalformed => "introspection_answer_malformed",
            Self::AnswerDisagrees => "introspection_answer_disagrees",
            Self::Overloaded => "introspection_overloaded",
        }
    }

    /// Whether a part of ours, or the issuer, fails (503) rather than the token (401).
    #[must_use]
    pub const fn is_outage(self) -> bool {
        match self {
            Self::Unavailable
            | Self::TooLate
            | Self::NotAllowed
            | Self::NoCredential
            | Self::AnswerMalformed
            | Self::Overloaded => true,
            Self::AnswerDisagrees => false,
        }
    }
}
