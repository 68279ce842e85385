//! What a task reports with that the leader alone does, from the index.

use crate::events::Recorder;
use crate::index::shared_index::SharedIndex;
use crate::kinds::ObjectKey;
use tokio::sync::watch;

/// The facts, whether this replica leads, and where Events go.
#[derive(Clone)]
pub(crate) struct LeaderReports {
    pub shared: SharedIndex,
    /// Of the installation, for Events; our ServiceAccount has its name.
    pub deployment: ObjectKey,
    pub leading: watch::Receiver<bool>,
    pub recorder: Recorder,
}
