//! The largest object that is read: a larger one would delay the decisions for all others.

use crate::engine::{Bounds, Declaration, DeclaredSet, Problem, Shape, annotations};

/// Tiers of one set.
pub(crate) const MOST_TIERS: usize = 32;

/// Bytes of an annotation that an author writes.
const LONGEST: usize = 64 * 1024;

/// A stored object with more backends than this is not managed: their records would not fit into
/// annotations, of which the API server accepts 256 KiB together.
pub(crate) const FAR_BEYOND: usize = 1_024;

/// The problem with this many backends, of which the largest set has the second number.
pub(crate) fn too_many(shape: &Shape, all: usize, largest: usize) -> Option<Problem> {
    let Bounds { of_set, of_object } = shape.bounds;
    let problem = Problem::error(shape.backends).about("bound");
    if all > of_object {
        let found = format!("{all} backends");
        let expected = format!("at most {of_object} backends");
        return Some(problem.found(found).expected(expected).sized(all));
    }
    if largest > of_set {
        let found = format!("a rule with {largest} backends");
        let expected = format!("at most {of_set} backends in a rule");
        return Some(problem.found(found).expected(expected).sized(largest));
    }
    None
}

/// The backends of an object, and those of its largest set.
pub(crate) fn counts(declared: &Declaration) -> (usize, usize) {
    let sizes = || declared.sets.iter().map(|set| set.backends.len());
    (sizes().sum(), sizes().max().unwrap_or_default())
}

/// Reports what exceeds the bounds of an object.
pub(crate) fn of_object(declared: &Declaration, problems: &mut Vec<Problem>) {
    let (all, largest) = counts(declared);
    problems.extend(too_many(&declared.shape, all, largest));
    for name in annotations::lists() {
        let length = declared.annotations.get(name).map_or(0, String::len);
        if length > LONGEST {
            let problem = Problem::error(annotations::field(name)).about("bound").sized(length);
            let found = format!("{length} bytes");
            problems.push(problem.found(found).expected(format!("at most {LONGEST} bytes")));
        }
    }
}

/// Reports what exceeds the bounds of a set.
pub(crate) fn of_tiers(set: &DeclaredSet, tiers: usize, problems: &mut Vec<Problem>) {
    if tiers > MOST_TIERS {
        let problem = Problem::error(annotations::field(annotations::FALLBACK_ORDER));
        let of_rule =
            if set.name.is_empty() { String::new() } else { format!(" in rule {}", set.name) };
        problems.push(
            problem
                .about("bound")
                .sized(tiers)
                .found(format!("{tiers} tiers{of_rule}"))
                .expected(format!("at most {MOST_TIERS} tiers"))
                .next("name fewer fallbacks: those not named form one last tier"),
        );
    }
}
