//! Two replicas with every webhook: the mutating and the validating one of failover objects, and the
//! guard's of pods.

use super::{flips, guard, takeover};
use crate::support::bench::{Bench, Site};
use crate::support::figures::Name;
use crate::support::pair::Contents;
use anyhow::Result;
use test_cluster::Cluster;

const SCENARIOS: [&str; 4] = ["two-replicas-flip", "two-replicas-fan-out", "guard", "takeover"];
/// Nothing carries the weights on to Linkerd here.
const VALUES: [&str; 2] = ["guard.adaptorGrace=0s", "guard.propagation=0s"];

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants_any(&SCENARIOS, true) {
        return Ok(());
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let options = bench.options();
    let installation = options.install(&cluster, &VALUES, 2).await?;
    let site = Site { options: &options, cluster: &cluster, installation: &installation };

    let names = [
        Name::milliseconds("two-replicas-flip-p50", "one flip, two replicas, all webhooks, p50"),
        Name::milliseconds("two-replicas-flip-p99", "one flip, two replicas, all webhooks, p99"),
    ];
    let measured = async {
        let one = Contents::splits("two1", 1);
        let rows = flips::one(site, one, 12, names).await?;
        Ok(rows.into_iter().zip([1.05, 1.2]).map(|(row, aim)| row.aim(aim)).collect())
    };
    bench.scenario("two-replicas-flip", measured).await;

    let title = "1,000 splits on one primary, two replicas, all webhooks";
    let name = Name::seconds("two-replicas-fan-out", title);
    let measured = async {
        let many = Contents::splits("two1000", 1_000);
        let row = flips::many(site, many, 14, name).await?;
        Ok(vec![row.aim(1.1)])
    };
    bench.scenario("two-replicas-fan-out", measured).await;
    bench.scenario("guard", guard::measure(site)).await;
    bench.scenario("takeover", takeover::measure(site)).await;
    drop(installation);
    cluster.stop().await
}
