//! Flags about the flip before the loss, and how its parts are put together.

use crate::certificates::ResourceNames;
use crate::engine;

use crate::deletion_guard::{self, Announcer, Authenticator, Patience, Peers};

use crate::index::shared_index::SharedIndex;
use crate::telemetry::Metrics;
use anyhow::ensure;
use jiff::SignedDuration;
use kube::Client;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The API server waits for a second, and the answer needs its way.
const LONGEST: Duration = Duration::from_millis(800);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct GuardArgs {
    /// Flip before a pod is deleted that traffic rests on: the API server asks before it deletes
    #[arg(long, env = "LINKERD_FAILOVER_GUARD")]
    guard: bool,
    /// The longest that a deletion waits for a flip, everything included; at most 800ms
    #[arg(long, env = "LINKERD_FAILOVER_GUARD_BOUND", default_value = "500ms", value_parser = parse_patience)]
    guard_bound: Duration,
    /// How long a deletion waits, within that bound, after the flip of a TrafficSplit that an adaptor
    /// has to carry to Linkerd
    #[arg(long, env = "LINKERD_FAILOVER_GUARD_ADAPTOR_GRACE", default_value = "100ms", value_parser = parse_patience)]
    guard_adaptor_grace: Duration,
    /// Token of our ServiceAccount, by which the replica that leads knows this one
    #[arg(
        long,
        env = "LINKERD_FAILOVER_PEER_TOKEN_FILE",
        default_value = "/var/run/linkerd-failover/peer/token",
        hide = true
    )]
    peer_token_file: PathBuf,
    /// The address by which other replicas call this one
    #[arg(long, env = "POD_IP", hide = true)]
    pod_ip: Option<IpAddr>,
}

fn parse_patience(text: &str) -> Result<Duration, String> {
    let time = engine::delay(text).map(|time| time.unsigned_abs());
    time.filter(|time| *time <= LONGEST)
        .ok_or_else(|| format!("expected a duration such as 500ms, of at most {LONGEST:?}"))
}

/// The ends of what announcements go through, but for the webhook's.
pub(super) struct GuardChannels {
    pub leading: watch::Receiver<bool>,
    pub judge: watch::Receiver<deletion_guard::LeaderAddress>,
    pub controller: mpsc::Sender<deletion_guard::PendingAnnouncement>,
    /// Whether there may be other replicas.
    pub has_peers: bool,
}

/// What all replicas of an installation have in common.
pub(super) struct Installation<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
}

impl GuardArgs {
    pub(super) fn is_on(&self) -> bool {
        self.guard
    }

    /// How long a deletion may be held up.
    pub(super) fn patience(&self) -> anyhow::Result<Patience> {
        let (bound, adaptor_grace) = (self.guard_bound, self.guard_adaptor_grace);
        ensure!(!bound.is_zero(), "--guard-bound: found 0s, expected a time in which to flip");
        ensure!(
            adaptor_grace <= bound,
            "--guard-adaptor-grace: found {adaptor_grace:?}, expected at most --guard-bound, {bound:?}"
        );
        Ok(Patience { bound, adaptor_grace })
    }

    /// The longest that a deletion is held up.
    pub(super) fn hold_up(&self) -> anyhow::Result<SignedDuration> {
        Ok(self.patience()?.bound.try_into()?)
    }

    /// Where other replicas find this one, if they need to.
    pub(super) fn address(&self, webhook: SocketAddr) -> Option<SocketAddr> {
        let address = self.pod_ip.filter(|_| self.guard);
        address.map(|ip| SocketAddr::new(ip, webhook.port()))
    }

    /// Where the webhook takes announcements, and where other replicas do.
    pub(super) fn desk(
        &self,
        lines: GuardChannels,
        installation: &Installation<'_>,
        trust: watch::Receiver<Arc<[u8]>>,
        shared: SharedIndex,
        metrics: Arc<Metrics>,
    ) -> Announcer {
        let GuardChannels { leading, judge, controller, has_peers } = lines;
        let Installation { name, namespace } = installation;
        let peers = has_peers.then(|| {
            let server_name = ResourceNames::new(name, namespace).service().to_owned();
            Arc::new(Peers::new(judge, trust, server_name, self.peer_token_file.clone()))
        });
        if has_peers && self.pod_ip.is_none() {
            tracing::warn!(
                "POD_IP is not set: other replicas cannot ask this one while it leads, and the deletions that they hear of go on without a flip"
            );
        }
        Announcer { shared, leading, controller, peers, metrics }
    }

    /// Knows the other replicas, which run under the ServiceAccount of the chart.
    pub(super) fn authenticator(&self, client: Client, of: &Installation<'_>) -> Authenticator {
        Authenticator::new(client, of.namespace, of.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        guard: GuardArgs,
    }

    fn patience(args: &[&str]) -> Result<Patience, String> {
        let line = ["x"].iter().chain(args);
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        line.guard.patience().map_err(|error| error.to_string())
    }

    #[test]
    fn no_deletion_is_held_up_longer_than_the_api_server_waits() {
        let usual = patience(&[]).unwrap();
        assert_eq!(usual.bound, Duration::from_millis(500));
        assert_eq!(usual.adaptor_grace, Duration::from_millis(100));
        assert!(patience(&["--guard-bound=800ms", "--guard-adaptor-grace=0s"]).is_ok());
        for (args, why) in [
            (&["--guard-bound=801ms"][..], "at most 800ms"),
            (&["--guard-bound=0s"], "found 0s"),
            (&["--guard-bound=50ms"], "at most --guard-bound, 50ms"),
            (&["--guard-adaptor-grace=soon"], "expected a duration"),
        ] {
            let error = patience(args).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn others_find_a_replica_by_its_pods_address_and_the_webhooks_port() {
        let line = ["x", "--guard", "--pod-ip=10.1.2.3"];
        let args = Line::try_parse_from(line).unwrap().guard;
        let webhook = "0.0.0.0:8443".parse().unwrap();
        assert_eq!(args.address(webhook), Some("10.1.2.3:8443".parse().unwrap()));
    }
}
