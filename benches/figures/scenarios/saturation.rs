//! The webhook at ever more requests a second, until it does not keep up, beside a handler that answers without
//! looking: reviews of 2 KiB and of 1 MiB, `/mutate` and `/validate` in turn. The program, the handler and who
//! calls them share the CPUs of the machine.

use super::webhook;
use crate::support::bench::Site;
use crate::support::empty_handler;
use crate::support::figures::{Name, alone};
use crate::support::load::WebhookClient;
use crate::support::open_loop::{self, Outcome};
use crate::support::options::Options;
use crate::support::reviews::{TRAFFIC_SPLIT, kubernetes_admin, review};
use anyhow::Result;
use axum::body::Bytes;
use bench_table::Row;
use serde_json::{Value, json};
use std::time::Duration;
use test_cluster::webhook_ca;

const ROUNDS: usize = 3;
/// Requests a second, and for how long in each round; then twice as many each time.
const RATES: [(u32, u64); 3] = [(50, 7), (200, 4), (1_000, 2)];
const MOST: u32 = 64_000;
const KIB: usize = 1024;

pub(super) async fn measure(site: Site<'_>) -> Result<Vec<Row>> {
    let Site { options, cluster, installation } = site;
    let created = webhook::reviews(cluster).await?.swap_remove(0);
    let ca = webhook_ca(cluster).await?;
    let webhook = WebhookClient::new(installation.replicas()[0].webhook_addr(), &ca)?;
    let (_child, empty) = empty_handler::start().await?;
    let mut rows = vec![];
    for (size, name) in [(2 * KIB, "2 KiB"), (1024 * KIB, "1 MiB")] {
        let review = grown(&created, size)?;
        rows.extend(until_saturated(options, name, &review, &webhook, &empty).await?);
    }
    Ok(rows)
}

async fn until_saturated(
    options: &Options,
    size: &str,
    review: &Bytes,
    webhook: &WebhookClient,
    empty: &WebhookClient,
) -> Result<Vec<Row>> {
    let id = format!("saturation-{}", size.replace(' ', "").to_lowercase());
    let (mut rows, mut kept_up) = (vec![], 0.0);
    let more = std::iter::successors(Some(2_000), |rate| Some(rate * 2)).map(|rate| (rate, 2));
    for (rate, seconds) in RATES.into_iter().chain(more).take_while(|(rate, _)| *rate <= MOST) {
        let time = options.scaled(Duration::from_secs(seconds));
        let (mut ours, mut theirs) = (Outcome::new(rate)?, Outcome::new(rate)?);
        let mut rounds = vec![];
        for round in 0..ROUNDS {
            for turn in 0..2 {
                if (turn + round) % 2 == 0 {
                    let paths = ["/mutate", "/validate"];
                    let one =
                        open_loop::run(webhook, &paths, std::slice::from_ref(review), rate, time)
                            .await?;
                    rounds.push(vec![one.milliseconds(99.9)]);
                    ours.add(&one)?;
                } else {
                    let reviews = [review.clone()];
                    theirs.add(&open_loop::run(empty, &["/"], &reviews, rate, time).await?)?;
                }
            }
        }
        let load = ours.load();
        let title = format!("reviews of {size}, {rate} a second, p99.9 from when they are due");
        let id = format!("{id}-{rate}");
        let name = Name { id: &id, title: &title, unit: "ms", scale: 1.0 };
        let note = format!(
            "p50 {:.2}, p99 {:.2} ms of {}; {:.0} answered a second, {} refused or late",
            ours.milliseconds(50.0),
            ours.milliseconds(99.0),
            ours.latencies.len(),
            load.answered,
            load.refused,
        );
        let row = alone(name, &rounds)?.note(note);
        let beside = Some(theirs.milliseconds(99.9));
        rows.push(Row { ours: ours.milliseconds(99.9), beside, ..row });
        println!("  {}: {}", rows[rows.len() - 1], rows[rows.len() - 1].note);
        if load.is_saturated() {
            break;
        }
        kept_up = f64::from(rate);
    }
    let id = format!("{id}-most");
    let title =
        format!("most reviews of {size} a second of these rates that were all answered in time");
    let name = Name { id: &id, title: &title, unit: "a second", scale: 1.0 };
    rows.push(alone(name, &[vec![kept_up]])?);
    Ok(rows)
}

/// The review of a create with so much more in it as an API server shows of objects that many managers own.
fn grown(review_of_create: &Bytes, size: usize) -> Result<Bytes> {
    let sent: Value = serde_json::from_slice(review_of_create)?;
    let mut object = sent["request"]["object"].clone();
    let options = &sent["request"]["options"];
    let text = |object: &Value| {
        let user = kubernetes_admin();
        review(&TRAFFIC_SPLIT, "CREATE", object, &Value::Null, &user, options).to_string()
    };
    let lacking = size.saturating_sub(text(&object).len());
    let field = |i: usize| (format!("f:example.com/field-{i:06}"), json!({".": {}, "f:value": {}}));
    let one = field(0).0.len() + field(0).1.to_string().len() + 4;
    let fields: serde_json::Map<_, _> = (0..lacking / one).map(field).collect();
    object["metadata"]["managedFields"] = json!([{"manager": "kubectl-client-side-apply",
        "operation": "Update", "apiVersion": "split.smi-spec.io/v1alpha2",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:annotations": fields}}}]);
    Ok(Bytes::from(text(&object)))
}
