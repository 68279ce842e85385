//! What a verdict of admission depends on, of the controller and of `validate`.

use crate::admission::view::Rules;
use crate::cli::values::{MissingBackendsValue, ProtectionValue, distinct, parse_delay};
use crate::engine::{Defaults, NamespaceDefault};
use jiff::SignedDuration;

/// Settings of the rules of admission.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RulesArgs {
    /// What becomes of an object that names a Service which does not exist
    #[arg(long, env = "LINKERD_FAILOVER_MISSING_BACKENDS", value_enum, default_value_t)]
    missing_backends: MissingBackendsValue,
    /// Linked clusters: a missing Service whose name ends in one of them is only warned about.
    /// Those that Services mirror are known already
    #[arg(long, env = "LINKERD_FAILOVER_LINKED_CLUSTERS", value_delimiter = ',')]
    linked_clusters: Vec<String>,
}

impl RulesArgs {
    pub(super) fn options(self) -> Rules {
        let Self { missing_backends, linked_clusters } = self;
        Rules {
            missing_backends: missing_backends.into(),
            linked_clusters: distinct(linked_clusters),
        }
    }
}

/// Defaults of every object.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DefaultsArgs {
    /// How long a loss must last before traffic moves, where an object does not set it
    #[arg(long, env = "LINKERD_FAILOVER_FAILOVER_DELAY", default_value = "0s", value_parser = parse_delay)]
    failover_delay: SignedDuration,
    /// How long a recovery must last before traffic moves, where an object does not set it
    #[arg(long, env = "LINKERD_FAILOVER_FAILBACK_DELAY", default_value = "0s", value_parser = parse_delay)]
    failback_delay: SignedDuration,
    /// Ready fallbacks keep the smallest share, where an object does not set it
    #[arg(long, env = "LINKERD_FAILOVER_WARM_STANDBY")]
    warm_standby: bool,
    /// How far requests are protected, where neither an object nor its namespace sets it: seamless is warm
    /// standby and, on routes, Linkerd's retries
    #[arg(long, env = "LINKERD_FAILOVER_PROTECTION", value_enum, default_value_t)]
    protection: ProtectionValue,
}

impl DefaultsArgs {
    pub(super) fn defaults(&self) -> Defaults {
        Defaults {
            failover_delay: self.failover_delay,
            failback_delay: self.failback_delay,
            warm_standby: self.warm_standby,
            protection: self.protection.into(),
            namespace_protection: NamespaceDefault::Silent,
        }
    }
}
