//! The options of the process, independent of where they were read from.

use crate::admission::view::Rules;
use crate::alerts::AlertSettings;
use crate::certificates::CertificateSource;
use crate::deletion_guard::DelayBounds;
use crate::engine::{Defaults, Identity};
use crate::index::endpoints::AddressFamilies;
use crate::kinds::ObjectKey;
use crate::kinds::selector::LabelSelector;
use crate::notifications::NotificationSettings;
use jiff::SignedDuration;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use webhook_certs::TlsVersions;

/// The options of `linkerd-failover controller`.
#[derive(Debug)]
pub(crate) struct Options {
    /// How to reach the cluster.
    pub cluster: kube::Config,
    pub installation: Installation,
    /// Of this replica.
    pub identity: Identity,
    /// Of managed objects.
    pub selector: LabelSelector,
    /// Where objects are managed; empty: everywhere.
    pub namespaces: Vec<String>,
    pub families: AddressFamilies,
    /// For objects that do not set a value of their own.
    pub defaults: Defaults,
    /// Share of all objects, in percent, beyond which the brake stops failovers; none: no brake.
    pub brake: Option<u32>,
    /// Writes of weights at once.
    pub write_concurrency: usize,
    /// False: this is the only replica.
    pub uses_lease: bool,
    /// How linked clusters are watched; none: they are not.
    pub links: Option<LinkOptions>,
    /// The cluster domain in which ServiceProfiles are written; none: they are not.
    pub profiles_of: Option<String>,
    pub admin_address: SocketAddr,
    /// Whether metrics are served object by object, beside their sums.
    pub per_object_metrics: bool,
    /// Where Linkerd runs.
    pub linkerd: LinkerdOptions,
    /// None: the controller runs alone.
    pub webhook: Option<WebhookOptions>,
    /// None: no notification is sent.
    pub notifications: Option<NotificationSettings>,
    /// The longest that the deletion of a pod is delayed.
    pub deletion_delay: DelayBounds,
    /// How long to go on serving, no longer ready, after a signal.
    pub drain: Duration,
}

/// What all replicas of an installation have in common.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    /// Base name of the Lease, the Secret, the Service, the webhook configurations, the ServiceAccount.
    pub name: String,
    /// Where the program runs, with its Lease and its Secret.
    pub namespace: String,
}

impl Installation {
    /// The Deployment; the ServiceAccount has the same name.
    pub(crate) fn deployment(&self) -> ObjectKey {
        ObjectKey::new(&self.namespace, &self.name)
    }
}

/// How Linkerd's values are read.
#[derive(Clone, Debug)]
pub(crate) struct LinkerdOptions {
    /// Linkerd's namespace.
    pub namespace: String,
    /// How long after an answer they are read again.
    pub read_every: Duration,
}

/// How linked clusters are watched.
#[derive(Clone, Debug)]
pub(crate) struct LinkOptions {
    /// The namespaces of the credentials Secrets; the first wins where two have one for a cluster.
    pub namespaces: Vec<String>,
    /// How long a cluster may be out of reach before its Services count as down.
    pub unreachable_after: SignedDuration,
}

/// How admission reviews are served.
#[derive(Debug)]
pub(crate) struct WebhookOptions {
    pub address: SocketAddr,
    pub rules: Arc<Rules>,
    pub certificates: CertificateSource,
    pub tls_versions: TlsVersions,
    /// CAs of the clients that may call; none: no client needs a certificate.
    pub client_ca: Option<PathBuf>,
    /// None: no deletion of a pod is delayed.
    pub guard: Option<GuardOptions>,
    /// None: no alert is taken.
    pub alerts: Option<AlertSettings>,
}

/// How replicas reach each other for the deletion guard.
#[derive(Clone, Debug)]
pub(crate) struct GuardOptions {
    /// Token of our ServiceAccount, by which the leader authenticates this replica.
    pub token_file: PathBuf,
    /// The address by which other replicas call this one.
    pub pod_ip: Option<IpAddr>,
}

impl GuardOptions {
    /// Where other replicas call this one: on its webhook's port.
    pub(crate) fn address(&self, webhook: SocketAddr) -> Option<SocketAddr> {
        self.pod_ip.map(|ip| SocketAddr::new(ip, webhook.port()))
    }
}

impl Options {
    /// Whether Services may be patched: the chart gives that right with the receiver of alerts alone.
    pub(crate) fn patches_services(&self) -> bool {
        self.webhook.as_ref().is_some_and(|webhook| webhook.alerts.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_find_a_replica_by_its_pods_address_and_the_webhooks_port() {
        let pod_ip = Some("10.1.2.3".parse().unwrap());
        let options = GuardOptions { token_file: PathBuf::new(), pod_ip };
        let webhook = "0.0.0.0:8443".parse().unwrap();
        assert_eq!(options.address(webhook), Some("10.1.2.3:8443".parse().unwrap()));
    }
}
