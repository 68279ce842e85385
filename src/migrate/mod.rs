//! From TrafficSplits to routes of the Gateway API: manifests in, manifests out.

pub(crate) mod documents;
mod encoding;
pub(crate) mod ports;
pub(crate) mod route;
#[cfg(test)]
mod tests;

use crate::engine::Problem;
use crate::kinds::ObjectKey;
use crate::migrate::documents::Document;
use crate::migrate::ports::ServicePortLookup;
use crate::migrate::route::{Called, Migration, Route, RouteKind, ignored_matches};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;
use std::collections::BTreeSet;

const GROUP: &str = "split.smi-spec.io";
const VERSIONS: [&str; 4] = ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"];

/// What goes to standard output, what to standard error, and how it went.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub yaml: String,
    pub messages: Vec<String>,
    routes: usize,
    failed: usize,
}

impl Printed {
    /// An error where something could not be migrated, or there was nothing to migrate.
    pub(crate) fn verdict(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.failed == 0, "{} could not be migrated, see above", self.failed);
        anyhow::ensure!(
            self.routes > 0,
            "no TrafficSplit in the input: nothing to migrate; \
             try `kubectl get trafficsplits.split.smi-spec.io -o yaml | linkerd-failover migrate -f -`"
        );
        Ok(())
    }
}

/// A split of the input, and where it is.
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
) -> anyhow::Result<Printed> {
    let mut printed = Printed::default();
    let mut splits = vec![];
    for Document { place, object } in input {
        match object {
            Err(error) => {
                printed.failed += 1;
                let fault = Problem::error("YAML").found(error).expected("a manifest");
                printed.messages.push(format!("{place}: {fault}"));
            }
            Ok(object) if is(&object, "Service", "") => learn(&mut ports, namespace, object),
            Ok(object) if is(&object, "TrafficSplit", GROUP) => {
                splits.push(Split { place, object });
            }
            Ok(object) => {
                let what = Called(&object);
                printed.messages.push(format!("{place}: {what}: skipped, it is no TrafficSplit"));
            }
        }
    }
    let mut names = BTreeSet::new();
    for Split { place, object } in splits {
        let say = |problem: &Problem| format!("{place}: {}: {problem}", Called(&object));
        let routes = match parse(&object) {
            Ok(split) => {
                printed.messages.extend(ignored_matches(&split).as_ref().map(say));
                routes(&split, kind, namespace, &mut ports).await
            }
            Err(problem) => Err(vec![problem]),
        };
        match routes.and_then(|routes| unique(routes, &mut names)) {
            Ok(routes) => {
                printed.routes += routes.len();
                for route in routes {
                    printed.yaml.push_str(&route.to_yaml()?);
                }
            }
            Err(problems) => {
                printed.failed += 1;
                printed.messages.extend(problems.iter().map(say));
            }
        }
    }
    Ok(printed)
}

fn is(object: &Value, kind: &str, group: &str) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let found = version.split_once('/').map_or("", |(group, _)| group);
    object["kind"] == kind && found == group
}

/// A Service that cannot be read counts as absent: a message follows where its ports are missing.
fn learn(ports: &mut ServicePortLookup, namespace: Option<&str>, object: Value) {
    if let Ok(service) = serde_json::from_value::<Service>(object) {
        let namespace = service.namespace().or(namespace.map(str::to_owned)).unwrap_or_default();
        ports.learn(ObjectKey::new(namespace, service.name_any()), service);
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
    serde_json::from_value(object.clone()).map_err(|error| {
        Problem::error("metadata")
            .found(format!("what cannot be read ({error})"))
            .expected("a name, and strings as labels and annotations")
            .next("put numbers, true and false into quotes")
    })
}

async fn routes(
    split: &DynamicObject,
    kind: RouteKind,
    namespace: Option<&str>,
    ports: &mut ServicePortLookup,
) -> Result<Vec<Route>, Vec<Problem>> {
    let migration = Migration::read(split, namespace)?;
    let ports = ports.of(&migration.apex_key()).await.map_err(|problem| vec![problem])?;
    Ok(migration.routes(kind, &ports))
}

/// Of two objects with one name, an apply would leave the second.
fn unique(routes: Vec<Route>, names: &mut BTreeSet<ObjectKey>) -> Result<Vec<Route>, Vec<Problem>> {
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
