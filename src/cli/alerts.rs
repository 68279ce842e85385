//! Flags of the receiver of alerts.

use crate::alerts::{AlertSettings, LabelNames, StaySettings};
use crate::cli::values::{distinct, parse_delay};
use anyhow::ensure;
use jiff::SignedDuration;

/// Times are written to the second.
const LEAST: SignedDuration = SignedDuration::from_secs(1);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct AlertArgs {
    /// Take alerts of Alertmanager on the webhook's port: one that fires declares its Service down
    #[arg(long, env = "LINKERD_FAILOVER_ALERTS")]
    alerts: bool,
    /// How long an alert declares its Service down after it was sent last; at least three times the
    /// route's group_interval and repeat_interval
    #[arg(long, env = "LINKERD_FAILOVER_ALERTS_FOR", default_value = "5m", value_parser = parse_delay)]
    alerts_for: SignedDuration,
    /// How long a Service stays declared down at least, also where its alert is resolved earlier
    #[arg(long, env = "LINKERD_FAILOVER_ALERTS_MINIMUM_STAY", default_value = "5m", value_parser = parse_delay)]
    alerts_minimum_stay: SignedDuration,
    /// Label of an alert with the namespace of its Service
    #[arg(long, env = "LINKERD_FAILOVER_ALERTS_NAMESPACE_LABEL", default_value = "namespace")]
    alerts_namespace_label: String,
    /// Label of an alert with the name of its Service
    #[arg(long, env = "LINKERD_FAILOVER_ALERTS_SERVICE_LABEL", default_value = "service")]
    alerts_service_label: String,
    /// Namespaces with a ConfigMap in which the CA of the webhook's certificate is kept, with commas
    /// between
    #[arg(long, env = "LINKERD_FAILOVER_ALERTS_CA_NAMESPACES", value_delimiter = ',')]
    alerts_ca_namespaces: Vec<String>,
}

impl AlertArgs {
    /// Where the CA of the webhook's certificate is kept; none: no alert is taken.
    pub(super) fn ca_namespaces(&self) -> Option<Vec<String>> {
        self.alerts.then(|| distinct(self.alerts_ca_namespaces.clone()))
    }

    /// None: no alert is taken.
    pub(super) fn settings(self) -> anyhow::Result<Option<AlertSettings>> {
        let (lasts, minimum) = (self.alerts_for, self.alerts_minimum_stay);
        ensure!(
            lasts >= LEAST,
            "--alerts-for: found {lasts:#}, expected at least {LEAST:#}, and three times the route's group_interval and repeat_interval"
        );
        let labels = LabelNames {
            namespace: self.alerts_namespace_label,
            service: self.alerts_service_label,
        };
        let ca_namespaces = distinct(self.alerts_ca_namespaces);
        let stay = StaySettings { lasts, minimum };
        let settings = AlertSettings { stay, labels, ca_namespaces };
        Ok(self.alerts.then_some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        alerts: AlertArgs,
    }

    fn settings(args: &[&str]) -> Result<Option<AlertSettings>, String> {
        let line = ["x"].iter().chain(args);
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        line.alerts.settings().map_err(|error| error.to_string())
    }

    #[test]
    fn no_alert_is_taken_unless_it_is_asked_for() {
        assert!(settings(&[]).unwrap().is_none());
        let usual = settings(&["--alerts"]).unwrap().unwrap();
        assert_eq!(usual.stay.lasts, SignedDuration::from_mins(5));
        assert_eq!(usual.labels.service, "service");
        let error = settings(&["--alerts", "--alerts-for=0s"]).unwrap_err();
        assert!(error.contains("found 0s") && error.contains("group_interval"), "{error}");
        assert!(settings(&["--alerts", "--alerts-minimum-stay=soon"]).is_err());
    }
}
