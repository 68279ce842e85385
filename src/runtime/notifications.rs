//! Starts the delivery of notifications.

use crate::notifications::{Delivery, Notifier, Receiver};
use crate::runtime::leadership::Leadership;
use crate::runtime::process::Process;
use crate::runtime::reconciler::Events;
use crate::runtime::tasks::Tasks;
use std::sync::Arc;

/// Returns what hands notifications over; it does nothing where no receiver is set.
pub(crate) fn start(
    process: &Process,
    leadership: &Leadership,
    events: &Events,
    tasks: &mut Tasks,
) -> anyhow::Result<Notifier> {
    let metrics = process.metrics.clone();
    let Some(settings) = &process.options.notifications else { return Ok(Notifier::off(metrics)) };
    let receiver = Arc::new(Receiver::new(settings)?);
    let (notifier, handed_over) = Notifier::new(&settings.types, metrics.clone());
    let delivery = Delivery {
        receiver,
        handed_over,
        leading: leadership.leading.clone(),
        quiet_since: events.quiet_since(),
        deployment: process.options.installation.deployment(),
        recorder: events.recorder.clone(),
        metrics,
    };
    tasks.working.tasks.spawn(delivery.run(tasks.working.stop.clone()));
    tracing::info!(receiver = %settings.url, types = ?settings.types, "notifications are sent");
    Ok(notifier)
}
