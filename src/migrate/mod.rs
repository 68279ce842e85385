//! From TrafficSplits to routes of the Gateway API: manifests in, manifests out.

mod migration;
pub(crate) mod output;
pub(crate) mod ports;
pub(crate) mod route;
#[cfg(test)]
mod tests;

use crate::engine::Problem;
use crate::kinds::ObjectKey;
use crate::manifests::documents::Document;
use crate::manifests::malformed;
use crate::migrate::migration::{Migration, ignored_matches};
use crate::migrate::output::Output;
use crate::migrate::ports::ServicePortLookup;
use crate::migrate::route::{Route, RouteKind};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;
use std::collections::BTreeSet;

const GROUP: &str = "split.smi-spec.io";
const VERSIONS: [&str; 4] = ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"];

/// A split of the input, and its place in it.
struct Split {
    place: String,
    object: Value,
}

/// Migrates what was read. Nothing is written to a cluster.
pub(crate) async fn migrate(
    input: Vec<Document>,
    kind: RouteKind,
    namespace: Option<&str>,
    mut ports: ServicePortLookup,
) -> anyhow::Result<Output> {
    let mut output = Output::default();
    let splits = sort(input, namespace, &mut ports, &mut output);
    let mut names = BTreeSet::new();
    for Split { place, object } in splits {
        let routes = match parse(&object) {
            Ok(split) => {
                if let Some(warning) = ignored_matches(&split) {
                    output.warn(&place, &object, &warning);
                }
                routes(&split, kind, namespace, &mut ports).await
            }
            Err(problem) => Err(vec![problem]),
        };
        match routes.and_then(|routes| distinct(routes, &mut names)) {
            Ok(routes) => output.add(&routes)?,
            Err(problems) => output.fail(&place, &object, &problems),
        }
    }
    Ok(output)
}

/// The splits of the input. Its Services go to the look-up of ports, before any split needs them.
fn sort(
    input: Vec<Document>,
    namespace: Option<&str>,
    ports: &mut ServicePortLookup,
    output: &mut Output,
) -> Vec<Split> {
    let mut splits = vec![];
    for Document { place, object, .. } in input {
        match object {
            Err(error) => output.unreadable(&place, &error),
            Ok(object) if is(&object, "Service", "") => add_service(ports, namespace, object),
            Ok(object) if is(&object, "TrafficSplit", GROUP) => {
                splits.push(Split { place, object });
            }
            Ok(object) => output.skip(&place, &object),
        }
    }
    splits
}

fn is(object: &Value, kind: &str, group: &str) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let found = version.split_once('/').map_or("", |(group, _)| group);
    object["kind"] == kind && found == group
}

/// A Service that cannot be read counts as absent: a message follows where its ports are missing.
fn add_service(ports: &mut ServicePortLookup, namespace: Option<&str>, object: Value) {
    if let Ok(service) = serde_json::from_value::<Service>(object) {
        let namespace = service.namespace().or(namespace.map(str::to_owned)).unwrap_or_default();
        ports.insert(ObjectKey::new(namespace, service.name_any()), service);
    }
}

fn parse(object: &Value) -> Result<DynamicObject, Problem> {
    let version = object["apiVersion"].as_str().and_then(|text| text.split_once('/'));
    let version = version.map_or("", |(_, version)| version);
    if !VERSIONS.contains(&version) {
        return Err(Problem::error("apiVersion").found(&object["apiVersion"]).expected(format!(
            "{GROUP}/{} to {}",
            VERSIONS[0],
            VERSIONS[VERSIONS.len() - 1]
        )));
    }
    malformed::read(object)
}

async fn routes(
    split: &DynamicObject,
    kind: RouteKind,
    namespace: Option<&str>,
    ports: &mut ServicePortLookup,
) -> Result<Vec<Route>, Vec<Problem>> {
    let migration = Migration::read(split, namespace)?;
    let ports = ports.of(&migration.apex_key()).await.map_err(|problem| vec![problem])?;
    Ok(Route::for_each_port(&migration, kind, &ports))
}

/// The routes, where none has the name of one before: of two, an apply would keep the second.
fn distinct(
    routes: Vec<Route>,
    names: &mut BTreeSet<ObjectKey>,
) -> Result<Vec<Route>, Vec<Problem>> {
    if let Some(taken) = routes.iter().map(Route::key).find(|key| names.contains(key)) {
        return Err(vec![
            Problem::error("metadata.name")
                .found(format!("{}, which the route of another split has already", taken.name))
                .expected("a name of its own for each route")
                .next("migrate the two one by one, and rename one of the routes"),
        ]);
    }
    names.extend(routes.iter().map(Route::key));
    Ok(routes)
}
