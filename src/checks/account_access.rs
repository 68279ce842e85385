//! What the program's ServiceAccount has to be allowed: what the chart gives it, by the settings.

use crate::checks::access::{Access, WEBHOOKS};
use crate::kinds::Kind;
use crate::snapshot::Settings;

/// What the program's ServiceAccount needs.
pub(super) fn of_account(settings: &Settings, kinds: &[Kind]) -> Vec<Access> {
    let mut needed = of_own(settings);
    needed.extend(of_cluster(settings));
    needed.extend(of_links(settings));
    let managed = settings.watch.namespaces.iter().map(|namespace| Some(namespace.as_str()));
    let managed: Vec<Option<&str>> = managed.collect();
    let managed = if managed.is_empty() { vec![None] } else { managed };
    for namespace in managed {
        let each = of_namespace(settings, kinds).into_iter();
        needed.extend(each.map(|access| access.within(namespace)));
    }
    needed
}

/// In its own namespace, and of what belongs to it.
fn of_own(settings: &Settings) -> Vec<Access> {
    let (own, name) = (&settings.installation.namespace, &settings.installation.name);
    let here = |access: Access| access.within(Some(own));
    let own_namespace = |verb| Access::to(verb, "", "namespaces").named(own);
    let mut needed = vec![own_namespace("watch"), own_namespace("patch"), here(events())];
    if settings.uses_lease || settings.parts.brake {
        let leases = "coordination.k8s.io";
        needed.push(here(Access::to("create", leases, "leases")));
        needed.extend(
            ["get", "update"].map(|verb| here(Access::to(verb, leases, "leases").named(name))),
        );
    }
    if settings.rules.is_some() && settings.own_certificates {
        let secret = format!("{name}-webhook-ca");
        needed.push(here(Access::to("update", "", "secrets").named(secret)));
    }
    needed
}

/// Of what belongs to no namespace.
fn of_cluster(settings: &Settings) -> Vec<Access> {
    let name = &settings.installation.name;
    let namespaces = settings.watch.namespaces.iter();
    let mut needed: Vec<Access> =
        namespaces.map(|of| Access::to("watch", "", "namespaces").named(of)).collect();
    if needed.is_empty() {
        needed.extend(["list", "watch"].map(|verb| Access::to(verb, "", "namespaces")));
    }
    if settings.rules.is_some() {
        let verb = if settings.own_certificates { "patch" } else { "watch" };
        let configurations = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
        needed.extend(configurations.map(|of| Access::to(verb, WEBHOOKS, of).named(name)));
    }
    let parts = &settings.parts;
    if parts.guard || parts.alerts.is_some() {
        needed.push(Access::to("create", "authentication.k8s.io", "tokenreviews"));
    }
    if let Some(ca_namespaces) = &parts.alerts {
        needed.push(Access::to("create", "authorization.k8s.io", "subjectaccessreviews"));
        let map = Access::to("patch", "", "configmaps").named(format!("{name}-webhook-ca"));
        needed.extend(ca_namespaces.iter().map(|namespace| map.clone().within(Some(namespace))));
    }
    needed
}

/// Where the credentials of linked clusters are.
fn of_links(settings: &Settings) -> Vec<Access> {
    let namespaces = settings.links.iter().flat_map(|links| &links.namespaces);
    let of_each = |namespace: &String| {
        let secrets = ["list", "watch"].map(|verb| Access::to(verb, "", "secrets"));
        secrets.into_iter().chain([events()]).map(|access| access.within(Some(namespace))).collect()
    };
    namespaces.flat_map(|namespace| -> Vec<Access> { of_each(namespace) }).collect()
}

/// Where objects are managed.
fn of_namespace(settings: &Settings, kinds: &[Kind]) -> Vec<Access> {
    let watched = |group, resource: &'static str| {
        ["list", "watch"].map(|verb| Access::to(verb, group, resource))
    };
    let mut needed: Vec<Access> = watched("", "services")
        .into_iter()
        .chain(watched("discovery.k8s.io", "endpointslices"))
        .chain([Access::to("get", "", "services"), events()])
        .collect();
    for kind in kinds {
        let verbs = ["get", "list", "watch", "patch"];
        needed.extend(verbs.map(|verb| Access::to(verb, kind.group(), kind.plural())));
    }
    // To report one with our label that does not fail over.
    needed.push(Access::to("list", "policy.linkerd.io", "httproutes"));
    let profiles = |verb| Access::to(verb, "linkerd.io", "serviceprofiles");
    if settings.profiles_of.is_some() {
        needed.extend(["list", "watch", "create", "patch", "delete"].map(profiles));
    } else if settings.watch.warns {
        needed.extend(["list", "watch"].map(profiles));
    }
    if settings.watch.warns {
        needed.extend(watched("gateway.networking.k8s.io", "referencegrants"));
    }
    if settings.parts.alerts.is_some() {
        needed.push(Access::to("patch", "", "services"));
    }
    if settings.parts.guard_reads_pods {
        needed.push(Access::to("get", "", "pods"));
    }
    needed
}

fn events() -> Access {
    Access::to("create", "events.k8s.io", "events")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Parts;
    use crate::snapshot::test_support::settings;
    use serde::Deserialize;
    use std::collections::BTreeSet;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rule {
        api_groups: Vec<String>,
        resources: Vec<String>,
        #[serde(default)]
        resource_names: Vec<String>,
        verbs: Vec<String>,
    }

    #[derive(Default, Deserialize)]
    struct Document {
        #[serde(default)]
        rules: Vec<Rule>,
    }

    /// The rules of the chart's Roles, as it installs with its default values.
    fn rules() -> Vec<Rule> {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/install.yaml");
        let text = std::fs::read_to_string(page).unwrap();
        let roles = text.split("\n---\n").filter(|document| {
            document.contains("kind: Role\n") || document.contains("kind: ClusterRole\n")
        });
        let read = |document| serde_saphyr::from_str::<Document>(document).unwrap().rules;
        roles.filter(|document| document.contains("\nrules:\n")).flat_map(read).collect()
    }

    fn is_given(rule: &Rule, access: &Access) -> bool {
        let has = |texts: &[String], text: &str| texts.iter().any(|of| of == text);
        has(&rule.api_groups, access.group)
            && has(&rule.resources, &access.resource)
            && has(&rule.verbs, access.verb)
            && (rule.resource_names.is_empty()
                || access.name.as_ref().is_some_and(|name| has(&rule.resource_names, name)))
    }

    /// The chart's defaults.
    fn needed() -> Vec<Access> {
        let parts = Parts { guard: true, guard_reads_pods: true, ..Parts::default() };
        of_account(&Settings { profiles_of: None, parts, ..settings() }, &Kind::ALL)
    }

    #[test]
    fn the_chart_gives_all_that_is_asked_for() {
        let rules = rules();
        for access in needed() {
            assert!(rules.iter().any(|rule| is_given(rule, &access)), "{access}");
        }
    }

    #[test]
    fn all_that_the_chart_gives_is_asked_for() {
        let asked: BTreeSet<(String, String)> =
            needed().into_iter().map(|of| (of.group.to_owned(), of.resource)).collect();
        for rule in rules() {
            for resource in &rule.resources {
                let pair = (rule.api_groups[0].clone(), resource.clone());
                assert!(asked.contains(&pair), "{pair:?}");
            }
        }
    }
}
