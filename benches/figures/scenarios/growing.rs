//! What a replica takes at rest beside ever more objects, and what events cost it that concern none of them.
//! Two clusters are measured in turn, one with 1,000 objects and one that grows to 50,000, so that what
//! disturbs the machine meets both.

use crate::support::audit::{AuditLog, since, total};
use crate::support::bench::{Bench, PATIENCE};
use crate::support::figures::{Name, alone, beside};
use crate::support::options::Options;
use crate::support::pair::{Round, admin};
use crate::support::population::Population;
use crate::support::process::{cpu, metric, quiet};
use crate::support::updates::Updates;
use anyhow::{Result, ensure};
use bench_table::{Row, budgets, caused};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use test_cluster::usage::{MemoryUsage, summed_memory};
use test_cluster::{Cluster, Installation, Replica, eventually};

const SIZES: [usize; 4] = [0, 1_000, 10_000, 50_000];
const SMALL: usize = 1_000;
/// Of each size.
const STARTS: usize = 2;
const AT_REST: Duration = Duration::from_secs(30);
const CALM: Duration = Duration::from_secs(1);
/// Rounds of events in each cluster, 60 s in all.
const ROUNDS: usize = 6;
const ROUND: Duration = Duration::from_secs(10);
/// A start reads 150,000 objects.
const START: Duration = Duration::from_secs(180);

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants_any(&["growing"], true) {
        return Ok(());
    }
    let options = bench.options();
    bench.long_scenario("growing", measure(&options)).await;
    Ok(())
}

/// A cluster with its audit log, and one replica in it.
struct Site {
    log: AuditLog,
    installation: Installation,
    cluster: Cluster,
}

impl Site {
    async fn start(options: &Options) -> Result<Self> {
        let log = AuditLog::new()?;
        let cluster = log.of(Cluster::builder()).start().await?;
        cluster.install_traffic_split_crd().await?;
        let installation = options.install(&cluster, &[], 1).await?;
        Ok(Self { log, installation, cluster })
    }

    fn replica(&self) -> &Replica {
        &self.installation.replicas()[0]
    }

    fn pid(&self) -> u32 {
        self.replica().process().pid()
    }

    /// Starts the replica again; how long it takes until it is ready, with all objects.
    async fn restart(&self, objects: usize) -> Result<Duration> {
        let replica = self.replica();
        let old = replica.process();
        if old.is_running() {
            old.kill()?;
            old.wait_exit(PATIENCE).await?;
        }
        let began = Instant::now();
        replica.restart().await?;
        replica.wait_ready(START).await?;
        let took = began.elapsed();
        let seen = metric(&replica.get("/metrics").await?, "managed_objects");
        ensure!(seen == objects as f64, "{seen} managed objects of {objects}");
        Ok(took)
    }
}

async fn measure(options: &Options) -> Result<Vec<Row>> {
    let small = Site::start(options).await?;
    let mut few = Population::new(&small.cluster, &admin(&small.cluster).await?).await?;
    few.grow(SMALL).await?;
    let large = Site::start(options).await?;
    let mut many = Population::new(&large.cluster, &admin(&large.cluster).await?).await?;
    let mut rows = vec![];
    for size in SIZES {
        if large.replica().process().is_running() {
            // It would only make the machine busy while the objects are written.
            large.replica().process().kill()?;
        }
        let began = Instant::now();
        many.grow(size).await?;
        caught_up(&large.cluster, size).await?;
        println!("  {size} objects of each kind after {:.0} s", began.elapsed().as_secs_f64());
        rows.extend(at_rest(options, &large, size).await?);
    }
    small.restart(SMALL).await?;
    rows.extend(events(options, &small, &large).await?);
    drop((few, many));
    small.cluster.stop().await?;
    large.cluster.stop().await?;
    Ok(rows)
}

/// Waits until the API server has seen the objects that were written past it.
async fn caught_up(cluster: &Cluster, size: usize) -> Result<()> {
    let Some(last) = size.checked_sub(1) else { return Ok(()) };
    let path = "/apis/split.smi-spec.io/v1alpha2/namespaces/population/trafficsplits";
    // From the watch cache, as an informer's LIST is.
    let path = format!("{path}?resourceVersion=0&fieldSelector=metadata.name=service-{last}");
    eventually("the API server has every object", PATIENCE, || async {
        let list = cluster.get_raw(&path).await?;
        ensure!(list.contains(&format!("service-{last}\"")), "not yet");
        Ok(())
    })
    .await
}

async fn at_rest(options: &Options, site: &Site, size: usize) -> Result<Vec<Row>> {
    let (mut ready, mut memory) = (vec![], Vec::<MemoryUsage>::new());
    for _ in 0..STARTS {
        ready.push(vec![site.restart(size).await?.as_secs_f64()]);
        quiet(&[site.pid()], CALM).await?;
        memory.push(summed_memory(site.pid())?);
    }
    let time = options.scaled(AT_REST);
    let (calls, before) = (site.log.calls()?, cpu(site.pid())?);
    tokio::time::sleep(time).await;
    let used = cpu(site.pid())?.saturating_sub(before).as_secs_f64();
    let calls = since(&site.log.calls()?, &calls);
    let each = |of: fn(&MemoryUsage) -> f64| memory.iter().map(|m| vec![of(m)]).collect::<Vec<_>>();
    let row = |what: &str, title: String, unit, scale, rounds: &[Vec<f64>]| {
        let id = format!("growing-{what}-{size}");
        alone(Name { id: &id, title: &title, unit, scale }, rounds)
    };
    let of = format!("{size} objects, Services and slices");
    let a_minute = vec![vec![used * 60.0 / time.as_secs_f64()]];
    let resident = format!("resident memory after start, {of}");
    let resident = row("resident", resident, "MiB", 1.0, &each(|m| m.resident))?;
    let is_judged = format!("growing-resident-{size}") == budgets::MEMORY.id;
    Ok(vec![
        if is_judged { budgets::MEMORY.judge(resident) } else { resident },
        row("anonymous", format!("of that anonymous, {of}"), "MiB", 1.0, &each(|m| m.anonymous))?,
        row("ready", format!("from the start until ready, {of}"), "s", 1.0, &ready)?,
        row("cpu", format!("CPU a minute at rest, {of}"), "ms", 1e3, &a_minute)?
            .note(format!("in {time:.0?}; calls to the API but for the Lease: {}", total(&calls))),
    ])
}

/// How often what is called.
type Calls = BTreeMap<String, usize>;

fn add(all: &mut Calls, more: Calls) {
    for (call, count) in more {
        *all.entry(call).or_default() += count;
    }
}

/// Events of slices that nobody depends on, beside 50,000 objects and beside 1,000, in turn.
async fn events(options: &Options, small: &Site, large: &Site) -> Result<Vec<Row>> {
    let sites = [large, small];
    let mut updates = vec![];
    for site in sites {
        updates.push(Updates::new(&site.cluster, &admin(&site.cluster).await?).await?);
    }
    let pids = sites.map(Site::pid);
    quiet(&pids, CALM).await?;
    let (mut busy_calls, mut idle_calls) = (Calls::new(), Calls::new());
    let (mut rounds, mut rate) = (Vec::<Round>::new(), f64::MAX);
    let time = options.scaled(ROUND);
    for round in 0..ROUNDS {
        let mut each: Round = [vec![], vec![]];
        let mut took = [(Duration::ZERO, 0.0); 2];
        for turn in 0..2 {
            let side = (turn + round) % 2;
            let before = sites[side].log.calls()?;
            let (spent, began) = (cpu(pids[side])?, Instant::now());
            let written = updates[side].run(time).await?;
            rate = rate.min(f64::from(written) / began.elapsed().as_secs_f64());
            quiet(&[pids[side]], Duration::from_millis(100)).await?;
            took[side] = (began.elapsed(), f64::from(written));
            each[side].push(cpu(pids[side])?.saturating_sub(spent).as_secs_f64());
            add(&mut busy_calls, since(&sites[side].log.calls()?, &before));
        }
        // What it does anyhow, in as much time: events take longer where etcd is slow.
        let rest = took[0].0.max(took[1].0);
        let before = [large.log.calls()?, small.log.calls()?];
        let idle = [cpu(pids[0])?, cpu(pids[1])?];
        tokio::time::sleep(rest).await;
        for (site, before) in sites.iter().zip(&before) {
            add(&mut idle_calls, since(&site.log.calls()?, before));
        }
        for side in 0..2 {
            let idle = cpu(pids[side])?.saturating_sub(idle[side]).as_secs_f64();
            let (busy, events) = took[side];
            each[side][0] -= idle * busy.as_secs_f64() / rest.as_secs_f64();
            each[side][0] /= events;
        }
        println!("  CPU an event {:.2?} µs", each.each_ref().map(|side| side[0] * 1e6));
        rounds.push(each);
    }
    let memory = summed_memory(large.pid())?;
    for site in sites {
        site.log.prove(&site.cluster, &site.installation).await?;
    }
    let calls = caused(&busy_calls, &idle_calls);
    let count = total(&calls) as f64;
    let title = "calls to the API because unrelated slices change, but for the Lease and watches";
    let name = Name { id: budgets::CALLS.id, title, unit: "", scale: 1.0 };
    let list = |calls: &Calls| {
        let each = calls.iter().map(|(call, count)| format!("{count} {call}"));
        each.collect::<Vec<_>>().join(", ")
    };
    let note = format!(
        "{rate:.0} updates a second at least, {:.0} s beside 1,000 objects and as long beside 50,000; by the audit log, in which a planted call was found; meanwhile: {}; in as much time at rest: {}",
        (time * ROUNDS as u32).as_secs_f64(),
        list(&busy_calls),
        list(&idle_calls)
    );
    let calls = budgets::CALLS.judge(alone(name, &[vec![count]])?.note(note));

    let title =
        "CPU for the event of an unrelated slice, beside 50,000 objects, times beside 1,000";
    let name = Name { id: budgets::EVENT.id, title, unit: "µs", scale: 1e6 };
    let event =
        budgets::EVENT.judge(beside(name, &rounds, 0.5)?.note("all of the way from the socket"));

    let title = "resident memory beside 50,000 after these events";
    let name = Name { id: "growing-resident-events", title, unit: "MiB", scale: 1.0 };
    let memory = alone(name, &[vec![memory.resident]])?
        .note(format!("{:.1} MiB of it anonymous", memory.anonymous))
        .aim(budgets::MEMORY.most);
    Ok(vec![calls, event, memory])
}
