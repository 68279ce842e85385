//! One run: a world, a plan of faults in it, and the observer beside it.

use crate::facts::{At, Broken, Clock, Fact, Worst};
use crate::faults;
use crate::journal::Journal;
use crate::model::FOLLOWS;
use crate::observer::{Observer, keeper};
use crate::plan::{Family, Plan};
use crate::world::manifest::LABEL;
use crate::world::objects::{Declared, declarations};
use crate::world::{NAMESPACE, Options, World, api};
use anyhow::Context;
use futures::{StreamExt, stream};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// After the last fault everything has to settle within fifteen seconds of the time that counts; the observer
/// looks on a little longer.
const SETTLE: Duration = Duration::from_secs(18);
/// Until the observer has seen the last writes.
const LAST: Duration = Duration::from_secs(3);
/// Beyond what the observer gives each Service, so that it has seen all of them for long enough.
const SURE: Duration = Duration::from_secs(1);
/// What puts a fault right may take so much longer than the plan.
const PATIENCE: Duration = Duration::from_secs(240);

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program, and further variables of its environment.
    pub program: PathBuf,
    /// Such as a defect that is planted in the program.
    pub env: Vec<(String, String)>,
    /// Where each fact is written.
    pub journal: PathBuf,
    /// How long it looks on at most after the last fault: on a machine that is busy time counts less.
    pub settle: Duration,
    /// It ends as soon as one of these invariants is broken.
    pub stop_at: Vec<u8>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// What is broken, as it was seen.
    pub broken: Vec<Broken>,
    /// The worst value of each bound.
    pub worst: Vec<Worst>,
    /// How many faults of each family were made to their end.
    pub made: BTreeMap<Family, usize>,
    /// Faults that could not be made, and why: nothing of the program's.
    pub not_made: Vec<String>,
    /// From the first change to the last.
    pub lasted: Duration,
    /// How much of that counts: as far as the processes got the CPU that they asked for.
    pub counted: Duration,
    /// The logs of the clusters and replicas, which stay where something is broken.
    pub logs: Vec<PathBuf>,
}

/// Makes all faults of a plan, and says what was seen.
pub async fn run(settings: &Settings, plan: &Plan) -> anyhow::Result<Report> {
    let clock = Clock::start();
    let (facts, heard) = mpsc::unbounded_channel();
    let journal = Journal::create(&settings.journal, clock, facts)?;
    journal.line(&json!({ "plan": plan }));
    let options =
        Options { seed: plan.seed, program: settings.program.clone(), env: settings.env.clone() };
    let world = Arc::new(World::start(&options, journal).await?);
    let keeper = keeper(LABEL.1, NAMESPACE, &declarations(plan.seed));
    let mut observer =
        Observer::start(keeper, clock, world.east.etcd_addr(), world.west.etcd_addr(), heard);
    // To the observer, all that it sees first has just changed: it would hold nobody to anything.
    tokio::time::sleep(FOLLOWS + SURE).await;
    let begin = clock.now();
    let mut live = world.live(plan.seed, plan.length, begin);
    let mut seen = Seen::default();
    let story = story(&world, plan, begin, settings.settle);
    let finished = tokio::select! {
        finished = story => Some(finished?),
        () = seen.listen(&mut observer, &settings.stop_at) => None,
    };
    let lasted = clock.now().0 - begin.0;
    let counted = world.counted();
    live.shutdown().await;
    world.journal.close();
    let (worst, rest) = observer.end().await?;
    seen.broken.extend(rest);
    let logs = [&world.east, &world.west].map(|cluster| cluster.folder().join("logs")).to_vec();
    if !seen.broken.is_empty() {
        keep(&logs, &settings.journal);
    }
    let (made, not_made) = finished.unwrap_or_default();
    Ok(Report { broken: seen.broken, worst, made, not_made, lasted, counted, logs })
}

#[derive(Default)]
struct Seen {
    broken: Vec<Broken>,
}

impl Seen {
    /// Prints what is broken when it is; returns where that is one of these invariants, else never.
    async fn listen(&mut self, observer: &mut Observer, stop_at: &[u8]) {
        while let Some(broken) = observer.broken.recv().await {
            eprintln!("{broken}");
            let stops = stop_at.contains(&broken.invariant);
            self.broken.push(broken);
            if stops {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

type Outcome = (BTreeMap<Family, usize>, Vec<String>);

/// Faults, then quiet, then the labels go.
async fn story(
    world: &Arc<World>,
    plan: &Plan,
    begin: At,
    settle: Duration,
) -> anyhow::Result<Outcome> {
    let mut tasks = JoinSet::new();
    for fault in plan.faults.clone() {
        let world = Arc::clone(world);
        tasks.spawn(async move { (fault.family, faults::make(&world, &fault, begin).await) });
    }
    let (mut made, mut not_made) = Outcome::default();
    let all = async {
        while let Some(task) = tasks.join_next().await {
            match task {
                Ok((family, Ok(()))) => *made.entry(family).or_default() += 1,
                // Its causes have whole logs.
                Ok((_, Err(error))) => not_made.push(format!("{error}: {}", error.root_cause())),
                Err(error) => not_made.push(error.to_string()),
            }
        }
    };
    let bound = plan.length + PATIENCE;
    tokio::time::timeout(bound, all).await.context("faults were not put right in time")?;
    let end = world.clock.instant(At(begin.0 + plan.length));
    tokio::time::sleep_until(end.into()).await;
    world.all_ready().await.context("after the last fault")?;
    world.journal.fact(Fact::WorldQuiet { at: world.clock.now() });
    world.wait_counted(SETTLE, settle).await;
    labels_off(world).await?;
    world.journal.fact(Fact::LabelsOff { at: world.clock.now() });
    tokio::time::sleep(LAST).await;
    Ok((made, not_made))
}

/// Takes every object out of failover.
async fn labels_off(world: &World) -> anyhow::Result<()> {
    let objects = world.declarations.objects.iter().map(|declared| label_off(world, declared));
    let outcomes: Vec<anyhow::Result<()>> =
        stream::iter(objects).buffer_unordered(4).collect().await;
    outcomes.into_iter().collect()
}

/// Where the API server goes on without the mutating webhook, as the chart has it, the object keeps its state and
/// with it the author's weights: the label is put back, and comes off once more.
async fn label_off(world: &World, declared: &Declared) -> anyhow::Result<()> {
    let all = api(world, declared.id.kind, &declared.id.namespace);
    let name = &declared.id.name;
    let set = |label: Value| {
        let patch = Patch::Merge(json!({ "metadata": { "labels": { LABEL.0: label } } }));
        let params = PatchParams { field_manager: Some("person".into()), ..PatchParams::default() };
        let all = &all;
        async move { all.patch(name, &params, &patch).await }
    };
    let what = format!("{} has no label, and no state", declared.id);
    crate::faults::insist(&what, || async {
        let object = set(Value::Null).await?;
        if object.annotations().contains_key("failover.linkerd.io/state") {
            set(json!(LABEL.1)).await?;
            anyhow::bail!("the webhook was left out");
        }
        Ok(())
    })
    .await
}

/// The logs outlive the clusters, beside the journal.
fn keep(logs: &[PathBuf], journal: &std::path::Path) {
    for (folder, side) in logs.iter().zip(["east", "west"]) {
        let to = journal.with_extension(format!("{side}.logs"));
        let _ = std::fs::create_dir_all(&to);
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let _ = std::fs::copy(entry.path(), to.join(entry.file_name()));
        }
    }
}
