//! The ports of the Services that clients call: a split names none, a route must.

use crate::client::causes::with_causes;
use crate::client::cluster::ClusterSelection;
use crate::client::plain_client;
use crate::engine::Problem;
use crate::kinds::{ObjectKey, brief};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use kube::{Api, Client};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Of a request to the cluster.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Where ports come from: the flag, else the input, else the cluster.
#[derive(Default)]
pub(crate) struct ServicePortLookup {
    flag: Vec<u16>,
    input: BTreeMap<ObjectKey, Service>,
    cluster: Cluster,
}

/// Connected to once, when the first Service has to be looked up.
#[derive(Default)]
enum Cluster {
    #[default]
    None,
    Selected(ClusterSelection),
    /// A client with its default namespace.
    Connected(Result<(Client, String), Arc<anyhow::Error>>),
}

/// Why a Service was not found in the cluster.
#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error("no cluster is asked")]
    NoCluster,
    /// There is no client for it.
    #[error("{}", with_causes(.0.as_ref().as_ref()))]
    NoClient(Arc<anyhow::Error>),
    #[error("the cluster says: {}", brief(.0))]
    Status(kube::Error),
    /// With its causes: a proxy, say, is what a person can mend.
    #[error("the cluster cannot be asked: {}", with_causes(.0.as_ref()))]
    Request(anyhow::Error),
    #[error("the cluster did not answer within {0:?}")]
    NoAnswer(Duration),
}

impl ServicePortLookup {
    /// Without a cluster, only the flag and the input count.
    pub(crate) fn new(flag: &[u16], cluster: Option<ClusterSelection>) -> Self {
        let mut ports = vec![];
        for port in flag {
            if !ports.contains(port) {
                ports.push(*port);
            }
        }
        let cluster = cluster.map_or(Cluster::None, Cluster::Selected);
        Self { flag: ports, input: BTreeMap::new(), cluster }
    }

    /// Adds a Service of the input.
    pub(crate) fn insert(&mut self, key: ObjectKey, service: Service) {
        self.input.insert(key, service);
    }

    /// The ports of the apex.
    pub(crate) async fn of(&mut self, apex: &ObjectKey) -> Result<Vec<u16>, Problem> {
        if !self.flag.is_empty() {
            return Ok(self.flag.clone());
        }
        if let Some(service) = self.input.get(apex) {
            return of_service(apex, service);
        }
        match self.cluster.get(apex).await {
            Ok(service) => of_service(apex, &service),
            Err(why) => Err(problem(apex, "whose ports are not known")
                .expected("a Service of the input or the cluster, for its ports")
                .next(format!("give --port, or the manifest of the Service too ({why})"))),
        }
    }
}

impl Cluster {
    async fn get(&mut self, key: &ObjectKey) -> Result<Service, LookupError> {
        if let Self::Selected(cluster) = self {
            *self = Self::Connected(connect(std::mem::take(cluster)).await.map_err(Arc::new));
        }
        let Self::Connected(connected) = self else { return Err(LookupError::NoCluster) };
        let (client, namespace) =
            connected.as_ref().map_err(|error| LookupError::NoClient(error.clone()))?;
        let namespace = if key.namespace.is_empty() { namespace } else { &*key.namespace };
        let api: Api<Service> = Api::namespaced(client.clone(), namespace);
        match tokio::time::timeout(TIMEOUT, api.get(&key.name)).await {
            Ok(Ok(service)) => Ok(service),
            Ok(Err(error @ kube::Error::Api(_))) => Err(LookupError::Status(error)),
            Ok(Err(error)) => Err(LookupError::Request(error.into())),
            Err(_) => Err(LookupError::NoAnswer(TIMEOUT)),
        }
    }
}

async fn connect(cluster: ClusterSelection) -> anyhow::Result<(Client, String)> {
    let config = cluster.config().await?;
    let namespace = config.default_namespace.clone();
    Ok((plain_client::connect(config)?, namespace))
}

/// The TCP ports of a Service that a route can have as its parent.
fn of_service(key: &ObjectKey, service: &Service) -> Result<Vec<u16>, Problem> {
    let nothing = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&nothing);
    let unfit = |what: &str| {
        Err(problem(key, what)
            .expected("a Service with a ClusterIP: Linkerd takes no other as a route's parent"))
    };
    if spec.type_.as_deref() == Some("ExternalName") {
        return unfit("which is of type ExternalName");
    }
    if spec.cluster_ip.as_deref() == Some("None") {
        return unfit("which is headless");
    }
    let ports = spec.ports.iter().flatten();
    let tcp = ports.filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    let ports: Vec<u16> = tcp.filter_map(|port| u16::try_from(port.port).ok()).collect();
    if ports.is_empty() {
        return Err(problem(key, "which has no TCP port")
            .expected("the port that clients use")
            .next("give --port"));
    }
    Ok(ports)
}

fn problem(key: &ObjectKey, what: &str) -> Problem {
    Problem::error("spec.service").found(format!("{}, {what}", key.name))
}
