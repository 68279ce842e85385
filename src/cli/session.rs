//! What every command of people begins with: a cluster, a namespace, and the installation there.

use crate::cli::deployment::{ReadSettings, defaults, settings_of};
use crate::cli::failure::Failure;
use crate::cli::kubernetes::ClusterArgs;
use crate::cli::object_name::ObjectName;
use crate::client::cluster::ClusterSelection;
use crate::client::plain_client;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::snapshot::{self, Area, Gap, Settings, Snapshot};
use anyhow::Context;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::{Api, Client, Config, ResourceExt};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// By which an installation's Deployment is found.
const LABELS: &str = "linkerd.io/extension=failover,app.kubernetes.io/name=linkerd-failover";

/// The chart's namespace and name.
const DEFAULT: &str = "linkerd-failover";

/// Shorter than what kube waits: a person does.
const CONNECT: Duration = Duration::from_secs(5);
const READ: Duration = Duration::from_secs(30);

/// Selects a cluster, a user, the namespace of objects, and the installation.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct SessionArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Namespace of the objects [default: that of the context]
    #[arg(long, short)]
    pub namespace: Option<String>,
    /// All namespaces
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Deployment of linkerd-failover, where there are several
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub installation: Option<String>,
}

/// A connection to the cluster, and what it has of this program.
pub(super) struct Session {
    pub client: Client,
    /// What the command looks at.
    pub area: Area,
    pub installed: Installed,
}

/// The installation in the cluster.
#[derive(Clone, Debug)]
pub(super) struct Installed {
    /// The settings of its controller; the chart's where nothing is installed, or it may not be read.
    pub settings: Settings,
    /// None where nothing is installed, or it may not be read.
    pub deployment: Option<Deployment>,
    /// Whether Deployments may be read at all.
    pub is_known: bool,
    pub gaps: Vec<Gap>,
}

impl SessionArgs {
    /// Connects, and finds the installation.
    pub(super) async fn connect(self) -> Result<Session, Failure> {
        let Self { cluster, namespace, all_namespaces, installation } = self;
        let (client, default) = connect(cluster).await?;
        let area = match all_namespaces {
            true => Area::All,
            false => Area::Namespace(namespace.unwrap_or(default)),
        };
        let installed = find(&client, installation.as_deref()).await?;
        Ok(Session { client, area, installed })
    }
}

/// A client of the cluster, and the namespace of the context.
pub(super) async fn connect(cluster: ClusterArgs) -> Result<(Client, String), Failure> {
    let selection = ClusterSelection::from(cluster);
    let none = |error: anyhow::Error| Failure::of_configuration(&error);
    let mut config = selection.config().await.map_err(none)?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    let namespace = config.default_namespace.clone();
    let server = config.cluster_url.to_string();
    let client = client_of(config).await.map_err(none)?;
    // One answer for all requests that follow.
    let about = format!("the cluster at {server}");
    client.apiserver_version().await.map_err(|error| Failure::of_request(about, &error))?;
    Ok((client, namespace))
}

/// A client; the credential plugin of a kubeconfig runs meanwhile, and may never end. Nothing waits for its thread
/// once the command has ended.
async fn client_of(config: Config) -> anyhow::Result<Client> {
    let (send, connected) = oneshot::channel();
    let runtime = Handle::current();
    std::thread::spawn(move || {
        let _entered = runtime.enter();
        // Nobody receives it where the command has ended.
        let _ = send.send(plain_client::connect(config));
    });
    connected.await.context("a defect of this program, which standard error shows")?
}

impl Session {
    /// Everything that the controller watches in the area, as far as the person may list it.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, Failure> {
        self.snapshot_of(self.area.clone()).await
    }

    /// The same of another area.
    pub(super) async fn snapshot_of(&self, area: Area) -> Result<Snapshot, Failure> {
        let Installed { settings, gaps, .. } = &self.installed;
        if !area.is_managed(settings) {
            let managed = settings.watch.namespaces.join(", ");
            return Err(Failure::of(&area, "no part of this installation")
                .expected(format!("one of the namespaces that it manages: {managed}"))
                .next("choose one by -n, or -A for all of them"));
        }
        let mut snapshot = snapshot::take(&self.client, settings, area).await.map_err(|error| {
            Failure::of("the cluster", format!("{error:#}"))
                .expected("all that decisions need")
                .next("try again")
        })?;
        snapshot.gaps.extend(gaps.iter().cloned());
        Ok(snapshot)
    }

    /// The object of a name, in the namespace that the person looks at.
    pub(super) fn object(&self, name: &ObjectName) -> Result<ObjectRef, Failure> {
        match &self.area {
            Area::Namespace(namespace) => Ok(name.within(namespace)),
            Area::All => Err(Failure::of(format!("{}/{}", name.kind, name.name), "-A beside it")
                .expected("one namespace")
                .next("name it by -n")),
        }
    }

    /// Why an object is none that is managed.
    pub(super) async fn why_unmanaged(&self, snapshot: &Snapshot, object: &ObjectRef) -> Failure {
        let mut gaps = snapshot.gaps.iter();
        if let Some(gap) = gaps.find(|gap| gap.kind == Some(object.kind)) {
            return Failure::of(object, format!("that {}", gap.what))
                .expected("a kind that you may list")
                .next("ask for the rights, or choose another user by --as or --context");
        }
        let Some(version) = snapshot.index.served(object.kind) else {
            return Failure::of(object, format!("no {} in this cluster", object.kind.resource()))
                .expected("a kind that the cluster serves, and that you may list");
        };
        let resource = object.kind.api_resource(version);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), object.namespace(), &resource);
        let selector = self.installed.settings.watch.selector.as_str();
        match api.get_opt(object.name()).await {
            Ok(None) => Failure::of(object, "no such object").expected("the name of one").next(
                format!("see `kubectl get {} -n {}`", object.kind.resource(), object.namespace()),
            ),
            Ok(Some(found)) => {
                let labels: Vec<String> =
                    found.labels().iter().map(|(name, value)| format!("{name}={value}")).collect();
                let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(",") };
                Failure::of(object, format!("an object that is not managed (its labels: {labels})"))
                    .expected(format!("labels that match {selector}"))
                    .next(label_line(object, selector))
            }
            Err(error) => Failure::of_request(object, &error),
        }
    }
}

/// The line that has an object managed, where the selector is one label.
fn label_line(object: &ObjectRef, selector: &str) -> String {
    let (kind, key) = (object.kind.resource(), &object.key);
    let label = match selector.split_once('=') {
        _ if selector.contains([',', '!', ' ', '(']) => {
            return "add them, and it fails over".to_owned();
        }
        Some((name, value)) => {
            format!("{}={}", name.trim_end_matches('='), value.trim_start_matches('='))
        }
        None => format!("{selector}=linkerd-failover"),
    };
    format!("kubectl label {kind} -n {} {} {label}", key.namespace, key.name)
}

/// Finds the installation: the named one, or the only one that there is.
pub(super) async fn find(client: &Client, wanted: Option<&str>) -> Result<Installed, Failure> {
    if let Some(wanted) = wanted {
        let (namespace, name) = wanted.split_once('/').unwrap_or((DEFAULT, wanted));
        return get(client, namespace, name).await;
    }
    let all: Api<Deployment> = Api::all(client.clone());
    match all.list(&ListParams::default().labels(LABELS)).await {
        Ok(list) => only(list.items),
        // In the chart's namespace it may be readable all the same.
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let found = get(client, DEFAULT, DEFAULT).await;
            found.or_else(|_| Installed::unreadable("Deployments may not be listed"))
        }
        Err(error) => Err(Failure::of_request("Deployments", &error)),
    }
}

async fn get(client: &Client, namespace: &str, name: &str) -> Result<Installed, Failure> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let about = format!("Deployment {namespace}/{name}");
    match api.get_opt(name).await {
        Ok(Some(deployment)) => of_deployment(deployment).unwrap_or_else(|| Err(foreign(&about))),
        Ok(None) => Err(Failure::of(about, "none")
            .expected("that of linkerd-failover")
            .next(format!("see `kubectl get deployments -A -l {LABELS}`"))),
        Err(error) => Err(Failure::of_request(about, &error)),
    }
}

fn foreign(about: &str) -> Failure {
    Failure::of(about, "another program")
        .expected("a container with `controller` as first argument")
}

fn only(deployments: Vec<Deployment>) -> Result<Installed, Failure> {
    let mut ours: Vec<_> = deployments.into_iter().filter(|d| settings_of(d).is_some()).collect();
    if ours.len() > 1 {
        let names: Vec<String> = ours.iter().map(|d| ObjectKey::of(d).to_string()).collect();
        return Err(Failure::of("this cluster", format!("{} installations", ours.len()))
            .expected("one, or --installation")
            .next(format!("name one of {}", names.join(", "))));
    }
    let only = ours.pop().and_then(of_deployment);
    only.unwrap_or_else(Installed::none)
}

/// None where it runs something else.
fn of_deployment(deployment: Deployment) -> Option<Result<Installed, Failure>> {
    let about = format!("Deployment {}", ObjectKey::of(&deployment));
    let read = settings_of(&deployment)?;
    Some(
        read.map_err(|error| {
            let why = error.to_string();
            let first =
                why.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Failure::of(&about, format!("arguments that cannot be read ({first})"))
                .expected("those of linkerd-failover controller")
                .next("use the version of this program that is installed")
        })
        .map(|ReadSettings { mut settings, unknown }| {
            settings.installation.namespace = deployment.namespace().unwrap_or_default();
            let what =
                || format!("the arguments {} of {about} are of another version", unknown.join(" "));
            let gap =
                (!unknown.is_empty()).then(|| Gap::new(what(), "what they change is not known"));
            Installed {
                settings,
                deployment: Some(deployment),
                is_known: true,
                gaps: gap.into_iter().collect(),
            }
        }),
    )
}

impl Installed {
    /// Nothing is installed: what the chart would set.
    fn none() -> Result<Self, Failure> {
        let settings = defaults().map_err(|error| Failure::of("the defaults", error))?;
        Ok(Self { settings, deployment: None, is_known: true, gaps: vec![] })
    }

    fn unreadable(why: &str) -> Result<Self, Failure> {
        let unknown = "its settings are not known, and the chart's defaults are assumed";
        let gap = Gap::forbidden(format!("the installation of linkerd-failover: {why}"), unknown);
        Ok(Self { gaps: vec![gap], is_known: false, ..Self::none()? })
    }
}
