//! The metrics of what is declared down.

use crate::telemetry::macros::{from_zero, label_values, metrics};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

label_values! {
    /// Who declares something down.
    pub(crate) enum DeclaredBy {
        Person = "person",
        Alert = "alert",
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByLabel {
    by: DeclaredBy,
}

metrics! {
    /// Everything about declarations.
    pub(crate) struct DeclaredDownMetrics {
        services: Family<ByLabel, Gauge> =
            "declared_down_services",
            "Services that are declared down now by annotations of their own, by who declares it"
            with from_zero(DeclaredBy::ALL.iter().map(|by| ByLabel { by: *by }));
        pub clusters: Gauge =
            "declared_down_clusters",
            "Linked clusters all of whose Services are declared down now";
        pub kept: Gauge =
            "declared_down_kept_objects",
            "Managed objects whose traffic stays on a backend that is declared down because no other is ready, as the leader sees it; their Events say why";
        pub prolonged: Gauge =
            "declared_down_prolonged_objects",
            "Managed objects whose traffic stays off a backend for longer than is declared, since it was declared down again soon after its return, as the leader sees it; their Events say until when";
        pub unreadable: Gauge =
            "declared_down_unreadable",
            "Services, and Secrets of linked clusters, with a declaration that cannot be read; their Events say why";
    }
}

impl DeclaredDownMetrics {
    /// So many Services are declared down by whom.
    pub(crate) fn services(&self, by: DeclaredBy, number: usize) {
        self.services.get_or_create(&ByLabel { by }).set(number as i64);
    }
}
