//! Others who write the same objects.

use super::{Made, insist};
use crate::facts::{Fact, ObjectKind};
use crate::world::objects::Declared;
use crate::world::{api, apply};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::time::Duration;

const RIVAL: Duration = Duration::from_millis(250);
const LOOP: Duration = Duration::from_millis(100);

/// Writes weights of its own into three objects, again and again; then their author puts them right.
pub(super) async fn rival(mut made: Made<'_>) -> anyhow::Result<()> {
    let world = made.world;
    let end = made.end();
    let objects = &world.declarations.objects;
    let chosen: Vec<&Declared> =
        (0..3).map(|_| &objects[made.random.usize(..objects.len())]).collect();
    for declared in &chosen {
        world.journal.fact(Fact::Meddled { object: declared.id.clone(), at: world.clock.now() });
    }
    while tokio::time::Instant::now() < end {
        for declared in &chosen {
            let weights = move_to(declared, &mut made.random);
            let id = &declared.id;
            let all = api(world, id.kind, &id.namespace);
            let params =
                PatchParams { field_manager: Some("rival".into()), ..PatchParams::default() };
            // The webhook may refuse it, and the API server may be away.
            let _ = all.patch(&id.name, &params, &Patch::Merge(weights)).await;
        }
        tokio::time::sleep(RIVAL).await;
    }
    for declared in chosen {
        put_right(world, declared).await?;
    }
    Ok(())
}

/// Its author applies an object again, however it was changed.
pub(super) async fn put_right(
    world: &crate::world::World,
    declared: &Declared,
) -> anyhow::Result<()> {
    let what = format!("{} is applied again", declared.id);
    insist(&what, || async { Ok(apply(world, declared).await?) }).await?;
    world.journal.fact(Fact::Restored { object: declared.id.clone(), at: world.clock.now() });
    Ok(())
}

/// All weight on one backend.
fn move_to(declared: &Declared, random: &mut fastrand::Rng) -> Value {
    let backends = |set: &[crate::world::objects::Backend], field: &str, to: usize| -> Vec<Value> {
        let each = set.iter().enumerate();
        each.map(|(nth, backend)| {
            let weight = if nth == to { 7 } else { 0 };
            match field {
                "service" => json!({ "service": backend.service, "weight": weight }),
                _ => json!({ "name": backend.service, "port": 8080, "weight": weight }),
            }
        })
        .collect()
    };
    let to = random.usize(..declared.sets[0].len());
    match declared.id.kind {
        ObjectKind::TrafficSplit => {
            json!({ "spec": { "backends": backends(&declared.sets[0], "service", to) } })
        }
        ObjectKind::HttpRoute | ObjectKind::GrpcRoute => {
            let rule = |set: &Vec<_>| json!({ "backendRefs": backends(set, "name", to) });
            let rules: Vec<Value> = declared.sets.iter().map(rule).collect();
            json!({ "spec": { "rules": rules } })
        }
    }
}

/// Applies the same manifests again and again.
pub(super) async fn gitops(mut made: Made<'_>) -> anyhow::Result<()> {
    let objects = &made.world.declarations.objects;
    let from = made.random.usize(..objects.len());
    let end = made.end();
    let mut looped = objects.iter().cycle().skip(from).take(20).cycle();
    while tokio::time::Instant::now() < end {
        if let Some(declared) = looped.next() {
            let _ = apply(made.world, declared).await;
        }
        tokio::time::sleep(LOOP).await;
    }
    Ok(())
}

/// Pauses objects, and pins others, for a moment each; then their author puts them right.
pub(super) async fn pauses(mut made: Made<'_>) -> anyhow::Result<()> {
    let world = made.world;
    let objects = &world.declarations.objects;
    let chosen: Vec<&Declared> =
        (0..10).map(|_| &objects[made.random.usize(..objects.len())]).collect();
    for (nth, declared) in chosen.iter().enumerate() {
        let id = &declared.id;
        world.journal.fact(Fact::Meddled { object: id.clone(), at: world.clock.now() });
        let last = declared.sets[0].last().map(|backend| backend.service.clone());
        let annotation = match nth % 2 {
            0 => json!({ "failover.linkerd.io/paused": "true" }),
            _ => json!({ "failover.linkerd.io/pin": last }),
        };
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotation } }));
        let params = PatchParams { field_manager: Some("person".into()), ..PatchParams::default() };
        let _ = api(world, id.kind, &id.namespace).patch(&id.name, &params, &patch).await;
    }
    made.last().await;
    for declared in chosen {
        let id = &declared.id;
        let what = format!("{id} is neither paused nor pinned by others");
        // As its author has it: applying alone does not take away what others have added.
        let annotations = json!({
            "failover.linkerd.io/paused": declared.paused.then_some("true"),
            "failover.linkerd.io/pin": declared.pin,
        });
        let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        let params = PatchParams { field_manager: Some("person".into()), ..PatchParams::default() };
        let all = api(world, id.kind, &id.namespace);
        insist(&what, || async {
            all.patch(&id.name, &params, &patch).await?;
            Ok(())
        })
        .await?;
        put_right(world, declared).await?;
    }
    Ok(())
}
