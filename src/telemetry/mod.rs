//! What the outside sees of the process: logs, metrics, health.

pub mod admin;
mod admission_metrics;
mod certificate_metrics;
mod guard_metrics;
mod logging;
mod metrics;
mod profile_metrics;
mod remote_metrics;

pub use admission_metrics::AdmissionMetrics;
pub use certificate_metrics::CertificateMetrics;
pub use guard_metrics::GuardMetrics;
pub use logging::{LogFormat, init as init_logging};
pub use metrics::Metrics;
pub use profile_metrics::ProfileMetrics;
pub use remote_metrics::RemoteMetrics;
