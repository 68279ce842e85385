//! What a `create` takes: with our webhooks, with a ValidatingAdmissionPolicy of comparable rules, and with
//! neither, in one cluster, a namespace each, in turn. The policy is the chart's own.

use crate::support::bench::{Bench, PATIENCE};
use crate::support::figures::{Name, alone, beside};
use crate::support::options::Options;
use crate::support::pair::{Round, admin, create};
use crate::support::process::quiet;
use crate::support::subject::{FALLBACK, Named, Subject};
use anyhow::{Context, Result, ensure};
use bench_table::{Row, budgets, quantile};
use http::Request;
use kube::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use test_cluster::{Cluster, InstallOptions, Installation, Workload, eventually};

/// The namespaces; the first two have a release each.
const LANES: [&str; 3] = ["with-webhooks", "with-policy", "with-neither"];
/// In each namespace and round, one after the other.
const CREATES: usize = 25;
const PRIMARY: &str = "primary";
const CALM: Duration = Duration::from_millis(200);

pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.wants_any(&["create"], true) {
        return Ok(());
    }
    let cluster = Cluster::start().await?;
    cluster.install_traffic_split_crd().await?;
    let options = bench.options();
    bench.scenario("create", measure(&options, &cluster)).await;
    cluster.stop().await
}

async fn measure(options: &Options, cluster: &Cluster) -> Result<Vec<Row>> {
    let client = admin(cluster).await?;
    for namespace in LANES {
        let workload = Workload::new(cluster, namespace).await?;
        for service in [PRIMARY, FALLBACK] {
            workload.service_with_slice(service, 1).await?;
        }
    }
    let selector = "selector=failover.linkerd.io/controlled-by=linkerd-failover";
    let namespaces = format!("namespaces={{{}}}", LANES[0]);
    let webhooks =
        options.install_in(cluster, "release-webhooks", &[&namespaces, selector], &[]).await?;
    install_policy(cluster, selector).await?;
    refuses(&client, LANES[0], "admission webhook").await?;
    refuses(&client, LANES[1], "ValidatingAdmissionPolicy").await?;
    // The API server has webhooks for a moment after they are removed.
    eventually("a good one is taken where the policy is", PATIENCE, || async {
        let path = format!("{}?dryRun=All", Subject::Split.within(LANES[1]));
        create(&client, &path, split(LANES[1], "good")).await
    })
    .await?;
    ensure!(
        create_bad(&client, LANES[2]).await?.is_none(),
        "something refuses in the namespace that has neither"
    );

    let pids = [webhooks.replicas()[0].process().pid()];
    let before = AdmissionTimes::read(cluster).await?;
    let mut rounds: Vec<[Vec<f64>; 3]> = vec![];
    let mut turns = [0, 1, 2];
    for round in options.budget(45, 12) {
        let mut took = [vec![], vec![], vec![]];
        fastrand::shuffle(&mut turns);
        for lane in turns {
            quiet(&pids, CALM).await?;
            took[lane] = creates(&client, LANES[lane]).await?;
            remove(&client, LANES[lane]).await?;
        }
        // The first round warms up.
        if round > 0 {
            rounds.push(took);
        }
    }
    let times = AdmissionTimes::read(cluster).await?.since(&before);
    rows(&rounds, &times)
}

fn rows(rounds: &[[Vec<f64>; 3]], times: &str) -> Result<Vec<Row>> {
    let against = |lane: usize| -> Vec<Round> {
        rounds.iter().map(|took| [took[0].clone(), took[lane].clone()]).collect()
    };
    let (policy, neither) = (against(1), against(2));
    let mut rows = vec![];
    for (percentile, share) in [("p50", 0.5), ("p99", 0.99)] {
        for (id, what, rounds) in
            [("policy", "the policy", &policy), ("neither", "neither", &neither)]
        {
            let id = format!("create-{id}-{percentile}");
            let title = format!("create with our webhooks, beside {what}, {percentile}");
            rows.push(beside(Name::milliseconds(&id, &title), rounds, share)?);
        }
    }
    let over: Option<Vec<Vec<f64>>> = policy
        .iter()
        .map(|[ours, theirs]| {
            let (ours, theirs) =
                (quantile(&mut ours.clone(), 0.5)?, quantile(&mut theirs.clone(), 0.5)?);
            Some(vec![ours - theirs])
        })
        .collect();
    let title = "how much longer a create takes with our webhooks than with a policy of comparable rules, p50";
    let name = Name::milliseconds(budgets::CREATE.id, title);
    let row = alone(name, &over.context("a round without creates")?)?;
    rows.push(budgets::CREATE.judge(row.note(times)));
    Ok(rows)
}

/// A release of which only the policy is in force: no replica, no webhook.
async fn install_policy(cluster: &Cluster, selector: &str) -> Result<()> {
    let release = "release-policy";
    let chart = InstallOptions {
        values: [
            "webhook.admissionPolicy.enabled=true",
            &format!("namespaces={{{}}}", LANES[1]),
            &format!("fullnameOverride={release}"),
            selector,
        ]
        .map(str::to_owned)
        .to_vec(),
        replicas: 0,
        namespace: release.into(),
        release: release.into(),
        ..InstallOptions::default()
    };
    Installation::helm_install(cluster, &chart).await?;
    let configurations = "mutatingwebhookconfigurations,validatingwebhookconfigurations";
    cluster.kubectl(["delete", configurations, release]).ok().await?;
    Ok(())
}

/// Waits until what is wrong is refused in a namespace, by what should do that.
async fn refuses(client: &Client, namespace: &str, who: &str) -> Result<()> {
    eventually(&format!("{who} refuses in {namespace}"), PATIENCE, || async {
        let refused = create_bad(client, namespace).await?;
        ensure!(refused.as_ref().is_some_and(|why| why.contains(who)), "{refused:?}");
        Ok::<_, anyhow::Error>(())
    })
    .await
}

/// Tries a split with a backend that is no name of a Service; why it is refused, if it is.
async fn create_bad(client: &Client, namespace: &str) -> Result<Option<String>> {
    let mut bad = split(namespace, "bad");
    bad["spec"]["backends"][1]["service"] = json!("a.b");
    let path = format!("{}?dryRun=All", Subject::Split.within(namespace));
    match create(client, &path, bad).await {
        Ok(()) => Ok(None),
        Err(error) => Ok(Some(format!("{error:#}"))),
    }
}

fn split(namespace: &str, name: &str) -> Value {
    let (name, apex) = (name.to_owned(), PRIMARY.to_owned());
    Subject::Split.manifest(&Named { namespace, name, apex, primary: PRIMARY }, true)
}

async fn creates(client: &Client, namespace: &str) -> Result<Vec<f64>> {
    let mut took = vec![];
    for i in 0..CREATES {
        let split = split(namespace, &format!("split-{i}"));
        let began = Instant::now();
        create(client, &Subject::Split.within(namespace), split).await?;
        took.push(began.elapsed().as_secs_f64());
    }
    Ok(took)
}

async fn remove(client: &Client, namespace: &str) -> Result<()> {
    client.request_text(Request::delete(Subject::Split.within(namespace)).body(vec![])?).await?;
    Ok(())
}

/// The API server's `apiserver_admission_webhook_admission_duration_seconds`, of our webhooks.
struct AdmissionTimes(Vec<(String, [f64; 2])>);

impl AdmissionTimes {
    async fn read(cluster: &Cluster) -> Result<Self> {
        let metrics = cluster.get_raw("/metrics").await?;
        let of = |what: &str| {
            let prefix = format!("apiserver_admission_webhook_admission_duration_seconds_{what}{{");
            let lines = metrics.lines().filter_map(move |line| line.strip_prefix(&prefix));
            lines
                .filter(|line| line.contains("operation=\"CREATE\"") && line.contains("linkerd"))
                .filter_map(|line| {
                    let (labels, value) = line.rsplit_once(' ')?;
                    Some((labels.to_owned(), value.parse::<f64>().ok()?))
                })
                .collect::<Vec<_>>()
        };
        let (sums, counts) = (of("sum"), of("count"));
        let both = sums.into_iter().filter_map(|(labels, sum)| {
            let count = counts.iter().find(|(other, _)| *other == labels)?.1;
            Some((labels, [sum, count]))
        });
        Ok(Self(both.collect()))
    }

    /// The mean of each webhook since an earlier reading.
    fn since(&self, before: &Self) -> String {
        let means = self.0.iter().filter_map(|(labels, [sum, count])| {
            let earlier = before.0.iter().find(|(other, _)| other == labels);
            let [old_sum, old_count] = earlier.map_or([0.0; 2], |(_, both)| *both);
            let label = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\""))?;
                Some(rest.split_once('"')?.0.to_owned())
            };
            let calls = count - old_count;
            (calls > 0.0).then(|| {
                let of = label("type").or_else(|| label("name")).unwrap_or_default();
                format!("{of} {:.2} ms of {calls}", (sum - old_sum) / calls * 1e3)
            })
        });
        let means: Vec<String> = means.collect();
        format!(
            "the API server's apiserver_admission_webhook_admission_duration_seconds, mean: {}",
            means.join(", ")
        )
    }
}
