//! Flags of ServiceProfiles.

use crate::cli::values::Expected;

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
    /// Whether ServiceProfiles are written.
    pub(super) fn is_managed(&self) -> bool {
        self.manage_service_profiles
    }

    /// The domain in which ServiceProfiles are written; none: they are left alone.
    pub(super) fn cluster_domain(self) -> Option<String> {
        self.manage_service_profiles.then_some(self.cluster_domain)
    }
}

fn parse_domain(text: &str) -> Result<String, Expected> {
    let text = text.trim_end_matches('.');
    let is_label = |label: &str| {
        let fits = (1..=63).contains(&label.len());
        let known =
            label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        fits && known && !label.starts_with('-') && !label.ends_with('-')
    };
    match text.split('.').all(is_label) {
        true => Ok(text.to_owned()),
        false => Err(Expected("a DNS name in lower case, such as cluster.local".into())),
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
