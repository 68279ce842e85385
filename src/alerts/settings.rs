//! What is set for the receiver of alerts.

use jiff::SignedDuration;

/// The settings of the receiver of alerts.
#[derive(Clone, Debug)]
pub(crate) struct AlertSettings {
    pub stay: StaySettings,
    pub labels: LabelNames,
    /// Where the CA of the webhook is published.
    pub ca_namespaces: Vec<String>,
}

/// How long a declaration by an alert lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StaySettings {
    /// From the last time that the alert was sent while it fires.
    pub lasts: SignedDuration,
    /// From the first time, whatever comes afterwards.
    pub minimum: SignedDuration,
}

/// The labels of an alert that name its Service.
#[derive(Clone, Debug)]
pub(crate) struct LabelNames {
    pub namespace: String,
    pub service: String,
}
