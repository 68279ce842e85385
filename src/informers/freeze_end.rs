//! Ends a freeze at its time: no event of a watch comes then.

use crate::index::shared_index::SharedIndex;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

/// Ends freezes at their `frozen-until`.
pub(crate) async fn end_freezes(shared: SharedIndex) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        let now = shared.now().wall;
        let ended = shared.read().cluster_wide.ended_at(now);
        if let Some(ended) = ended {
            tracing::info!("the freeze has ended at its time");
            shared.update(|index| index.set_cluster_wide(ended));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::cluster_settings::ClusterSettings;
    use jiff::{SignedDuration, Timestamp};

    #[tokio::test]
    async fn a_freeze_ends_at_its_time_without_an_event() {
        let (shared, _changes) = SharedIndex::new();
        let until = Some(Timestamp::now() + SignedDuration::from_millis(10));
        let frozen = ClusterSettings { frozen: true, frozen_until: until, ..Default::default() };
        shared.update(|index| index.set_cluster_wide(frozen));
        let task = tokio::spawn(end_freezes(shared.clone()));
        let ended = async {
            while shared.read().cluster_wide.frozen {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends");
        task.abort();
    }
}
