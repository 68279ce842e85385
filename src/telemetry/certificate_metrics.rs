//! The metrics of the webhook's certificates.

use crate::telemetry::macros::{from_zero, label_values, metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

label_values! {
    /// How a certificate, or a file of CAs, came into use.
    pub(crate) enum CertificateLoad {
        First = "first",
        Renewed = "renewed",
        /// Issued by another CA than the one before.
        AnotherCa = "another-ca",
        /// Read from a file.
        File = "file",
        /// Not usable: the one before stays in use.
        Refused = "refused",
    }
}

label_values! {
    /// One of the two webhook configurations.
    pub(crate) enum WebhookKind {
        Mutating = "mutating",
        Validating = "validating",
    }
}

label_values! {
    /// Where the rotation of the CA is.
    pub(crate) enum RotationPhase {
        Steady = "steady",
        Distributing = "spreading",
        Propagating = "settling",
        Retiring = "retiring",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Load {
    kind: CertificateLoad,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Configuration {
    configuration: WebhookKind,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabel {
    phase: RotationPhase,
}

metrics! {
    /// Everything about the webhook's certificates.
    pub(crate) struct CertificateMetrics {
        pub leaf_expires: Gauge =
            "webhook_certificate_expiry_timestamp" in Seconds,
            "When the webhook's certificate expires, since the epoch";
        pub ca_expires: Gauge =
            "webhook_ca_expiry_timestamp" in Seconds,
            "When the present CA of the webhook expires, since the epoch";
        pub repairs: Counter =
            "webhook_secret_repairs",
            "Times that the Secret of the webhook's CA could not be used and was repaired";
        loads: Family<Load, Counter> =
            "webhook_certificate_loads",
            "Certificates of the webhook by how they came: the first one, renewed, issued by another CA, read from a file, or refused, the one before staying in use"
            with from_zero(CertificateLoad::ALL.iter().map(|kind| Load { kind: *kind }));
        client_ca_loads: Family<Load, Counter> =
            "webhook_client_ca_loads",
            "Changes of the file with the CAs of clients: taken (file), or refused, those before staying in use"
            with from_zero([CertificateLoad::File, CertificateLoad::Refused].map(|kind| Load { kind }));
        present: Family<Configuration, Gauge> =
            "webhook_configuration_present",
            "1 while a configuration of the webhook exists, 0 while it does not; none where that may not be read";
        in_sync: Family<Configuration, Gauge> =
            "webhook_bundle_in_sync",
            "1 while the configuration's caBundle is as it should be and verifies our certificate";
        phase: Family<PhaseLabel, Gauge> =
            "webhook_ca_rotation",
            "1 for the phase that the rotation of the webhook's CA is in";
    }
}

impl CertificateMetrics {
    /// A certificate was taken into use, or refused.
    pub(crate) fn loaded(&self, kind: CertificateLoad) {
        self.loads.get_or_create(&Load { kind }).inc();
    }

    /// The file with the CAs of clients changed: taken, or refused.
    pub(crate) fn client_ca_loaded(&self, kind: CertificateLoad) {
        self.client_ca_loads.get_or_create(&Load { kind }).inc();
    }

    /// None: it cannot be read.
    pub(crate) fn present(&self, configuration: WebhookKind, present: Option<bool>) {
        set_or_remove(&self.present, configuration, present);
    }

    /// None: there is no such configuration, or it cannot be read.
    pub(crate) fn in_sync(&self, configuration: WebhookKind, in_sync: Option<bool>) {
        set_or_remove(&self.in_sync, configuration, in_sync);
    }

    /// Sets the present phase, and clears the others.
    pub(crate) fn phase(&self, present: RotationPhase) {
        for phase in RotationPhase::ALL.iter().copied() {
            self.phase.get_or_create(&PhaseLabel { phase }).set((phase == present).into());
        }
    }
}

fn set_or_remove(
    family: &Family<Configuration, Gauge>,
    configuration: WebhookKind,
    value: Option<bool>,
) {
    let label = Configuration { configuration };
    match value {
        Some(value) => _ = family.get_or_create(&label).set(value.into()),
        None => _ = family.remove(&label),
    }
}
