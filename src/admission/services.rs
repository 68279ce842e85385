//! The rules about the Services that an object names: what failover could not work with.

use super::{MissingBackends, Presence, View};
use crate::cluster::services::{Port, ServiceFacts, ServiceKind};
use crate::failover::{Declaration, Problem, closest, is_service_name};

/// All that is wrong with the Services that an object names; a name that no Service can have is the
/// parser's.
pub fn problems(declared: &Declaration, view: &View<'_>) -> Vec<Problem> {
    let apex = [(&declared.apex, "spec.service".to_owned())];
    let backends = declared.backends.iter().map(|b| (&b.name, format!("{}.service", b.path)));
    let named = || backends.clone().filter(|(name, _)| is_service_name(name));
    let mut problems: Vec<Problem> = apex
        .into_iter()
        .filter(|(name, _)| is_service_name(name))
        .chain(named())
        .filter_map(|(name, field)| missing(name, field, view))
        .collect();
    for (name, field) in named() {
        let Some(service) = view.service(name) else { continue };
        if service.kind == ServiceKind::ExternalName {
            problems.push(external(name, field));
        } else if let Some(apex) = view.service(&declared.apex) {
            problems.extend(ports(name, service, &declared.apex, apex, field));
        }
    }
    problems
}

fn missing(name: &str, field: String, view: &View<'_>) -> Option<Problem> {
    let expected = format!("a Service in namespace {}", view.namespace);
    match view.presence(name) {
        Presence::Exists => None,
        Presence::NotKnown => Some(
            Problem::warning(field)
                .found(format!("{name:?}, which could not be looked up"))
                .expected(expected)
                .next(format!("check with: kubectl -n {} get service {name}", view.namespace)),
        ),
        Presence::Missing => {
            let near = closest(name, view.index.services_in(view.namespace));
            let mirrors = linked_cluster(name, view);
            let lenient = view.rules.missing_backends == MissingBackends::Warn || mirrors.is_some();
            let problem = if lenient { Problem::warning(field) } else { Problem::error(field) };
            let problem =
                problem.found(format!("{name:?}, which does not exist")).expected(expected);
            Some(match (near, mirrors) {
                (_, Some(cluster)) => problem.next(format!(
                    "it looks like a mirror of cluster {cluster}: until that is linked and the Service is exported there, it counts as down"
                )),
                (Some(near), None) => problem.next(format!("did you mean {near}?")),
                (None, None) => problem.next("create it first, or in the same file before this object"),
            })
        }
    }
}

/// The linked cluster that a mirror of this name would be of: rebuilding one cluster while another
/// is down must be possible.
fn linked_cluster<'a>(name: &str, view: &'a View<'_>) -> Option<&'a str> {
    let of = |cluster: &&str| {
        name.strip_suffix(cluster)
            .and_then(|rest| rest.strip_suffix('-'))
            .is_some_and(|s| !s.is_empty())
    };
    let named = view.rules.linked_clusters.iter().map(String::as_str);
    named.chain(view.index.mirrored_clusters()).find(of)
}

fn external(name: &str, field: String) -> Problem {
    Problem::error(field)
        .found(format!("{name:?}, an ExternalName Service"))
        .expected("a Service with endpoints")
        .next("Linkerd does not follow an ExternalName: point a Service without selector and an EndpointSlice at the address instead")
}

/// Linkerd asks a backend for the apex's port number. Where the backend has no such port, it takes
/// the number as the pods' own.
fn ports(
    name: &str,
    service: &ServiceFacts,
    apex_name: &str,
    apex: &ServiceFacts,
    field: String,
) -> Option<Problem> {
    let has = |port: &&Port| service.ports.iter().any(|p| p.number == port.number);
    let lacking: Vec<&Port> = apex.ports.iter().filter(|port| !has(port)).collect();
    if lacking.is_empty() {
        return None;
    }
    let none_fits = lacking.len() == apex.ports.len();
    let problem = if none_fits { Problem::error(field) } else { Problem::warning(field) };
    Some(
        problem
            .found(format!("{name:?} with {}", told(&service.ports)))
            .about(name)
            .expected(format!("the ports of the apex {apex_name}: {}", told(&apex.ports)))
            .next(format!(
                "clients call {}, and Linkerd would take that as the pods' own port: add it to {name}",
                told(lacking)
            )),
    )
}

/// `port 8080 (grpc)`.
fn told<'a>(ports: impl IntoIterator<Item = &'a Port>) -> String {
    let one = |port: &Port| match port.name.as_str() {
        "" => port.number.to_string(),
        name => format!("{} ({name})", port.number),
    };
    let ports: Vec<String> = ports.into_iter().map(one).collect();
    match ports.as_slice() {
        [] => "no ports".into(),
        [one] => format!("port {one}"),
        several => format!("ports {}", several.join(", ")),
    }
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
