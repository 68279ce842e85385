//! One replica that writes ServiceProfiles, until the last of them is seen, beside a bare client that
//! writes only these.

use super::flips;
use crate::support::bench::{Bench, Site};
use crate::support::figures::Name;
use crate::support::pair::Contents;
use crate::support::subject::Subject;
use anyhow::Result;
use test_cluster::Cluster;

const SCENARIOS: [&str; 2] = ["profile-flip", "profiles-1000"];

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants_any(&SCENARIOS, true) {
        return Ok(());
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    cluster.install_gateway_api_crds().await?;
    cluster.install_service_profile_crd().await?;
    let options = bench.options();
    let installation = options.install(&cluster, &["serviceProfiles.manage=true"], 1).await?;
    let site = Site { options: &options, cluster: &cluster, installation: &installation };
    let contents =
        |name, objects| Contents { observed: Subject::Profile, ..Contents::splits(name, objects) };

    let names = [
        Name::milliseconds("profile-flip-p50", "one flip to its ServiceProfile, p50"),
        Name::milliseconds("profile-flip-p99", "one flip to its ServiceProfile, p99"),
    ];
    let measured = async {
        let one = contents("one", 1);
        let rows = flips::one(site, one, 14, names).await?;
        Ok(rows.into_iter().zip([1.15, 1.2]).map(|(row, aim)| row.aim(aim)).collect())
    };
    bench.scenario("profile-flip", measured).await;

    let name =
        Name::seconds("profiles-1000", "1,000 splits on one primary, to the last ServiceProfile");
    let measured = async {
        let many = contents("k1", 1_000);
        let row = flips::many(site, many, 14, name).await?;
        Ok(vec![row.aim(1.15)])
    };
    bench.scenario("profiles-1000", measured).await;
    drop(installation);
    cluster.stop().await
}
