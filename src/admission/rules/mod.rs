//! The rules of admission, one a file.
//!
//! To add a rule, write a file here with a `RULE`, and list it in [`RULES`], which is the order of the
//! problems in a response. A rule is a function of the arguments
//! of its [`Check`], without I/O: [`View`] has the facts. Its tests go through
//! [`validate`](crate::admission::validate::validate).
//!
//! A rule that the engine could not work without belongs to
//! [`Intent::parse`](crate::engine::Intent::parse).

mod all_zero;
mod failback_request;
mod mirror_loop;
mod mirror_not_ready;
mod nested_apex;
mod no_request_lost;
mod pause;
mod pin;
mod progressive_delivery;
mod protection;
mod ready_backend;
mod reference_grants;
mod route_status;
mod rule;
mod rules_without_failover;
mod service_profile;
mod service_settings;
mod services;
mod shared_apex;
mod shared_pods;
mod split_matches;
mod undone_failover;
mod unknown_annotations;
mod unknown_health;
mod unserved_port;

pub(crate) use rule::ObjectReview;

use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::View;
use crate::engine::Problem;
use rule::{Check, Rule, SetReview};
use std::collections::HashSet;

/// Every rule, in the order of a response.
const RULES: &[Rule] = &[
    services::RULE,
    progressive_delivery::RULE,
    all_zero::RULE,
    undone_failover::RULE,
    rules_without_failover::RULE,
    unknown_annotations::RULE,
    shared_apex::RULE,
    nested_apex::RULE,
    ready_backend::RULE,
    unserved_port::RULE,
    unknown_health::RULE,
    mirror_not_ready::RULE,
    service_settings::RULE,
    mirror_loop::RULE,
    shared_pods::RULE,
    pin::RULE,
    pause::RULE,
    reference_grants::RULE,
    failback_request::RULE,
    protection::RULE,
    no_request_lost::RULE,
    service_profile::RULE,
    split_matches::RULE,
    route_status::RULE,
];

/// What is wrong with an object by itself.
pub(crate) fn object_problems(object: &ReviewedObject<'_>, view: &View<'_>) -> Vec<Problem> {
    let check = |rule: &Rule| match rule.check {
        Check::Object(check) => logged(rule, check(object, view)),
        Check::Review(_) | Check::Set(_) => vec![],
    };
    RULES.iter().flat_map(check).collect()
}

/// What is wrong with an edit, and what may hurt.
pub(crate) fn review_problems(review: &ObjectReview<'_>) -> Vec<Problem> {
    let is_of_set = |rule: &Rule| matches!(rule.check, Check::Set(_));
    // Rules of a set that follow each other are checked set by set.
    let groups = RULES.chunk_by(|one, next| is_of_set(one) && is_of_set(next));
    let check = |rules: &[Rule]| match rules[0].check {
        Check::Object(_) => vec![],
        Check::Review(check) => logged(&rules[0], check(review)),
        Check::Set(_) => set_problems(rules, review),
    };
    groups.flat_map(check).collect()
}

fn set_problems(rules: &[Rule], review: &ObjectReview<'_>) -> Vec<Problem> {
    let object = review.object_ref();
    // Rules of a route mostly name the same Services.
    let mut reported = HashSet::new();
    let mut problems = vec![];
    for intent in &review.intents {
        let health = review.view.health(intent);
        let set = SetReview { view: review.view, object: &object, intent, health: &health };
        for rule in rules {
            let Check::Set(check) = rule.check else { continue };
            let found = logged(rule, check(&set)).into_iter();
            problems.extend(found.filter(|problem| {
                reported.insert((problem.found.clone(), problem.expected.clone()))
            }));
        }
    }
    problems
}

fn logged(rule: &Rule, problems: Vec<Problem>) -> Vec<Problem> {
    for problem in &problems {
        tracing::trace!(rule = rule.name, %problem);
    }
    problems
}

#[cfg(test)]
mod no_request_lost_tests;
#[cfg(test)]
mod readiness_tests;
#[cfg(test)]
mod warnings_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_file_is_a_rule_in_the_list_by_its_name() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admission/rules");
        let files = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = name.strip_suffix(".rs")?.to_owned();
            (!["mod", "rule"].contains(&name.as_str()) && !name.ends_with("_tests")).then_some(name)
        });
        let mut files: Vec<String> = files.collect();
        let mut rules: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        files.sort();
        rules.sort_unstable();
        assert_eq!(files, rules);
    }
}
