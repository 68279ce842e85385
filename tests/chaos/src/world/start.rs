//! Brings the world up.

use super::clock::WallClock;
use super::disturbance::Disturbances;
use super::lanes::Lanes;
use super::objects::{Declarations, declarations};
use super::{authors, contents, endpoints, kubelet, pace, reach};
use crate::facts::{At, Clock, Fact, Side};
use crate::journal::Journal;
use crate::plan::Victim;
use anyhow::Context;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use test_cluster::{ApiProxy, Cluster, InstallOptions, Installation, Link, Replica, eventually};
use tokio::task::JoinSet;

/// Of the installation.
pub const NAMESPACE: &str = "linkerd-failover";
const PATIENCE: Duration = Duration::from_secs(120);
const REPLICAS: usize = 2;
/// Values of the chart.
const VALUES: [&str; 6] = [
    "remoteClusters.credentialsNamespaces={linkerd-multicluster}",
    "remoteUnreachableAfter=60s",
    "guard.bound=800ms",
    "alerts.enabled=true",
    "alerts.for=10s",
    "alerts.minimumStay=2s",
];

/// How a world is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// What objects and endpoints are drawn by.
    pub seed: u64,
    /// The program.
    pub program: PathBuf,
    /// Further environment of the replicas, such as a fault that is planted in the program.
    pub env: Vec<(String, String)>,
}

/// Two clusters, two replicas, and all that is in them.
pub struct World {
    /// The clock of the run.
    pub clock: Clock,
    /// Where facts go.
    pub journal: Arc<Journal>,
    /// What it began with.
    pub declarations: Declarations,
    /// What faults take away.
    pub disturbances: Arc<Disturbances>,
    /// What faults take for themselves.
    pub(crate) lanes: Lanes,
    /// The replicas.
    pub replicas: Vec<Arc<Replica>>,
    /// Through which each of them reaches the east.
    pub proxies: Vec<ApiProxy>,
    /// Their wall clocks.
    pub(crate) clocks: Vec<WallClock>,
    /// Through which both reach the west: one Secret has its address.
    pub west_proxy: ApiProxy,
    /// With which the west is linked.
    pub link: Link,
    /// The chart.
    pub installation: Installation,
    /// Where the chart is.
    pub east: Cluster,
    /// Which is linked.
    pub west: Cluster,
    /// Time as far as the processes got the CPU that they asked for, in microseconds.
    pub(super) counted: AtomicU64,
    /// Which replica is reachable, as was told last.
    pub(super) reachable: Mutex<Vec<[bool; 2]>>,
}

impl World {
    /// Starts it. Nothing goes on in it before [`Self::live`].
    pub async fn start(options: &Options, journal: Journal) -> anyhow::Result<Self> {
        let declarations = declarations(options.seed);
        // etcd's values can be read without the API server.
        let builder =
            || Cluster::builder().api_server_arg("--storage-media-type=application/json").start();
        let (east, west) = tokio::try_join!(builder(), builder())?;
        east.install_traffic_split_crd().await?;
        east.install_gateway_api_crds().await?;
        east.create_multicluster_namespace().await?;
        let west_proxy = ApiProxy::start(&west)?;
        let link = Link::create(&west, "west").await?.through(&west_proxy);
        link.apply(&east).await?;
        let chart = InstallOptions {
            values: VALUES.map(str::to_owned).to_vec(),
            replicas: 0,
            binary: options.program.clone(),
            ..InstallOptions::default()
        };
        let mut installation = Installation::install(&east, chart).await?;
        let mut proxies = Vec::new();
        let mut clocks = Vec::new();
        for nth in 0..REPLICAS {
            let proxy = ApiProxy::start(&east)?;
            let clock = WallClock::create(&east.folder().join(format!("clock-{nth}")))?;
            let own = clock.environment();
            let env = options.env.iter().chain(&own);
            let env: Vec<_> = env.map(|(name, value)| (name.as_str(), value.as_str())).collect();
            installation.start_replica_through_with(&proxy, &env).await?;
            proxies.push(proxy);
            clocks.push(clock);
        }
        installation.wait_ready(PATIENCE).await?;
        let replicas = installation.replicas().to_vec();
        let world = Self {
            clock: journal.clock(),
            journal: Arc::new(journal),
            declarations,
            disturbances: Arc::default(),
            counted: AtomicU64::new(0),
            lanes: Lanes::default(),
            reachable: Mutex::new(vec![[false; 2]; replicas.len()]),
            replicas,
            proxies,
            clocks,
            west_proxy,
            link,
            installation,
            east,
            west,
        };
        for replica in &world.replicas {
            world.started(replica);
        }
        contents::create(&world).await.context("the objects of the run")?;
        contents::allow_alerts(&world).await.context("the sender of alerts")?;
        Ok(world)
    }

    /// What goes on beside the faults, until the set is dropped.
    pub fn live(self: &Arc<Self>, seed: u64, length: Duration, begin: At) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for nth in 0..self.replicas.len() {
            tasks.spawn(kubelet::watch(Arc::clone(self), nth));
            tasks.spawn(reach::watch(Arc::clone(self), nth));
        }
        tasks.spawn(pace::measure(Arc::clone(self)));
        tasks.spawn(endpoints::change(Arc::clone(self), seed, length, begin));
        tasks.spawn(authors::apply_all_the_time(Arc::clone(self), seed, length, begin));
        tasks
    }

    /// One of the clusters.
    pub fn cluster(&self, side: Side) -> &Cluster {
        match side {
            Side::East => &self.east,
            Side::West => &self.west,
        }
    }

    /// Which replica it is at the moment; the first one where the Lease cannot be read.
    pub async fn victim(&self, victim: Victim) -> usize {
        let leader = self.leader().await.unwrap_or_default();
        match victim {
            Victim::Leader => leader,
            Victim::Standby => (leader + 1) % self.replicas.len(),
        }
    }

    async fn leader(&self) -> Option<usize> {
        let leases: Api<Lease> = Api::namespaced(self.east.client(), NAMESPACE);
        let lease = tokio::time::timeout(Duration::from_secs(1), leases.get(NAMESPACE));
        let holder = lease.await.ok()?.ok()?.spec?.holder_identity?;
        self.replicas.iter().position(|replica| holder.contains(replica.name()))
    }

    /// Whether a replica can do its work on a cluster.
    pub fn is_reachable(&self, replica: usize, side: Side) -> bool {
        let reachable = self.reachable.lock().unwrap_or_else(PoisonError::into_inner);
        reachable.get(replica).is_some_and(|sides| sides[side as usize])
    }

    /// Tells that a replica's process was started.
    pub fn started(&self, replica: &Replica) {
        let process = replica.process();
        self.journal.fact(Fact::ReplicaStarted {
            replica: replica.name().into(),
            pid: process.pid(),
            admin: replica.admin_url(),
            log: process.log().display().to_string(),
            at: self.clock.now(),
        });
    }

    /// Starts a replica again, once its process has ended.
    pub async fn start_again(&self, replica: usize) -> anyhow::Result<()> {
        let replica = &self.replicas[replica];
        self.disturbances.cause(replica.process().pid());
        replica.restart().await?;
        self.started(replica);
        Ok(())
    }

    /// How much time has counted: as far as the processes got the CPU that they asked for.
    pub(crate) fn counted(&self) -> Duration {
        Duration::from_micros(self.counted.load(Ordering::Relaxed))
    }

    /// Waits for so long, as far as the processes get the CPU that they ask for; at most for `most`.
    pub async fn wait_counted(&self, span: Duration, most: Duration) {
        let end = tokio::time::Instant::now() + most;
        let from = self.counted();
        while self.counted() - from < span && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until all replicas are ready.
    pub async fn all_ready(&self) -> anyhow::Result<()> {
        for replica in &self.replicas {
            eventually(&format!("{} is ready", replica.name()), PATIENCE, || async {
                let (status, body) = test_cluster::get(replica.admin_addr(), "/ready").await?;
                anyhow::ensure!(status == 200, "{status}: {body}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}
