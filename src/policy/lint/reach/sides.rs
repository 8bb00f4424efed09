//! Which sides a condition can show, where that is the same whoever calls and with whatever: it looks at the resource and the
//! action alone, and each call in the scope of its policy is about one of the known.

use cedar_policy::{Context, Request};

use super::Reach;
use super::world::{About, World};
use crate::policy::ask::entities::uid;
use crate::policy::explain::conditions::Part;

/// What the text of a condition can be. Where that isn't known, both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Sides {
    pub(in crate::policy) be_true: bool,
    pub(in crate::policy) be_false: bool,
}

impl Sides {
    const BOTH: Self = Self {
        be_true: true,
        be_false: true,
    };

    /// Of a condition of a policy with this reach.
    pub(in crate::policy) fn of(part: &Part, reach: &Reach, world: &World<'_>) -> Self {
        let text = &part.written.text;
        // Names in texts count, too: then more is taken to be possible than is.
        if reach.is_empty() || ["principal", "context"].iter().any(|word| text.contains(word)) {
            return Self::BOTH;
        }
        let mut sides = Self {
            be_true: false,
            be_false: false,
        };
        for spot in reach.spots.keys().filter_map(|place| world.spots.get(*place)) {
            let About::One(resource, _) = &spot.about else {
                return Self::BOTH;
            };
            let nobody = uid(&world.fixed.types.user, "");
            let request = Request::new(
                nobody,
                spot.action.clone(),
                resource.clone(),
                Context::empty(),
                None,
            );
            let store = world.fixed.store(spot.action.id().unescaped());
            let (Ok(request), Some(store)) = (request, store) else {
                return Self::BOTH;
            };
            match part.holds(&request, store) {
                Ok(holds) if holds != part.written.unless => sides.be_true = true,
                Ok(_) => sides.be_false = true,
                Err(_) => return Self::BOTH,
            }
            if sides == Self::BOTH {
                return sides;
            }
        }
        sides
    }
}
