//! The admin server, and when this replica is ready.

use crate::certificates::CertificateStatus;
use crate::index::resource::WatchedResource;
use crate::runtime::listen::listen;
use crate::runtime::process::Process;
use crate::runtime::tasks::Tasks;
use crate::telemetry::admin::{self, NotReady, ReadinessProbe};
use std::sync::Arc;

/// Starts the admin server.
pub(crate) async fn start(
    process: &Process,
    certificates: Option<Arc<CertificateStatus>>,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let listener = listen(process.options.admin_address, "--admin-addr").await?;
    let (index, stopping) = (process.index.clone(), tasks.draining.clone());
    let readiness: ReadinessProbe = Arc::new(move || {
        let synced = index.read().synced;
        if stopping.is_cancelled() {
            Err(NotReady::Stopping)
        } else if !synced.all() {
            let lacking: Vec<_> = synced.lacking().map(WatchedResource::name).collect();
            Err(NotReady::NotSynced(lacking.join(", ")))
        } else {
            let problem = certificates.as_ref().and_then(|certificates| certificates.problem());
            problem.map_or(Ok(()), |problem| Err(NotReady::Certificates(problem.to_string())))
        }
    });
    let metrics = process.metrics.clone();
    let stop = tasks.last.stop.clone().cancelled_owned();
    tasks.last.tasks.spawn(async move {
        if let Err(error) = admin::serve(listener, metrics, readiness, stop).await {
            tracing::error!(%error, "the admin server ended");
        }
    });
    Ok(())
}
