//! What somebody may do: the person who checks, and the program's ServiceAccount.

use crate::kinds::Kind;
use crate::snapshot::Settings;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use std::fmt;

/// An action on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Access {
    pub verb: &'static str,
    pub group: &'static str,
    pub resource: String,
    /// None: in all namespaces, or of a resource without any.
    pub namespace: Option<String>,
    pub name: Option<String>,
}

impl Access {
    fn to(verb: &'static str, group: &'static str, resource: impl Into<String>) -> Self {
        Self { verb, group, resource: resource.into(), namespace: None, name: None }
    }

    fn within(self, namespace: Option<&str>) -> Self {
        Self { namespace: namespace.map(str::to_owned), ..self }
    }

    fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// What a review asks.
    pub(super) fn attributes(&self) -> ResourceAttributes {
        let (resource, subresource) = self.resource.split_once('/').unzip();
        ResourceAttributes {
            verb: Some(self.verb.to_owned()),
            group: Some(self.group.to_owned()),
            resource: Some(resource.unwrap_or(&self.resource).to_owned()),
            subresource: subresource.map(str::to_owned),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            ..ResourceAttributes::default()
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => Ok(()),
        }
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const WEBHOOKS: &str = "admissionregistration.k8s.io";

/// What a person needs for all checks.
pub(super) fn of_checks(
    settings: &Settings,
    kinds: &[Kind],
    namespace: Option<&str>,
) -> Vec<Access> {
    let own = Some(settings.installation.namespace.as_str());
    let name = settings.installation.name.as_str();
    let list = |group, resource: &str| Access::to("list", group, resource);
    let mut needed = vec![
        list("apps", "deployments"),
        list("", "pods").within(own),
        Access::to("get", "coordination.k8s.io", "leases").within(own).named(name),
        Access::to("get", "", "namespaces").named(settings.installation.namespace.as_str()),
        list("", "services").within(namespace),
        list("discovery.k8s.io", "endpointslices").within(namespace),
        list("linkerd.io", "serviceprofiles").within(namespace),
        Access::to("get", WEBHOOKS, "mutatingwebhookconfigurations").named(name),
        Access::to("get", WEBHOOKS, "validatingwebhookconfigurations").named(name),
        Access::to("create", "authorization.k8s.io", "subjectaccessreviews"),
        Access::to("get", "", "pods/proxy").within(own),
    ];
    needed.extend(kinds.iter().map(|kind| list(kind.group(), kind.plural()).within(namespace)));
    let links = settings.links.iter().flat_map(|links| &links.namespaces);
    needed.extend(links.map(|namespace| list("", "secrets").within(Some(namespace))));
    needed
}

/// What a person needs to install the chart.
pub(super) fn of_install(settings: &Settings) -> Vec<Access> {
    let own = Some(settings.installation.namespace.as_str());
    let create = |group, resource: &str| Access::to("create", group, resource);
    vec![
        create("", "namespaces"),
        create("", "serviceaccounts").within(own),
        create("", "services").within(own),
        create("", "secrets").within(own),
        create("apps", "deployments").within(own),
        create("policy", "poddisruptionbudgets").within(own),
        create(RBAC, "roles").within(own),
        create(RBAC, "rolebindings").within(own),
        create(RBAC, "clusterroles"),
        create(RBAC, "clusterrolebindings"),
        create(WEBHOOKS, "mutatingwebhookconfigurations"),
        create(WEBHOOKS, "validatingwebhookconfigurations"),
    ]
}

/// What the program's ServiceAccount needs.
pub(super) fn of_account(settings: &Settings, kinds: &[Kind]) -> Vec<Access> {
    let mut needed = of_own(settings);
    let managed = settings.watch.namespaces.iter().map(|namespace| Some(namespace.as_str()));
    let managed: Vec<Option<&str>> = managed.collect();
    let managed = if managed.is_empty() { vec![None] } else { managed };
    for namespace in managed {
        let each = of_namespace(settings, kinds).into_iter();
        needed.extend(each.map(|access| access.within(namespace)));
    }
    let links = settings.links.iter().flat_map(|links| &links.namespaces);
    for namespace in links {
        let secrets = ["list", "watch"].map(|verb| Access::to(verb, "", "secrets"));
        needed.extend(secrets.map(|access| access.within(Some(namespace))));
    }
    needed
}

/// In its own namespace, and of what belongs to it.
fn of_own(settings: &Settings) -> Vec<Access> {
    let (own, name) = (&settings.installation.namespace, &settings.installation.name);
    let here = |access: Access| access.within(Some(own));
    let mut needed = vec![
        Access::to("watch", "", "namespaces").named(own),
        here(Access::to("create", "events.k8s.io", "events")),
    ];
    if settings.uses_lease {
        let leases = "coordination.k8s.io";
        needed.push(here(Access::to("create", leases, "leases")));
        needed.extend(
            ["get", "update"].map(|verb| here(Access::to(verb, leases, "leases").named(name))),
        );
    }
    if settings.rules.is_some() {
        let verb = if settings.own_certificates { "patch" } else { "watch" };
        let configurations = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
        needed.extend(configurations.map(|of| Access::to(verb, WEBHOOKS, of).named(name)));
    }
    if settings.rules.is_some() && settings.own_certificates {
        let secret = format!("{name}-webhook-ca");
        needed.push(here(Access::to("update", "", "secrets").named(secret)));
    }
    needed
}

/// Where objects are managed.
fn of_namespace(settings: &Settings, kinds: &[Kind]) -> Vec<Access> {
    let watched = |group, resource: &'static str| {
        ["list", "watch"].map(|verb| Access::to(verb, group, resource))
    };
    let mut needed: Vec<Access> = watched("", "services")
        .into_iter()
        .chain(watched("discovery.k8s.io", "endpointslices"))
        .collect();
    for kind in kinds {
        let verbs = ["list", "watch", "patch"];
        needed.extend(verbs.map(|verb| Access::to(verb, kind.group(), kind.plural())));
    }
    needed.push(Access::to("create", "events.k8s.io", "events"));
    if settings.profiles_of.is_some() {
        let verbs = ["list", "watch", "create", "patch", "delete"];
        needed.extend(verbs.map(|verb| Access::to(verb, "linkerd.io", "serviceprofiles")));
    }
    needed
}
