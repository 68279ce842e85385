//! The admin server, and when this replica is ready.

use crate::certificates::CertificateStatus;
use crate::index::resource::WatchedResource;
use crate::reconciler::object_samples;
use crate::runtime::listen::listen;
use crate::runtime::process::Process;
use crate::runtime::tasks::Tasks;
use crate::telemetry::ObjectSamples;
use crate::telemetry::admin::{self, NotReady, ReadinessProbe, Scrape};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    let scrape = scrape(process);
    let stop = tasks.last.stop.clone().cancelled_owned();
    tasks.last.tasks.spawn(async move {
        if let Err(error) = admin::serve(listener, scrape, readiness, stop).await {
            tracing::error!(%error, "the admin server ended");
        }
    });
    Ok(())
}

/// Reads the metrics, and the managed objects once all facts have been listed: before that they would be
/// where nobody has looked.
fn scrape(process: &Process) -> Scrape {
    let (index, metrics) = (process.index.clone(), process.metrics.clone());
    let by_object = process.options.per_object_metrics;
    let was_synced = AtomicBool::new(false);
    Arc::new(move || {
        if index.read().synced.all() {
            was_synced.store(true, Ordering::Relaxed);
        }
        let braked = metrics.braked.get() == 1;
        let objects = was_synced
            .load(Ordering::Relaxed)
            .then(|| ObjectSamples { objects: object_samples::samples(&index, braked), by_object });
        metrics.encode_with(objects)
    })
}
