//! The metrics of the webhook's certificates.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Configuration {
    configuration: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Phase {
    phase: &'static str,
}

/// Everything about the webhook's certificates.
#[derive(Debug, Default)]
pub(crate) struct CertificateMetrics {
    pub leaf_expires: Gauge,
    pub ca_expires: Gauge,
    pub repairs: Counter,
    loads: Family<Kind, Counter>,
    client_ca_loads: Family<Kind, Counter>,
    in_sync: Family<Configuration, Gauge>,
    phase: Family<Phase, Gauge>,
}

impl CertificateMetrics {
    pub(crate) fn register(&self, r: &mut Registry) {
        r.register_with_unit(
            "webhook_certificate_expiry_timestamp",
            "When the webhook's certificate expires, since the epoch",
            Unit::Seconds,
            self.leaf_expires.clone(),
        );
        r.register_with_unit(
            "webhook_ca_expiry_timestamp",
            "When the present CA of the webhook expires, since the epoch",
            Unit::Seconds,
            self.ca_expires.clone(),
        );
        r.register(
            "webhook_certificate_loads",
            "Certificates of the webhook by how they came: the first one, renewed, issued by \
             another CA, read from a file, or refused, the one before staying in use",
            self.loads.clone(),
        );
        r.register(
            "webhook_client_ca_loads",
            "Changes of the file with the CAs of clients: taken (file), or refused, those before staying in use",
            self.client_ca_loads.clone(),
        );
        r.register(
            "webhook_secret_repairs",
            "Times that the Secret of the webhook's CA could not be used and was repaired",
            self.repairs.clone(),
        );
        r.register(
            "webhook_bundle_in_sync",
            "1 while the configuration's caBundle is as it should be and verifies our certificate",
            self.in_sync.clone(),
        );
        r.register(
            "webhook_ca_rotation",
            "1 for the phase that the rotation of the webhook's CA is in",
            self.phase.clone(),
        );
    }

    /// A certificate was taken into use, or refused.
    pub(crate) fn loaded(&self, kind: &'static str) {
        self.loads.get_or_create(&Kind { kind }).inc();
    }

    /// The file with the CAs of clients changed: taken, or refused.
    pub(crate) fn client_ca_loaded(&self, kind: &'static str) {
        self.client_ca_loads.get_or_create(&Kind { kind }).inc();
    }

    /// None: there is no such configuration, or it cannot be read.
    pub(crate) fn in_sync(&self, configuration: &'static str, in_sync: Option<bool>) {
        let label = Configuration { configuration };
        match in_sync {
            Some(in_sync) => _ = self.in_sync.get_or_create(&label).set(in_sync.into()),
            None => _ = self.in_sync.remove(&label),
        }
    }

    /// Sets the one that is, and clears the others.
    pub(crate) fn phase(&self, all: &[&'static str], is: &'static str) {
        for phase in all {
            self.phase.get_or_create(&Phase { phase }).set((*phase == is).into());
        }
    }
}
