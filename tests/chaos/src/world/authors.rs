//! Authors, who apply all the time: manifests that are legal, and some that are not.

use super::contents::{api, apply};
use super::manifest::object;
use super::objects::Declared;
use super::start::World;
use crate::facts::{At, Fact, Outcome, Side};
use kube::api::PostParams;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Between two applies, in milliseconds.
const PACE: std::ops::RangeInclusive<u64> = 200..=900;
const PATIENCE: Duration = Duration::from_secs(15);

/// Applies until the run's length is over.
pub(super) async fn apply_all_the_time(world: Arc<World>, seed: u64, length: Duration, begin: At) {
    let mut random = fastrand::Rng::with_seed(seed ^ 0xa070);
    let end = At(begin.0 + length);
    while world.clock.now() < end {
        let nth = random.usize(..world.declarations.objects.len());
        let declared = &world.declarations.objects[nth];
        let fault = (random.u8(..3) == 0).then(|| random.usize(..ILLEGAL.len()));
        let needs_lookup = fault.is_some_and(|fault| ILLEGAL[fault] == NO_BACKEND);
        let before = mark(&world, needs_lookup);
        let outcome = match fault {
            None => legal(&world, declared).await,
            Some(fault) => illegal(&world, declared, ILLEGAL[fault]).await,
        };
        world.journal.fact(Fact::Declared {
            object: declared.id.clone(),
            legal: fault.is_none(),
            needs_lookup,
            outcome,
            while_a_replica_was_reachable: before.is_some() && before == mark(&world, needs_lookup),
            uid_echoed: None,
            at: world.clock.now(),
        });
        tokio::time::sleep(Duration::from_millis(random.u64(PACE))).await;
    }
}

/// Which replicas are reachable, and that no fault of admission is made; none where no replica is reachable,
/// or, if `all` that run have to be, one of them is not.
fn mark(world: &World, all: bool) -> Option<(usize, Vec<bool>)> {
    let reachable: Vec<bool> =
        (0..world.replicas.len()).map(|nth| world.is_reachable(nth, Side::East)).collect();
    let mark = world.disturbances.admission_mark()?;
    let is_cut_off = |nth: usize| !reachable[nth] && world.replicas[nth].process().is_running();
    let enough = reachable.contains(&true) && !(all && (0..reachable.len()).any(is_cut_off));
    enough.then_some((mark, reachable))
}

async fn legal(world: &World, declared: &Declared) -> Outcome {
    outcome(tokio::time::timeout(PATIENCE, apply(world, declared)).await)
}

/// What no author may write, each by the field that is wrong. Weights that are all zero are none of it: at
/// birth the decision takes their place.
const ILLEGAL: [&str; 4] = ["min-ready", "failback", "failover-delay", NO_BACKEND];
const NO_BACKEND: &str = "no-backend";

/// A new object with one fault, which is not stored.
async fn illegal(world: &World, declared: &Declared, fault: &str) -> Outcome {
    let mut declared = declared.clone();
    declared.id.name = format!("{}-{fault}", declared.id.name);
    if fault == NO_BACKEND {
        for backend in declared.sets.iter_mut().flat_map(|set| set.first_mut()) {
            backend.service = "nowhere".into();
        }
    }
    let mut text = object(&declared);
    if fault != NO_BACKEND {
        text["metadata"]["annotations"][format!("failover.linkerd.io/{fault}")] = json!("whenever");
    }
    let Ok(object) = serde_json::from_value(text) else { return Outcome::Unanswered };
    let params = PostParams { dry_run: true, field_manager: None };
    let api = api(world, declared.id.kind, &declared.id.namespace);
    let created = async { api.create(&params, &object).await.map(drop) };
    outcome(tokio::time::timeout(PATIENCE, created).await)
}

/// What the API server could not do for itself is no verdict.
fn outcome(answer: Result<kube::Result<()>, tokio::time::error::Elapsed>) -> Outcome {
    match answer {
        Ok(Ok(())) => Outcome::Applied,
        Ok(Err(kube::Error::Api(status))) => {
            let of_admission = status.code == 403
                || status.message.contains("webhook")
                || status.message.contains("admission");
            match of_admission {
                true => Outcome::Refused { status: status.code, message: status.message.clone() },
                false => Outcome::Unanswered,
            }
        }
        Ok(Err(_)) | Err(_) => Outcome::Unanswered,
    }
}
