//! The Services that an object names exist, have endpoints, and serve the ports that callers ask for.

use super::rule::{Check, Rule};
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::view::{MissingBackends, Presence, View};
use crate::engine::{Declaration, DeclaredBackend, FieldPath, Problem, closest, service_of};
use crate::index::service_facts::{ServiceFacts, ServiceKind, ServicePort};
use crate::kinds::ObjectKey;
use std::cell::{Cell, OnceCell};
use std::collections::{BTreeSet, HashSet};

/// Denies a Service that does not exist, an ExternalName, and a backend without the ports of the apex,
/// where the object fails over. A name that no Service can have is an error of the parser.
pub(super) const RULE: Rule = Rule { name: "services", check: Check::Object(check) };

fn check(object: &ReviewedObject<'_>, view: &View<'_>) -> Vec<Problem> {
    problems(&object.declared, view)
}

fn problems(declared: &Declaration, view: &View<'_>) -> Vec<Problem> {
    let shape = &declared.shape;
    let apexes = declared.apexes.iter().filter(|apex| declared.can_name(apex));
    let guess = Guess::new(view);
    let mut problems: Vec<Problem> =
        apexes.filter_map(|name| missing(name, || shape.apex.into(), &guess)).collect();
    // Rules of a route mostly name the same.
    let mut seen = HashSet::new();
    let backends = declared.failing_over().flat_map(|set| &set.backends);
    let backends: Vec<&DeclaredBackend> = backends
        .filter(|backend| backend.fault.is_none() && declared.can_name(&backend.name))
        .filter(|backend| seen.insert((service_of(&backend.name), backend.port)))
        .collect();
    let field = |backend: &DeclaredBackend| backend.path.field(shape.name);
    let mut seen = HashSet::new();
    let services = backends.iter().filter(|backend| seen.insert(service_of(&backend.name)));
    problems.extend(services.filter_map(|b| missing(service_of(&b.name), || field(b), &guess)));
    let apex = declared.apexes.first().and_then(|apex| Some((apex, view.service(apex)?)));
    for backend in backends {
        let Some(service) = view.service(&backend.name) else { continue };
        if service.kind == ServiceKind::ExternalName {
            problems.push(external(&backend.name, field(backend)));
        } else if let Some(port) = backend.port {
            problems.extend(own_port(backend, port, &service));
        } else if let Some((name, apex)) = &apex {
            problems.extend(ports(&backend.name, &service, name, apex, || field(backend)));
        }
    }
    problems
}

fn missing(name: &str, field: impl FnOnce() -> FieldPath, guess: &Guess<'_>) -> Option<Problem> {
    let view = guess.view;
    let presence = view.presence(name);
    if presence == Presence::Exists {
        return None;
    }
    let (service, field) = (view.key_of(name), field());
    // A namespace that is not watched is reported with the health.
    if !view.index().watches(&service.namespace) {
        return None;
    }
    let expected = format!("a Service in namespace {}", service.namespace);
    match presence {
        Presence::Exists => None,
        Presence::NotKnown => {
            let near = guess.near(&service).map(|near| format!("did you mean {near}? "));
            Some(
                Problem::unknown(field)
                    .found(format!("{name:?}, which could not be looked up"))
                    .expected(expected)
                    .next(format!(
                        "{}check with: kubectl -n {} get service {}",
                        near.unwrap_or_default(),
                        service.namespace,
                        service.name
                    )),
            )
        }
        Presence::Missing => {
            let (near, mirrors) = (guess.near(&service), guess.linked_cluster(name));
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

/// A route names the port of its backend.
fn own_port(backend: &DeclaredBackend, port: u16, service: &ServiceFacts) -> Option<Problem> {
    if service.ports.iter().any(|p| p.number == i32::from(port)) {
        return None;
    }
    let name = service_of(&backend.name);
    Some(
        Problem::error(backend.path.field("port"))
            .found(format!("{port}, and {name:?} with {}", listed(&service.ports)))
            .about(name)
            .expected(format!("a port of {name}"))
            .next(format!("Linkerd would take {port} as the pods' own port")),
    )
}

/// What a missing Service may be. A guess compares the name with all Services of the namespace, so their
/// number is limited.
struct Guess<'a> {
    view: &'a View<'a>,
    remaining: Cell<usize>,
    clusters: OnceCell<BTreeSet<String>>,
}

const GUESSES: usize = 16;

impl<'a> Guess<'a> {
    fn new(view: &'a View<'a>) -> Self {
        Self { view, remaining: Cell::new(GUESSES), clusters: OnceCell::new() }
    }

    /// The Service of a namespace that a misspelt name most likely meant.
    fn near(&self, service: &ObjectKey) -> Option<String> {
        self.remaining.set(self.remaining.get().checked_sub(1)?);
        let index = self.view.index();
        closest(&service.name, index.services_in(&service.namespace)).map(str::to_owned)
    }

    /// The linked cluster that a mirror of this name would be of: rebuilding one cluster while
    /// another is down must be possible.
    fn linked_cluster(&self, name: &str) -> Option<&str> {
        let clusters = self.clusters.get_or_init(|| {
            let index = self.view.index();
            let named = self.view.rules.linked_clusters.iter().map(String::as_str);
            named.chain(index.mirrored_clusters()).map(str::to_owned).collect()
        });
        let of = |cluster: &&String| {
            name.strip_suffix(cluster.as_str())
                .and_then(|rest| rest.strip_suffix('-'))
                .is_some_and(|s| !s.is_empty())
        };
        clusters.iter().find(of).map(String::as_str)
    }
}

fn external(name: &str, field: FieldPath) -> Problem {
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
    field: impl FnOnce() -> FieldPath,
) -> Option<Problem> {
    let has = |port: &&ServicePort| service.ports.iter().any(|p| p.number == port.number);
    let lacking: Vec<&ServicePort> = apex.ports.iter().filter(|port| !has(port)).collect();
    if lacking.is_empty() {
        return None;
    }
    let (none_fits, field) = (lacking.len() == apex.ports.len(), field());
    let problem = if none_fits { Problem::error(field) } else { Problem::warning(field) };
    Some(
        problem
            .found(format!("{name:?} with {}", listed(&service.ports)))
            .about(name)
            .expected(format!("the ports of the apex {apex_name}: {}", listed(&apex.ports)))
            .next(format!(
                "clients call {}, and Linkerd would take that as the pods' own port: add it to {name}",
                listed(lacking)
            )),
    )
}

/// `port 8080 (grpc)`.
fn listed<'a>(ports: impl IntoIterator<Item = &'a ServicePort>) -> String {
    let one = |port: &ServicePort| match port.name.as_str() {
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
