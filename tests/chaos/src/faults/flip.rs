//! A flip to make a fault in: a shared primary is lost.

use crate::plan::PlannedFault;
use crate::world::World;
use crate::world::objects::{NAMESPACES, namespace};
use std::time::Duration;

/// Between the loss and the fault, in milliseconds: the writes of a flip are under way.
const INTO: std::ops::RangeInclusive<u64> = 2..=80;
const PATIENCE: Duration = Duration::from_millis(500);

/// Loses a primary and returns in the middle of what follows.
pub(super) async fn begin(world: &World, fault: &PlannedFault) {
    let mut random = fastrand::Rng::with_seed(fault.seed ^ 0xf11);
    let (namespace, service) = primary(&mut random);
    // Where the API server is away there is no flip, and the fault is made all the same.
    let lost = world.set_ready(&namespace, &service, 0);
    let _ = tokio::time::timeout(PATIENCE, lost).await;
    tokio::time::sleep(Duration::from_millis(random.u64(INTO))).await;
}

/// Any of the primaries that many objects share.
pub(super) fn primary(random: &mut fastrand::Rng) -> (String, String) {
    (namespace(random.usize(..NAMESPACES)), format!("p{}", random.usize(..6)))
}
