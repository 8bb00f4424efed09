//! What policies can't see of a tool's arguments, and why, in words for those who write policies.

use super::place::Place;

/// A declared argument that no policy can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Where.
    pub place: Place,
    /// Why not.
    pub why: Why,
}

/// Declares [`Why`] from one table of variant, code, what the schema allows and what an author can do.
macro_rules! whys {
    ($($variant:ident $code:literal $cause:literal $instead:literal;)*) => {
        /// Why Cedar has no type for a place.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Why {
            $(#[doc = $cause] $variant,)*
        }

        impl Why {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, for scripts.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What the schema allows there.
            #[must_use]
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause,)* }
            }

            /// What can be said in a policy, or asked of the server, instead.
            #[must_use]
            pub const fn instead(self) -> &'static str {
                match self { $(Self::$variant => $instead,)* }
            }
        }
    };
}

whys! {
    Union "union" "values of several types"
        "decide on the other arguments; ask the server for one argument for each type";
    Map "map" "an object with keys of the caller's own choosing"
        "decide on the other arguments; ask the server to declare the keys that matter as `properties`";
    Items "items" "an array whose items have several types, or none that is said"
        "decide on the other arguments; ask the server to declare one type of `items`";
    Untyped "untyped" "any value: the schema says no type"
        "decide on the other arguments; ask the server to declare its type";
    Null "null" "`null` alone"
        "there is nothing to decide on: `null` is absence";
    Deep "deep" "a schema that refers to itself, nests too deep or has too many members"
        "decide on what stands further out";
    Pattern "pattern" "texts of a `pattern` that can't be run here, so that it isn't checked"
        "decide on the other arguments; ask the server for a pattern without such constructs";
}
