//! The review of a Service that is declared down: whether its annotations can be read, and what they will do.

use crate::admission::validate::Validation;
use crate::engine::annotations::{DOWN_UNTIL, field};
use crate::engine::{Problem, to_the_second};
use crate::index::store::Index;
use crate::kinds::ObjectKey;
use crate::kinds::declared_down::DeclaredDown;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A declaration for longer is taken for a slip: a warning says so.
const LONG: SignedDuration = SignedDuration::from_hours(168);

/// What is wrong with the declaration on a Service.
pub(crate) fn problems(
    service: &ObjectKey,
    annotations: &BTreeMap<String, String>,
    index: &Index,
    now: Timestamp,
) -> Validation {
    let read = DeclaredDown::read(annotations);
    let (errors, mut warnings): (Vec<Problem>, Vec<Problem>) =
        read.problems.into_iter().partition(Problem::is_error);
    if let Some(declared) = read.declared {
        warnings.extend(out_of_time(&declared, now));
        let is_named = index.objects_naming(service).next().is_some();
        warnings.extend((!is_named && !declared.has_ended(now)).then(|| unnamed(service)));
    }
    Validation { errors, warnings }
}

/// Nothing is denied for the time of day.
fn out_of_time(declared: &DeclaredDown, now: Timestamp) -> Option<Problem> {
    let problem = || Problem::warning(field(DOWN_UNTIL)).found(declared.until);
    let now_is = format!("it is {} now", to_the_second(now));
    if declared.has_ended(now) {
        let problem = problem().expected("a time that is still to come");
        return Some(problem.next(format!("{now_is}: this has no effect")));
    }
    let is_long = now.duration_until(declared.until) > LONG;
    is_long.then(|| {
        let problem = problem().expected(format!("a time within {}h", LONG.as_hours()));
        problem.next(format!("{now_is}: the Service counts as down until then"))
    })
}

fn unnamed(service: &ObjectKey) -> Problem {
    Problem::warning(field(DOWN_UNTIL))
        .found(format!("Service {}, which no failover object names", service.name))
        .expected("a primary or a fallback of a failover object")
        .next("nothing moves")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::test_support::{NAMESPACE, World, split, stored};
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What is answered to this `down-until` at the start of the epoch, errors first.
    fn answered(service: &str, until: &str) -> Vec<String> {
        let mut world = World::with(&[("emoji-svc", 1), ("emoji-svc-west", 1), ("web-svc", 1)]);
        let object = stored(split(&[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))], &[]));
        world.manage("emoji", &object);
        let annotations = BTreeMap::from([(DOWN_UNTIL.to_owned(), until.to_owned())]);
        let service = ObjectKey::new(NAMESPACE, service);
        let Validation { errors, warnings } =
            problems(&service, &annotations, &world.index, at(60));
        let errors = errors.iter().map(|error| format!("error: {error}"));
        errors.chain(warnings.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn a_value_that_cannot_be_read_is_an_error_and_everything_else_at_most_a_warning() {
        for service in ["emoji-svc", "emoji-svc-west"] {
            assert!(answered(service, "1970-01-01T00:30:00Z").is_empty(), "{service}");
        }
        insta::assert_snapshot!(answered("emoji-svc", "in 30 minutes").join("\n"), @r#"error: metadata.annotations[failover.linkerd.io/down-until]: found "in 30 minutes", expected an RFC 3339 time such as 2026-01-31T14:30:00Z; kubectl annotate --overwrite … failover.linkerd.io/down-until=$(date -u -d +30min +%FT%TZ) sets one"#);
        insta::assert_snapshot!(answered("emoji-svc", "1970-01-01T00:01:00Z").join("\n"), @"metadata.annotations[failover.linkerd.io/down-until]: found 1970-01-01T00:01:00Z, expected a time that is still to come; it is 1970-01-01T00:01:00Z now: this has no effect");
        insta::assert_snapshot!(answered("emoji-svc", "1971-01-01T00:00:00Z").join("\n"), @"metadata.annotations[failover.linkerd.io/down-until]: found 1971-01-01T00:00:00Z, expected a time within 168h; it is 1970-01-01T00:01:00Z now: the Service counts as down until then");
        insta::assert_snapshot!(answered("web-svc", "1970-01-01T00:30:00Z").join("\n"), @"metadata.annotations[failover.linkerd.io/down-until]: found Service web-svc, which no failover object names, expected a primary or a fallback of a failover object; nothing moves");
    }
}
