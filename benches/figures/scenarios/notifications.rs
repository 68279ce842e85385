//! A fan-out with notifications to a receiver that is dead, or hangs, beside one without notifications: three
//! replicas alike, each with a namespace of its own, in turn.

use crate::support::bench::Bench;
use crate::support::figures::{Name, beside};
use crate::support::options::Options;
use crate::support::pair::{Contents, Round, Side, admin};
use crate::support::process::{cpu, quiet};
use anyhow::Result;
use bench_table::Row;
use std::time::Duration;
use test_cluster::{Cluster, Installation, Workload};
use tokio::net::TcpListener;

const OBJECTS: usize = 1_000;
const CALM: Duration = Duration::from_millis(500);
const KEY: &str = "a key for a benchmark";
/// Without notifications, refused, hanging.
const NAMES: [&str; 3] = ["without", "refused", "hanging"];

/// One of the replicas, and its namespace.
struct Lane {
    installation: Installation,
    side: Side,
}

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants_any(&["notifications"], false) {
        return Ok(());
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let options = bench.options();
    bench.named_scenario("notifications", measure(&options, &cluster)).await;
    cluster.stop().await
}

async fn measure(options: &Options, cluster: &Cluster) -> Result<Vec<Row>> {
    let client = admin(cluster).await?;
    let contents = Contents::splits("notifications", OBJECTS);
    let hanging = TcpListener::bind("127.0.0.1:0").await?;
    let refused = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let receivers = [None, Some(refused), Some(hanging.local_addr()?)];
    let accepting = tokio::spawn(async move {
        let mut open = vec![];
        while let Ok((stream, _)) = hanging.accept().await {
            open.push(stream);
        }
    });
    let mut lanes = vec![];
    for (name, receiver) in NAMES.into_iter().zip(receivers) {
        let objects = format!("objects-{name}");
        Workload::new(cluster, &objects).await?;
        let values = [
            &format!("namespaces={{{objects}}}"),
            "selector=failover.linkerd.io/controlled-by=linkerd-failover",
            "webhook.enabled=false",
        ];
        let url = receiver.map(|address| format!("http://{address}/hook"));
        let env: Vec<_> = url
            .iter()
            .flat_map(|url| {
                [
                    ("LINKERD_FAILOVER_NOTIFICATIONS_URL", url.as_str()),
                    ("LINKERD_FAILOVER_NOTIFICATIONS_KEY", KEY),
                ]
            })
            .collect();
        let namespace = format!("release-{name}");
        let installation = options.install_in(cluster, &namespace, &values, &env).await?;
        Side::make(cluster, &client, &contents, &objects, true).await?;
        let side = Side::observe(cluster, &contents, objects).await?;
        lanes.push(Lane { installation, side });
    }
    let pids: Vec<u32> =
        lanes.iter().map(|lane| lane.installation.replicas()[0].process().pid()).collect();
    quiet(&pids, CALM).await?;
    let (mut took, mut used) = (vec![], vec![]);
    for round in options.budget(240, 8) {
        let (mut seconds, mut spent) = ([0.0; 3], [0.0; 3]);
        for i in 0..3 {
            // Each is first as often as the others.
            let lane = (i + round / 2) % 3;
            let before = cpu(pids[lane])?;
            let leg = lanes[lane].side.leg(&client, &contents, round % 2 == 1).await?;
            quiet(&pids, CALM).await?;
            seconds[lane] = leg.as_secs_f64();
            spent[lane] = cpu(pids[lane])?.saturating_sub(before).as_secs_f64();
        }
        // The first loss and the first recovery warm up.
        if round > 1 {
            println!("  {seconds:.2?} s, CPU {spent:.3?} s");
            took.push(seconds);
            used.push(spent);
        }
    }
    accepting.abort();
    let mut rows = vec![];
    for (lane, what) in [(1, "a receiver that refuses connections"), (2, "one that never answers")]
    {
        let pair = |of: &[[f64; 3]]| -> Vec<Round> {
            of.iter().map(|round| [vec![round[lane]], vec![round[0]]]).collect()
        };
        let (id, title) = (
            format!("notifications-{}", NAMES[lane]),
            format!("1,000 splits, {what}, beside none"),
        );
        rows.push(beside(Name::seconds(&id, &title), &pair(&took), 0.5)?.aim(1.02));
        let (id, title) = (format!("{id}-cpu"), format!("CPU of the program: {title}"));
        rows.push(beside(Name::seconds(&id, &title), &pair(&used), 0.5)?);
    }
    Ok(rows)
}
