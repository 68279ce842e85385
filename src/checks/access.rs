//! What somebody may do: the person who checks, and the program's ServiceAccount.

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

/// An action that a check takes, and what is not known without the right to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    pub access: Access,
    pub unknown: &'static str,
    /// Another check tells as much for now.
    pub is_optional: bool,
}

impl Access {
    pub(super) fn to(verb: &'static str, group: &'static str, resource: impl Into<String>) -> Self {
        Self { verb, group, resource: resource.into(), namespace: None, name: None }
    }

    pub(super) fn within(self, namespace: Option<&str>) -> Self {
        Self { namespace: namespace.map(str::to_owned), ..self }
    }

    pub(super) fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    pub(super) fn or(self, unknown: &'static str) -> Needed {
        Needed { access: self, unknown, is_optional: false }
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

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "you may not {}: {}", self.access, self.unknown)
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";
pub(super) const WEBHOOKS: &str = "admissionregistration.k8s.io";

/// What a person needs for all checks, beside what a snapshot lists and names itself.
pub(super) fn of_checks(settings: &Settings) -> Vec<Needed> {
    let own = Some(settings.installation.namespace.as_str());
    let name = settings.installation.name.as_str();
    let proxy = Access::to("get", "", "pods/proxy").within(own);
    let mut needed = vec![
        Access::to("list", "apps", "deployments")
            .or("which installation there is, and whether linkerd-failover 0.1 runs, is not known"),
        Access::to("list", "", "pods")
            .within(own)
            .or("whether all replicas run one version is not known"),
        Access::to("create", "authorization.k8s.io", "subjectaccessreviews")
            .or("the rights of the ServiceAccount are not known"),
    ];
    if settings.uses_lease {
        let lease = Access::to("get", "coordination.k8s.io", "leases").within(own).named(name);
        needed.push(lease.or("which replica leads is not known"));
    }
    if settings.rules.is_some() {
        let configurations = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
        let get = |of| Access::to("get", WEBHOOKS, of).named(name);
        needed.extend(configurations.map(|of| get(of).or("the CA that it trusts is not known")));
    }
    if settings.rules.is_some() || settings.links.is_some() {
        // The dry runs tell that the certificates are valid now.
        let unknown = "when the certificates of the replicas end, and which linked clusters the replicas see, is not known";
        needed.push(Needed { is_optional: true, ..proxy.or(unknown) });
    }
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
