//! Input of `migrate`: every split becomes routes that the program reads as the same intent, or a message.

use crate::engine::{Defaults, Intent};
use crate::fuzz::input::Source;
use crate::fuzz::input::documents::{self as generated, Of};
use crate::kinds::Kind;
use crate::manifests::documents;
use crate::migrate::migrate;
use crate::migrate::output::Outcome;
use crate::migrate::ports::ServicePortLookup;
use crate::migrate::route::RouteKind;
use futures::FutureExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};

/// The first byte chooses whether the rest is the input itself, or makes a likely one.
pub(super) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    let kind = if choice & 4 == 0 { RouteKind::Http } else { RouteKind::Grpc };
    if choice % 4 == 0 {
        migrated(kind, rest);
        return;
    }
    let mut source = Source::new(rest);
    let manifests: Vec<Value> =
        (0..=source.below(2)).map(|_| generated::any(&mut source, Of::Split)).collect();
    let text = match choice % 4 {
        1 => json!({"apiVersion": "v1", "kind": "List", "items": manifests}).to_string(),
        2 => manifests.iter().map(|one| format!("{one}\n")).collect(),
        _ => {
            let yaml = |one: &Value| serde_saphyr::to_string(one).expect("YAML");
            manifests.iter().map(|one| format!("---\n{}", yaml(one))).collect()
        }
    };
    let routes = migrated(kind, text.as_bytes());
    for route in &routes {
        migrates(route, &manifests);
    }
}

/// The routes of an input. Whatever it is, it is read to its end, and what was written is read as routes.
fn migrated(kind: RouteKind, input: &[u8]) -> Vec<DynamicObject> {
    let documents = documents::read("input.yaml", input);
    let output = migrate(documents, kind, None, ServicePortLookup::new(&[8080], None));
    let output = output.now_or_never().expect("no cluster is asked").expect("routes in YAML");
    if output.yaml.is_empty() {
        assert_ne!(output.outcome(), Outcome::Migrated);
        return vec![];
    }
    let routes = documents::read("output.yaml", output.yaml.as_bytes());
    routes
        .into_iter()
        .map(|route| {
            let object = route.object.unwrap_or_else(|error| panic!("{error}: {}", output.yaml));
            serde_json::from_value(object).expect("an object")
        })
        .collect()
}

/// A route is that of a split by its name, with the same backends in the same proportions.
pub(super) fn migrates(route: &DynamicObject, splits: &[Value]) {
    let kind =
        Kind::of("gateway.networking.k8s.io", route.types.as_ref().map_or("", |types| &types.kind));
    let declared = kind.expect("a route").read(route);
    let of_this_name = |split: &&Value| {
        split.pointer("/metadata/name").and_then(Value::as_str) == route.metadata.name.as_deref()
    };
    let any = splits.iter().filter(of_this_name).any(|split| {
        let Ok(split) = serde_json::from_value::<DynamicObject>(split.clone()) else {
            return false;
        };
        let of_split = Kind::TrafficSplit.read(&split);
        let (Some(set), true) = (declared.sets.first(), declared.apexes == of_split.apexes) else {
            return false;
        };
        let names = set.backends.iter().map(|b| &b.name).eq(of_split.backends().map(|b| &b.name));
        // Where the split fails over and needs no rounding, the author's weights are the same.
        let before = Intent::parse(&of_split, &Defaults::default());
        let same = before.map(|before| {
            let backends = before.iter().flat_map(|intent| &intent.backends);
            let before: Vec<u64> = backends.map(|b| b.authored.into()).collect();
            let after: Vec<u64> =
                set.backends.iter().filter_map(|b| b.weight.whole()).map(u64::from).collect();
            before.len() == after.len() && proportional(&before, &after)
        });
        names && same.unwrap_or(true)
    });
    assert!(any, "a route that is no split's: {route:?} of {splits:?}");
}

/// Whether two lists of numbers have the same proportions.
fn proportional(one: &[u64], other: &[u64]) -> bool {
    let cross = |i: usize, j: usize| {
        u128::from(one[i]) * u128::from(other[j]) == u128::from(one[j]) * u128::from(other[i])
    };
    (0..one.len()).all(|i| (0..i).all(|j| cross(i, j)))
}
