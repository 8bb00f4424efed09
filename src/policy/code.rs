//! The codes of all that a question to the policies can come to: one list for the reasons (docs/reasons.md) and for the
//! `because` of policy tests.

/// What shadow policies would do otherwise; in the audit alone.
pub const WOULD_ALLOW: &str = "would_allow";
/// Likewise.
pub const WOULD_DENY: &str = "would_deny";

/// Declares the codes and the list of them.
macro_rules! codes {
    ($($name:ident $code:literal;)*) => {
        $(#[doc = concat!("`", $code, "`")] pub const $name: &str = $code;)*

        /// Every code that a policy test may give as `because`.
        pub const ALL: &[&str] = &[$($name,)*];
    };
}

codes! {
    // What the policies say.
    ALLOWED "allowed";
    NO_PERMIT "no_permit";
    FORBIDDEN "forbidden";
    POLICY_ERROR "policy_error";

    // Why they weren't asked.
    UNKNOWN_TOOL "unknown_tool";
    ARGUMENTS_DONT_FIT "arguments_dont_fit";
    UNDECLARED_ARGUMENT "undeclared_argument";
    ARGUMENT_UNREPRESENTABLE "argument_unrepresentable";
    TOO_MANY_RESOURCES "too_many_resources";
    MISSING_IDENTITY "missing_identity";
    NO_PRINCIPAL "no_principal";
    INTERNAL "internal";
}
