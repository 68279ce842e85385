//! What a kubelet does: it notices that a replica has ended, and starts again what no fault has ended.

use super::start::World;
use crate::facts::Fact;
use std::sync::Arc;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(20);
const BACKOFF: Duration = Duration::from_secs(1);

/// Watches one replica.
pub(super) async fn watch(world: Arc<World>, nth: usize) {
    let replica = &world.replicas[nth];
    loop {
        let process = replica.process();
        while process.is_running() {
            tokio::time::sleep(POLL).await;
        }
        let exit = process.wait_exit(BACKOFF).await;
        let pid = process.pid();
        let caused = world.disturbances.is_caused(pid);
        world.journal.fact(Fact::ReplicaExited {
            replica: replica.name().into(),
            pid,
            status: exit.ok().and_then(|exit| exit.status),
            caused,
            at: world.clock.now(),
        });
        if !caused {
            tokio::time::sleep(BACKOFF).await;
            // Where it cannot be started the next look says so.
            let _ = world.start_again(nth).await;
        }
        // A fault that has ended it starts it again.
        while replica.process().pid() == pid {
            tokio::time::sleep(POLL).await;
        }
    }
}
