//! One replica and the chart as it is installed by default, its webhooks among it.

use super::{events, flips, heavy_reviews, profile, saturation, unrelated, webhook};
use crate::support::bench::{Bench, Site};
use crate::support::figures::Name;
use crate::support::pair::Contents;
use crate::support::subject::Subject;
use anyhow::Result;
use test_cluster::Cluster;

const SCENARIOS: [&str; 9] = [
    "one-flip",
    "fan-out-500",
    "fan-out-1000",
    "routes-1000",
    "primaries-1000",
    "webhook",
    "unrelated-slice",
    "saturation",
    "events",
];
/// Measured only where they are named.
const NAMED: [&str; 2] = ["heavy-reviews", "cpu-profile"];

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants_any(&SCENARIOS, true) && !bench.wants_any(&NAMED, false) {
        return Ok(());
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    cluster.install_gateway_api_crds().await?;
    let options = bench.options();
    let installation = options.install(&cluster, &[], 1).await?;
    let site = Site { options: &options, cluster: &cluster, installation: &installation };

    let names = [
        Name::milliseconds("one-flip-p50", "one flip, p50"),
        Name::milliseconds("one-flip-p99", "one flip, p99"),
    ];
    let one = Contents::splits("one", 1);
    let measured = async {
        let rows = flips::one(site, one, 24, names).await?;
        Ok(rows.into_iter().zip([1.05, 1.2]).map(|(row, aim)| row.aim(aim)).collect())
    };
    bench.scenario("one-flip", measured).await;

    let routes = Contents {
        managed: Subject::Route,
        observed: Subject::Route,
        ..Contents::splits("routes", 1_000)
    };
    let primaries = Contents { primaries: 1_000, ..Contents::splits("primaries", 1_000) };
    for (contents, seconds, id, title, aim) in [
        (Contents::splits("k05", 500), 10, "fan-out-500", "500 splits on one primary", 1.1),
        (Contents::splits("k1", 1_000), 14, "fan-out-1000", "1,000 splits on one primary", 1.1),
        (routes, 14, "routes-1000", "1,000 routes on one primary", 1.1),
        (primaries, 14, "primaries-1000", "1,000 primaries, a split on each", 1.1),
    ] {
        let name = Name::seconds(id, title);
        let measured = async {
            let row = flips::many(site, contents, seconds, name).await?;
            Ok(vec![row.aim(aim)])
        };
        bench.scenario(id, measured).await;
    }
    bench.scenario("webhook", webhook::measure(site)).await;
    bench.scenario("unrelated-slice", unrelated::measure(site)).await;
    bench.scenario("saturation", saturation::measure(site)).await;
    bench.scenario("events", events::measure(site)).await;
    let heavy = heavy_reviews::measure(site);
    bench.named_scenario("heavy-reviews", heavy).await;
    let profile = profile::measure(site);
    bench.named_scenario("cpu-profile", profile).await;
    drop(installation);
    cluster.stop().await
}
