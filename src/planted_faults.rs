//! Defects that are built in on purpose: `make chaos-planted` shows that the observer of `make chaos` catches
//! each of them. Only with the feature `planted-faults`, which no release has, and then only the one that
//! the environment names.

use json_patch::{Patch, PatchOperation};
use serde_json::json;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(not(debug_assertions))]
compile_error!(
    "the feature planted-faults builds defects in: it is for tests, never for a release"
);

/// The variable that names the defect.
const VARIABLE: &str = "LINKERD_FAILOVER_PLANTED_FAULT";

/// One of so many events of EndpointSlices is dropped.
const DROPPED_OF: u64 = 4;

/// A defect, by the name that the environment has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlantedFault {
    WritesZeros,
    IgnoresConflict,
    ReversesWithoutList,
    ForgetsState,
    NeverRecords,
    DropsEvent,
}

impl PlantedFault {
    const ALL: [(&str, Self); 6] = [
        ("writes-zeros", Self::WritesZeros),
        ("ignores-conflict", Self::IgnoresConflict),
        ("reverses-without-list", Self::ReversesWithoutList),
        ("forgets-state", Self::ForgetsState),
        ("never-records", Self::NeverRecords),
        ("drops-event", Self::DropsEvent),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, fault)| fault)
    }

    /// Whether this is the one that the environment names.
    fn is_planted(self) -> bool {
        static PLANTED: OnceLock<Option<PlantedFault>> = OnceLock::new();
        let planted = PLANTED.get_or_init(|| {
            let name = std::env::var(VARIABLE).ok()?;
            let fault = Self::named(&name);
            match fault {
                Some(fault) => tracing::warn!(?fault, "a defect is built in"),
                None => tracing::error!(name, "{VARIABLE}: no such defect"),
            }
            fault
        });
        *planted == Some(self)
    }
}

/// The patch that is sent in the place of the one that was decided.
pub(crate) fn patch(decided: Patch) -> Patch {
    static WRITTEN: AtomicBool = AtomicBool::new(false);
    if PlantedFault::IgnoresConflict.is_planted() {
        return unguarded(decided);
    }
    let once = || !WRITTEN.swap(true, Ordering::Relaxed);
    let writes_weights = decided.0.iter().any(is_weight);
    match writes_weights && PlantedFault::WritesZeros.is_planted() && once() {
        true => zeros(decided),
        false => decided,
    }
}

/// Without the version that it was decided from: it overwrites what others wrote meanwhile.
fn unguarded(mut patch: Patch) -> Patch {
    patch.0.retain(|operation| operation.path().as_str() != "/metadata/resourceVersion");
    patch
}

fn zeros(mut patch: Patch) -> Patch {
    for operation in patch.0.iter_mut().filter(|operation| is_weight(operation)) {
        if let PatchOperation::Add(add) = operation {
            add.value = json!(0);
        }
    }
    patch
}

fn is_weight(operation: &PatchOperation) -> bool {
    operation.path().as_str().ends_with("/weight")
}

/// Whether another replica's move is reversed before a consistent LIST agrees.
pub(crate) fn reverses_without_list() -> bool {
    PlantedFault::ReversesWithoutList.is_planted()
}

/// Whether what stands in `state` is not read where an object is listed.
pub(crate) fn forgets_state() -> bool {
    PlantedFault::ForgetsState.is_planted()
}

/// Whether what is known is never recorded.
pub(crate) fn never_records() -> bool {
    PlantedFault::NeverRecords.is_planted()
}

/// Whether this event of a watch is lost. Of two replicas both lose the same.
pub(crate) fn drops_event(resource: &str, version: u64) -> bool {
    let is_dropped = resource == "endpointslices" && version.is_multiple_of(DROPPED_OF);
    is_dropped && PlantedFault::DropsEvent.is_planted()
}
