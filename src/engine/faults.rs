//! What can be wrong with the names and weights of an object by itself.

use crate::engine::names::service_of;
use crate::engine::{
    BySet, Declaration, DeclaredBackend, DeclaredSet, Fault, FieldPath, ParsedWeight, Problem,
    Weights, annotations,
};
use std::collections::BTreeMap;

/// Whether a Service can have this name: an RFC 1123 label.
pub(crate) fn is_service_name(name: &str) -> bool {
    let ends = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|c| ends(*c) || *c == b'-')
        && bytes.first().is_some_and(|c| ends(*c))
        && bytes.last().is_some_and(|c| ends(*c))
}

/// Reports what is wrong with an object, beside its sets.
pub(crate) fn of_object(declared: &Declaration, problems: &mut Vec<Problem>) {
    let shape = &declared.shape;
    let is_reported = |field: &'static str| {
        let field = FieldPath::from(field);
        declared.unreadable.iter().any(|problem| problem.field == field)
    };
    if declared.apexes.is_empty() && !is_reported(shape.apex) {
        problems.push(
            Problem::error(shape.apex).found("nothing").expected("the Service that clients call"),
        );
    }
    let backends = declared.backends().next().is_some();
    let unreadable = declared.sets.iter().any(|set| !set.unreadable.is_empty());
    if !backends && !unreadable && !is_reported(shape.backends) {
        problems.push(
            Problem::error(shape.backends)
                .found("no backends")
                .expected("the primary and at least one fallback"),
        );
    }
    for apex in declared.apexes.iter().filter(|apex| !declared.can_name(apex)) {
        problems.push(no_such_name(declared, shape.apex.into(), apex));
    }
}

/// Reports what is wrong with one set.
pub(crate) fn of_set(declared: &Declaration, set: &DeclaredSet, problems: &mut Vec<Problem>) {
    let field = |backend: &DeclaredBackend| backend.path.field(declared.shape.name);
    // What the adapter found wrong with it is reported already.
    let wrong = |b: &&DeclaredBackend| {
        b.fault.is_none() && !b.name.is_empty() && !declared.can_name(&b.name)
    };
    for backend in set.backends.iter().filter(wrong) {
        problems.push(no_such_name(declared, field(backend), &backend.name));
    }
    let mut seen = BTreeMap::new();
    for backend in &set.backends {
        if let Some(first) = seen.insert(&backend.name, &backend.path) {
            problems.push(
                Problem::error(field(backend))
                    .found(format!("{:?}, which {first} has already", backend.name))
                    .expected("each backend once")
                    .about(backend.name.as_str())
                    .next("remove one of the two, or name another Service"),
            );
            seen.insert(&backend.name, first);
        }
    }
    for backend in &set.backends {
        if let ParsedWeight::Unreadable(found) = &backend.weight {
            let most = declared.shape.limits.weight;
            problems.push(
                Problem::error(backend.path.field("weight"))
                    .found(found)
                    .expected(format!("a whole number from 0 to {most}"))
                    .about(backend.name.as_str()),
            );
        }
    }
}

/// A set whose primary is ambiguous.
pub(crate) fn no_primary(set: &DeclaredSet) -> Problem {
    let weighted = set.live().into_iter().filter(|(_, weight)| *weight > 0);
    let weighted = weighted.map(|(name, weight)| format!("{name} with weight {weight}"));
    let unreadable = set.unreadable.iter().map(Problem::to_string);
    let found: Vec<String> = weighted.chain(unreadable).collect();
    let nothing = || "no backend with weight".to_owned();
    Problem::error(&set.path)
        .found(if found.is_empty() { nothing() } else { found.join(", ") })
        .expected(format!(
            "one backend with weight, or the primaries of this rule in {}",
            annotations::PRIMARY_SERVICE
        ))
        .about(set.name.as_str())
        .next("until its primaries are named, this rule is left as it is and does not fail over")
}

/// What keeps traffic from a backend, whatever its health.
pub(crate) fn of_backend(declared: &Declaration, backend: &DeclaredBackend) -> Option<Fault> {
    let no_name = || !declared.can_name(&backend.name);
    let impossible = || Fault::NoService("no Service can be called so".into());
    backend.fault.clone().or_else(|| no_name().then(impossible))
}

impl Declaration {
    /// Whether a Service that this kind of object can name may have this name.
    pub fn can_name(&self, backend: &str) -> bool {
        // With several ports in one rule its name has the port too.
        let service = if self.shape.crosses_namespaces { service_of(backend) } else { backend };
        match service.split_once('/') {
            Some((namespace, name)) if self.shape.crosses_namespaces => {
                is_service_name(namespace) && is_service_name(name)
            }
            _ => is_service_name(service),
        }
    }
}

fn no_such_name(declared: &Declaration, field: FieldPath, name: &str) -> Problem {
    let problem = Problem::error(field).found(format!("{name:?}"));
    if declared.shape.crosses_namespaces {
        return problem
            .expected("the name of a Service")
            .next("lower-case letters, digits and '-', at most 63 of them");
    }
    let problem = problem.expected("the bare name of a Service in the object's own namespace");
    let short = name.rsplit('/').next().and_then(|name| name.split('.').next());
    match short.filter(|short| *short != name && is_service_name(short)) {
        Some(short) => problem.next(format!(
            "write {short} if it is in this namespace; a Service of another one cannot be named: make one here, or mirror it"
        )),
        None => problem.next("lower-case letters, digits and '-', at most 63 of them"),
    }
}

/// The author's weights as recorded; nothing where there is no record, or none that can be read.
pub(crate) fn recorded_weights(
    declared: &Declaration,
    problems: &mut Vec<Problem>,
) -> BySet<Weights> {
    match declared.annotations.record() {
        None => BySet::new(),
        Some(Ok(record)) => record.sets.clone(),
        Some(Err(problem)) => {
            problems.push(problem.clone());
            BySet::new()
        }
    }
}

/// Linkerd cannot carry a larger sum, and any of the backends may be active together.
pub(crate) fn sum(
    declared: &Declaration,
    set: &DeclaredSet,
    recorded: Option<&Weights>,
    problems: &mut Vec<Problem>,
) {
    let most = declared.shape.limits.sum;
    let of = |backend: &DeclaredBackend| {
        let recorded = recorded.and_then(|weights| weights.get(&backend.name)).copied();
        u64::from(recorded.or(backend.weight.whole()).unwrap_or_default())
    };
    let sum: u64 = set.backends.iter().map(of).sum();
    if sum > u64::from(most) {
        problems.push(
            Problem::error(&set.path)
                .found(format!("weights that sum to {sum}"))
                .expected(format!("a sum of at most {most}, which is what Linkerd can carry"))
                .about("sum")
                .next("divide all weights by the same number: only their proportions matter"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Shape;
    use crate::engine::intent::tests::declaration;
    use serde_json::json;

    #[test]
    fn the_name_of_a_service_is_a_label_of_dns() {
        let of = |length: usize| "a".repeat(length);
        for (name, is_one) in [
            ("web", true),
            ("w", true),
            ("3-w3b-9", true),
            (&of(63), true),
            (&of(64), false),
            ("", false),
            ("-web", false),
            ("web-", false),
            ("Web", false),
            ("we.b", false),
            ("we_b", false),
        ] {
            assert_eq!(is_service_name(name), is_one, "{name}");
        }
    }

    #[test]
    fn only_an_object_that_may_cross_namespaces_names_one() {
        let mut declared = declaration(&[("a", json!(1))], &[]);
        assert!(declared.can_name("web"));
        assert!(!declared.can_name("other/web") && !declared.can_name("web:80"));
        declared.shape = Shape { crosses_namespaces: true, ..Shape::ONE_SET };
        for (name, can) in [
            ("web", true),
            ("other/web", true),
            ("other/web:80", true),
            ("web:80", true),
            ("Other/web", false),
            ("other/Web", false),
            ("a/b/c", false),
        ] {
            assert_eq!(declared.can_name(name), can, "{name}");
        }
    }

    #[test]
    fn what_an_object_lacks_is_reported_once() {
        let found = |declared: &Declaration| -> Vec<String> {
            let mut problems = vec![];
            of_object(declared, &mut problems);
            problems.iter().map(|problem| format!("{}: {}", problem.field, problem.found)).collect()
        };
        let whole = declaration(&[("a", json!(1))], &[]);
        assert!(found(&whole).is_empty());
        let without_apex = Declaration { apexes: vec![], ..whole.clone() };
        assert_eq!(found(&without_apex), ["spec.service: nothing"]);
        let without_backends = declaration(&[], &[]);
        assert_eq!(found(&without_backends), ["spec.backends: no backends"]);
        let reported = |field: &'static str, declared: &Declaration| Declaration {
            unreadable: vec![Problem::error(field)],
            ..declared.clone()
        };
        assert!(found(&reported("spec.service", &without_apex)).is_empty());
        assert!(found(&reported("spec.backends", &without_backends)).is_empty());
        assert_eq!(found(&reported("spec.other", &without_apex)).len(), 1);
        assert_eq!(found(&reported("spec.other", &without_backends)).len(), 1);
        let mut unreadable = without_backends;
        unreadable.sets[0].unreadable = vec![Problem::error("spec.backends[0]")];
        assert!(found(&unreadable).is_empty());
        let odd = Declaration { apexes: vec!["Web".into()], ..whole };
        assert_eq!(found(&odd), ["spec.service: \"Web\""]);
    }

    #[test]
    fn a_name_is_reported_once_and_not_where_there_is_none() {
        let found = |name: &str, fault: Option<Fault>| {
            let mut declared = declaration(&[(name, json!(1)), ("b", json!(0))], &[]);
            declared.sets[0].backends[0].fault = fault;
            let mut problems = vec![];
            of_set(&declared, &declared.sets[0], &mut problems);
            problems.len()
        };
        assert_eq!((found("a", None), found("A", None)), (0, 1));
        assert_eq!(found("A", Some(Fault::NoService("of another kind".into()))), 0);
        assert_eq!(found("", None), 0);
    }

    #[test]
    fn an_ambiguous_rule_is_reported_with_its_weights_or_what_cannot_be_read() {
        let set = |weights: &[u32]| {
            let names = ["a", "b", "c"];
            let backends: Vec<_> =
                names.into_iter().zip(weights.iter().map(|w| json!(w))).collect();
            DeclaredSet { name: "web".into(), ..declaration(&backends, &[]).sets.remove(0) }
        };
        let problem = no_primary(&set(&[2, 0, 3]));
        assert_eq!(problem.found, "a with weight 2, c with weight 3");
        assert_eq!(
            (problem.field, problem.about.as_deref()),
            ("spec.backends".into(), Some("web"))
        );
        assert_eq!(no_primary(&set(&[0, 0])).found, "no backend with weight");
        let mut unreadable = set(&[1]);
        unreadable.unreadable = vec![Problem::error("spec.x").found("y").expected("z")];
        assert_eq!(no_primary(&unreadable).found, "a with weight 1, spec.x: found y, expected z");
    }

    #[test]
    fn weights_may_sum_to_the_most_that_linkerd_carries_and_recorded_ones_count() {
        let found = |weights: [u32; 2], recorded: Option<&Weights>| -> Vec<String> {
            let declared = declaration(&[("a", json!(weights[0])), ("b", json!(weights[1]))], &[]);
            let mut problems = vec![];
            sum(&declared, &declared.sets[0], recorded, &mut problems);
            problems.into_iter().map(|problem| problem.found).collect()
        };
        assert!(found([429_495, 1], None).is_empty());
        assert_eq!(found([429_495, 2], None), ["weights that sum to 429497"]);
        let recorded = Weights::from([("a".to_owned(), 1)]);
        assert!(found([429_495, 2], Some(&recorded)).is_empty());
        let recorded = Weights::from([("b".to_owned(), 429_496)]);
        assert_eq!(found([1, 0], Some(&recorded)), ["weights that sum to 429497"]);
    }
}
