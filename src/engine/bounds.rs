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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::intent::tests::declaration;
    use serde_json::json;

    #[test]
    fn an_object_may_have_as_many_backends_as_its_bounds_and_no_more() {
        let shape = Shape { bounds: Bounds { of_set: 3, of_object: 5 }, ..Shape::ONE_SET };
        for (all, largest, found) in [
            (5, 3, None),
            (6, 3, Some(("6 backends", 6))),
            (5, 4, Some(("a rule with 4 backends", 4))),
            (9, 9, Some(("9 backends", 9))),
        ] {
            let problem = too_many(&shape, all, largest);
            let problem = problem.as_ref().map(|problem| (problem.found.as_str(), problem.size));
            assert_eq!(problem, found, "{all} {largest}");
        }
    }

    #[test]
    fn all_backends_of_an_object_are_counted_and_those_of_its_largest_set() {
        let mut declared = declaration(&[("a", json!(1)), ("b", json!(0)), ("c", json!(0))], &[]);
        declared.sets.push(declaration(&[("d", json!(1)), ("e", json!(0))], &[]).sets.remove(0));
        assert_eq!(counts(&declared), (5, 3));
        let found = |of_set, of_object| -> Vec<String> {
            let bounds = Bounds { of_set, of_object };
            let shape = Shape { bounds, ..Shape::ONE_SET };
            let mut problems = vec![];
            super::of_object(&Declaration { shape, ..declared.clone() }, &mut problems);
            problems.into_iter().map(|problem| problem.found).collect()
        };
        assert!(found(3, 5).is_empty());
        assert_eq!(found(3, 4), ["5 backends"]);
        assert_eq!(found(2, 5), ["a rule with 3 backends"]);
    }

    #[test]
    fn a_list_in_an_annotation_is_read_up_to_64_kib() {
        for (length, found) in
            [(65_536, None), (65_537, Some("65537 bytes")), (80_000, Some("80000 bytes"))]
        {
            let list = "x".repeat(length);
            let declared = declaration(&[], &[(annotations::FALLBACK_ORDER, &list)]);
            let mut problems = vec![];
            of_object(&declared, &mut problems);
            let problems: Vec<&str> = problems.iter().map(|p| p.found.as_str()).collect();
            assert_eq!(problems, Vec::from_iter(found), "{length}");
        }
    }

    #[test]
    fn a_set_has_at_most_32_tiers_and_a_rule_with_more_is_named() {
        for (rule, tiers, found) in [
            ("", 32, None),
            ("", 33, Some("33 tiers")),
            ("", 100, Some("100 tiers")),
            ("web", 33, Some("33 tiers in rule web")),
        ] {
            let mut problems = vec![];
            let set = DeclaredSet { name: rule.into(), ..DeclaredSet::default() };
            of_tiers(&set, tiers, &mut problems);
            let problems: Vec<&str> = problems.iter().map(|p| p.found.as_str()).collect();
            assert_eq!(problems, Vec::from_iter(found), "{rule} {tiers}");
        }
    }
}
