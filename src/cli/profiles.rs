//! Whether and how ServiceProfiles are written.

use crate::kinds::selector::LabelSelector;
use crate::reconciler::service_profiles::plan::ProfileSettings;

#[derive(Debug, clap::Args)]
pub(super) struct ProfileArgs {
    /// Write the ServiceProfiles of the managed TrafficSplits, in place of the linkerd-smi adaptor
    #[arg(long, env = "LINKERD_FAILOVER_MANAGE_SERVICE_PROFILES")]
    manage_service_profiles: bool,
    /// Domain of the cluster, as Linkerd has it: ServiceProfiles of another one are never read
    #[arg(long, env = "LINKERD_FAILOVER_CLUSTER_DOMAIN", default_value = "cluster.local", value_parser = parse_domain)]
    cluster_domain: String,
}

impl ProfileArgs {
    /// None: they are left alone.
    pub(super) fn settings(
        &self,
        namespace: &str,
        name: &str,
        selector: &LabelSelector,
    ) -> Option<ProfileSettings> {
        self.manage_service_profiles.then(|| ProfileSettings {
            cluster_domain: self.cluster_domain.clone(),
            by: format!("{namespace}/{name}"),
            selector: selector.clone(),
        })
    }
}

fn parse_domain(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('.');
    let is_label = |label: &str| {
        let fits = (1..=63).contains(&label.len());
        let known =
            label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        fits && known && !label.starts_with('-') && !label.ends_with('-')
    };
    match text.split('.').all(is_label) {
        true => Ok(text.to_owned()),
        false => Err("expected a DNS name in lower case, such as cluster.local".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_domain_is_a_dns_name() {
        for (text, domain) in [
            ("cluster.local", Some("cluster.local")),
            ("cluster.local.", Some("cluster.local")),
            ("k8s", Some("k8s")),
            ("", None),
            ("Cluster.local", None),
            ("a..b", None),
            ("-a.b", None),
            ("svc.cluster/local", None),
        ] {
            assert_eq!(parse_domain(text).ok().as_deref(), domain, "{text:?}");
        }
    }
}
