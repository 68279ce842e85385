//! Observability of the process: logs, metrics, health.

pub(crate) mod admin;
mod admission_metrics;
mod alert_metrics;
pub(crate) mod at_most_every;
mod certificate_metrics;
mod declared_down_metrics;
mod guard_metrics;
mod logging;
mod macros;
mod metrics;
mod notification_metrics;
mod object_metrics;
mod process_metrics;
mod profile_metrics;
mod queue_metrics;
mod remote_metrics;
pub(crate) mod report_once;
mod watch_metrics;
mod write_result;

pub(crate) use admission_metrics::{
    AdmissionMetrics, ClosedConnection, HandshakeFailure, ObjectOperation, ReviewOutcome,
    ReviewPath, ShedReason,
};
pub(crate) use alert_metrics::{AlertMetrics, AlertOutcome, RefusedAlerts};
pub(crate) use certificate_metrics::{
    CertificateLoad, CertificateMetrics, RotationPhase, WebhookKind,
};
pub(crate) use declared_down_metrics::{DeclaredBy, DeclaredDownMetrics};
pub(crate) use guard_metrics::{DeletionVerdict, GuardMetrics};
pub(crate) use logging::{LogFormat, init as init_logging};
pub(crate) use metrics::FlipStage;
pub use metrics::Metrics;
pub(crate) use notification_metrics::{NotificationMetrics, NotificationResult, NotificationType};
pub(crate) use object_metrics::{ObjectSample, ObjectSamples, TrafficOn};
pub(crate) use process_metrics::ProcessMetrics;
pub(crate) use profile_metrics::ProfileMetrics;
pub(crate) use queue_metrics::{QueueMetrics, QueueState};
pub(crate) use remote_metrics::{RemoteMetrics, RemoteState};
pub(crate) use watch_metrics::{LastReceived, WatchMetrics};
pub(crate) use write_result::WriteResult;
