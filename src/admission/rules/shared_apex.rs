//! Of two objects for one apex only one has an effect.

use super::rule::{Check, ObjectReview, Rule};
use crate::engine::Problem;
use crate::kinds::Kind;
use kube::ResourceExt;

/// Warns of an apex that another managed object has too. It is no error, since the other object may be
/// deleted next.
pub(super) const RULE: Rule = Rule { name: "shared_apex", check: Check::Review(check) };

fn check(review: &ObjectReview<'_>) -> Vec<Problem> {
    problem(review).into_iter().collect()
}

fn problem(review: &ObjectReview<'_>) -> Option<Problem> {
    let (view, new) = (review.view, review.new.object);
    let (object, intent) = (review.object_ref(), review.intents.first()?);
    let created = new.creation_timestamp().map_or(i64::MAX, |t| t.0.as_second());
    let index = view.index();
    let (other, is_older) = index.clash(&object, &intent.apexes, created)?;
    let same_kind = other.kind == view.kind;
    // Of two splits, or of two routes, the author of the younger is warned.
    let of_two = same_kind || ![other.kind, view.kind].contains(&Kind::TrafficSplit);
    if of_two && !is_older {
        return None;
    }
    let shown = match same_kind {
        true => other.name().to_owned(),
        false => format!("{} {}", other.kind, other.name()),
    };
    let clash = match (same_kind, of_two) {
        (true, _) => "they overwrite each other's routing",
        (false, true) => "where both are for one port, Linkerd follows the GRPCRoute alone",
        (false, false) => {
            "Linkerd follows the TrafficSplit for as long as its ServiceProfile sends traffic, and the route after that"
        }
    };
    let older = if is_older { shown.clone() } else { "this one".into() };
    Some(
        Problem::warning(view.apex_field())
            .found(format!("{:?}, the apex of {shown} too", intent.apex()))
            .expected("one object for an apex")
            .next(format!("{clash}: delete one of the two; {older} is the older")),
    )
}
