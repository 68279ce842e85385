//! Two namespaces alike: one is linkerd-failover's, one the bare client's.

use super::bare_client;
use super::bench::PATIENCE;
use super::budget::Budget;
use super::child::Child;
use super::observer::Observer;
use super::process::quiet;
use super::subject::{FALLBACK, Named, Subject, wanted};
use super::transport;
use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use http::{Request, header};
use kube::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use test_cluster::{Cluster, Installation, Workload};

/// Requests at once, of who makes the objects and the losses.
const AT_ONCE: usize = 32;

/// What each of the two namespaces has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contents {
    /// The namespaces are called after it.
    pub name: &'static str,
    /// Of which kind the managed objects are.
    pub managed: Subject,
    /// Whose weights are waited for, and are the bare client's to write.
    pub observed: Subject,
    pub objects: usize,
    /// They share the objects, and die together.
    pub primaries: usize,
}

impl Contents {
    pub(crate) fn splits(name: &'static str, objects: usize) -> Self {
        Self { name, managed: Subject::Split, observed: Subject::Split, objects, primaries: 1 }
    }

    fn primary(&self, i: usize) -> String {
        format!("primary-{}", i % self.primaries)
    }

    /// Each profile has an apex of its own.
    fn apex(&self, i: usize) -> String {
        match self.observed {
            Subject::Profile => format!("apex-{i}"),
            _ => self.primary(i),
        }
    }
}

/// A round: the seconds that each side takes.
pub(crate) type Round = [Vec<f64>; 2];

/// A namespace whose flips are observed.
pub(crate) struct Side {
    namespace: String,
    observer: Observer,
}

impl Side {
    /// Makes what a namespace has, managed or the bare client's.
    pub(crate) async fn make(
        cluster: &Cluster,
        client: &Client,
        contents: &Contents,
        namespace: &str,
        managed: bool,
    ) -> Result<()> {
        let workload = &Workload::new(cluster, namespace).await?;
        let services = (0..contents.primaries).map(|i| contents.primary(i));
        let services = services
            .chain([FALLBACK.to_owned()])
            .map(|name| async move { workload.service_with_slice(&name, 1).await });
        stream::iter(services).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        grow(client, contents, namespace, managed).await
    }

    pub(crate) async fn observe(
        cluster: &Cluster,
        contents: &Contents,
        namespace: String,
    ) -> Result<Self> {
        let observer = Observer::start(&cluster.client(), contents.observed, &namespace).await?;
        Ok(Self { namespace, observer })
    }

    /// From the first write of a slice until another client has seen the last weight.
    pub(crate) async fn leg(
        &mut self,
        client: &Client,
        contents: &Contents,
        ready: bool,
    ) -> Result<Duration> {
        let Self { namespace, observer } = self;
        observer.forget();
        let began = Instant::now();
        let losses = set_ready(client, contents, namespace, ready);
        let flips = observer.until(contents.objects, wanted(ready), began);
        Ok(tokio::try_join!(losses, flips)?.1)
    }
}

pub(crate) struct Pair {
    contents: Contents,
    client: Client,
    sides: [Side; 2],
    bare: Child,
    replicas: Vec<u32>,
    /// How long nothing happens between two legs.
    calm: Duration,
}

/// Another client than those that are measured.
pub(crate) async fn admin(cluster: &Cluster) -> Result<Client> {
    transport::quick(transport::config(cluster.kubeconfig(), None).await?).await
}

impl Pair {
    /// Makes all objects; the bare client has seen them when it returns.
    pub(crate) async fn new(
        cluster: &Cluster,
        installation: &Installation,
        contents: Contents,
    ) -> Result<Self> {
        let client = admin(cluster).await?;
        let name = |who| format!("{}-{who}", contents.name);
        let namespaces = [name("ours"), name("bare")];
        for (namespace, managed) in namespaces.iter().zip([true, false]) {
            Side::make(cluster, &client, &contents, namespace, managed).await?;
        }
        let [ours, bare] = namespaces;
        let observe = |namespace| Side::observe(cluster, &contents, namespace);
        let sides = [observe(ours).await?, observe(bare).await?];
        let bare = bare_client::start(cluster, contents.observed).await?;
        let calm = Duration::from_millis(if contents.objects > 1 { 500 } else { 75 });
        let mut pair = Self { contents, client, sides, bare, replicas: vec![], calm };
        pair.watch_over(installation);
        pair.settle().await?;
        Ok(pair)
    }

    /// Legs begin when the replicas of this installation have done all that follows the ones before.
    pub(crate) fn watch_over(&mut self, installation: &Installation) {
        let replicas = installation.replicas().iter();
        let replicas = replicas.filter(|replica| replica.process().is_running());
        self.replicas = replicas.map(|replica| replica.process().pid()).collect();
    }

    /// Loses and regains the primaries in turn, ours and the bare client's one after the other; each goes
    /// first as often as the other.
    pub(crate) async fn rounds(&mut self, warm_up: usize, budget: Budget) -> Result<Vec<Round>> {
        for round in 0..warm_up {
            self.round(round).await?;
        }
        let mut rounds = vec![];
        for round in budget {
            rounds.push(self.round(warm_up + round).await?);
        }
        if self.contents.objects > 1 {
            print(&rounds);
        }
        Ok(rounds)
    }

    /// The one with this number: a loss or a recovery, on both sides.
    pub(crate) async fn round(&mut self, number: usize) -> Result<Round> {
        let ready = number % 2 == 1;
        let order = if (number / 2).is_multiple_of(2) { [0, 1] } else { [1, 0] };
        let mut round = [vec![], vec![]];
        for side in order {
            round[side].push(self.leg(side, ready).await?.as_secs_f64());
            self.settle().await?;
        }
        Ok(round)
    }

    /// One side's: from the first write of a slice until another client has seen the last weight.
    pub(crate) async fn leg(&mut self, side: usize, ready: bool) -> Result<Duration> {
        self.bare.check()?;
        self.sides[side].leg(&self.client, &self.contents, ready).await
    }

    async fn settle(&self) -> Result<()> {
        quiet(&self.replicas, self.calm).await
    }

    /// Removes the objects, so that those of the next scenario stand alone.
    pub(crate) async fn remove(mut self) -> Result<()> {
        for (side, kind) in [(0, self.contents.managed), (1, self.contents.observed)] {
            let path = kind.within(&self.sides[side].namespace);
            self.client.request_text(Request::delete(path).body(vec![])?).await?;
        }
        self.calm = Duration::from_millis(500);
        self.settle().await
    }
}

fn print(rounds: &[Round]) {
    for (who, side) in [("linkerd-failover", 0), ("bare client", 1)] {
        let times = rounds.iter().flat_map(|round| &round[side]);
        let times: Vec<_> = times.map(|took| format!("{took:.2}")).collect();
        println!("  {who:<17} {}", times.join(" "));
    }
}

async fn grow(client: &Client, contents: &Contents, namespace: &str, managed: bool) -> Result<()> {
    let kind = if managed { contents.managed } else { contents.observed };
    let made = (0..contents.objects).map(|i| async move {
        let apex = contents.apex(i);
        if apex != contents.primary(i) && managed {
            let service = json!({"metadata": {"name": apex},
                "spec": {"clusterIP": "None", "ports": [{"name": "grpc", "port": 8080}]}});
            create(client, &format!("/api/v1/namespaces/{namespace}/services"), service).await?;
        }
        let (name, primary) = (format!("object-{i}"), &contents.primary(i));
        let object = kind.manifest(&Named { namespace, name, apex, primary }, managed);
        create(client, &kind.within(namespace), object).await
    });
    stream::iter(made).buffer_unordered(AT_ONCE).try_collect().await
}

pub(crate) async fn create(client: &Client, path: &str, object: Value) -> Result<()> {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    let request = request.body(serde_json::to_vec(&object)?)?;
    let created = tokio::time::timeout(PATIENCE, client.request_text(request)).await;
    created.with_context(|| format!("POST {path} is not answered"))??;
    Ok(())
}

/// Lets every primary have one ready endpoint, or none.
async fn set_ready(
    client: &Client,
    contents: &Contents,
    namespace: &str,
    ready: bool,
) -> Result<()> {
    let writes = (0..contents.primaries).map(|i| async move {
        let name = contents.primary(i);
        let path =
            format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/{name}");
        let address = format!("10.1.{}.{}", i / 250, i % 250 + 1);
        let endpoint = json!({"addresses": [address], "conditions": {"ready": true}});
        let endpoints = if ready { vec![endpoint] } else { vec![] };
        let request = Request::patch(&path)
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .body(serde_json::to_vec(&json!({"endpoints": endpoints}))?)?;
        let written = tokio::time::timeout(PATIENCE, client.request_text(request)).await;
        written.with_context(|| format!("PATCH {path} is not answered"))??;
        anyhow::Ok(())
    });
    stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
}
