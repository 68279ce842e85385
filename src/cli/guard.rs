//! Flags of the deletion guard.

use crate::cli::values::Expected;
use crate::deletion_guard::DelayBounds;
use crate::engine;
use crate::runtime::options::GuardOptions;
use anyhow::ensure;
use jiff::SignedDuration;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The API server waits for a second, less the way of the answer.
const MAX_BOUND: Duration = Duration::from_millis(800);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct GuardArgs {
    /// Flip before a pod is deleted that traffic depends on: the API server has its deletion reviewed
    #[arg(long, env = "LINKERD_FAILOVER_GUARD")]
    guard: bool,
    /// The longest that a deletion is delayed, everything included; at most 800ms
    #[arg(long, env = "LINKERD_FAILOVER_GUARD_BOUND", default_value = "500ms", value_parser = parse_bound)]
    guard_bound: Duration,
    /// How long a deletion is delayed further, within that bound, after the flip of a TrafficSplit that
    /// linkerd-smi has to carry to Linkerd
    #[arg(long, env = "LINKERD_FAILOVER_GUARD_ADAPTOR_GRACE", default_value = "100ms", value_parser = parse_bound)]
    guard_adaptor_grace: Duration,
    /// How long a deletion is delayed further, within that bound, after any flip: until Linkerd's
    /// proxies have the weights that the API server has
    #[arg(long, env = "LINKERD_FAILOVER_GUARD_PROPAGATION", default_value = "30ms", value_parser = parse_bound)]
    guard_propagation: Duration,
    /// Token of our ServiceAccount, by which the leader authenticates this replica
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

fn parse_bound(text: &str) -> Result<Duration, Expected> {
    let time = engine::delay(text).map(SignedDuration::unsigned_abs);
    time.filter(|time| *time <= MAX_BOUND)
        .ok_or_else(|| Expected(format!("a duration such as 500ms, of at most {MAX_BOUND:?}")))
}

impl GuardArgs {
    pub(super) fn is_on(&self) -> bool {
        self.guard
    }

    /// None: no deletion is delayed.
    pub(super) fn options(self) -> Option<GuardOptions> {
        let Self { guard, peer_token_file: token_file, pod_ip, .. } = self;
        guard.then_some(GuardOptions { token_file, pod_ip })
    }

    /// How long a deletion may be delayed.
    pub(super) fn delay(&self) -> anyhow::Result<DelayBounds> {
        let (bound, adaptor_grace) = (self.guard_bound, self.guard_adaptor_grace);
        let propagation = self.guard_propagation;
        ensure!(!bound.is_zero(), "--guard-bound: found 0s, expected a time in which to flip");
        ensure!(
            adaptor_grace <= bound,
            "--guard-adaptor-grace: found {adaptor_grace:?}, expected at most --guard-bound, {bound:?}"
        );
        // Not compared with the bound: one that was set shorter before this was a flag goes on working.
        Ok(DelayBounds { bound, adaptor_grace, propagation })
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

    fn delay(args: &[&str]) -> Result<DelayBounds, String> {
        let line = ["x"].iter().chain(args);
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        line.guard.delay().map_err(|error| error.to_string())
    }

    #[test]
    fn no_deletion_is_delayed_longer_than_the_api_server_waits() {
        let usual = delay(&[]).unwrap();
        assert_eq!(usual.bound, Duration::from_millis(500));
        assert_eq!(usual.adaptor_grace, Duration::from_millis(100));
        assert_eq!(usual.propagation, Duration::from_millis(30));
        assert!(delay(&["--guard-bound=20ms", "--guard-adaptor-grace=0s"]).is_ok());
        assert!(delay(&["--guard-bound=800ms", "--guard-adaptor-grace=0s"]).is_ok());
        for (args, why) in [
            (&["--guard-bound=801ms"][..], "at most 800ms"),
            (&["--guard-bound=0s"], "found 0s"),
            (&["--guard-bound=50ms"], "at most --guard-bound, 50ms"),
            (&["--guard-adaptor-grace=soon"], "expected a duration"),
            (&["--guard-propagation=1s"], "at most 800ms"),
        ] {
            let error = delay(args).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
