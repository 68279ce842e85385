//! Gathers the facts, as the person who checks.

mod account;
mod dry_runs;
mod metrics;
mod objects;
mod webhooks;

use crate::checks::access::{self, Access, Needed};
use crate::checks::facts::{Asked, Facts, NotKnown, ReplicaMetrics, ServedKind};
use crate::informers::discovery;
use crate::kinds::Kind;
use crate::snapshot::{self, Area, Gap, Settings};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, Client};
use std::cell::OnceCell;

/// What is checked, and by whom.
pub(crate) struct Gathering {
    pub client: Client,
    /// The installation that was found; none: there is none.
    pub deployment: Option<Deployment>,
    /// Whether Deployments may be read at all.
    pub knows_deployment: bool,
    pub settings: Settings,
    /// What could not be read of the installation.
    pub gaps: Vec<Gap>,
    pub area: Area,
    /// Before the installation.
    pub is_before: bool,
}

impl Gathering {
    /// All facts; an error where the API server does not answer at all.
    pub(crate) async fn gather(&self) -> kube::Result<Facts> {
        let (client, settings) = (&self.client, &self.settings);
        let version = client.apiserver_version().await?;
        let kinds = served_kinds(client).await;
        let served = kinds.iter().flatten().filter(|served| served.version.is_some());
        let known: Vec<Kind> = served.map(|served| served.kind).collect();
        let (denied, install_denied, predecessors, pods, lease, webhooks, account_denied, snapshot) = tokio::join!(
            self.denied(),
            self.install_denied(),
            objects::predecessors(client),
            self.pods(),
            objects::lease(client, settings),
            webhooks::get(client, settings),
            account::denied(client, settings, self.deployment.as_ref(), &known),
            self.snapshot(),
        );
        let (pods, metrics) = pods;
        let dry_runs = match &snapshot {
            Ok(snapshot) if self.deployment.is_some() && settings.rules.is_some() => {
                // Where they may not be read, the dry runs tell whether they are asked.
                let webhooks = webhooks.clone().unwrap_or_default();
                Some(dry_runs::make(client, settings, snapshot, &webhooks).await)
            }
            _ => None,
        };
        let number = |text: &str| text.trim_end_matches('+').parse().unwrap_or_default();
        Ok(Facts {
            now: Timestamp::now(),
            kubernetes: (number(&version.major), number(&version.minor)),
            kinds,
            denied,
            install_denied,
            deployment: self.deployment.clone(),
            knows_deployment: self.knows_deployment,
            settings: settings.clone(),
            predecessors,
            pods,
            lease,
            account_denied,
            dry_runs,
            bundles: webhooks.map(|webhooks| webhooks.bundles()),
            metrics,
            snapshot,
            rows: OnceCell::new(),
        })
    }

    /// The pods of the program, and what their metrics tell.
    async fn pods(&self) -> (Asked<Vec<Pod>>, Vec<(String, Asked<ReplicaMetrics>)>) {
        let pods = objects::pods(&self.client, &self.settings).await;
        let metrics = metrics::of_replicas(&self.client, &self.settings, &pods).await;
        (pods, metrics)
    }

    async fn snapshot(&self) -> Asked<snapshot::Snapshot> {
        if self.is_before {
            return Err(NotKnown::Forbidden);
        }
        let taken = snapshot::take(&self.client, &self.settings, self.area.clone()).await;
        let mut taken = taken.map_err(|error| NotKnown::Failed(format!("{error:#}")))?;
        taken.gaps.extend(self.gaps.iter().cloned());
        if !self.area.is_managed(&self.settings) {
            let what = format!("{} is no part of this installation", self.area);
            taken.gaps.push(Gap::new(what, "nothing in it fails over"));
        }
        Ok(taken)
    }

    async fn denied(&self) -> Vec<Needed> {
        let needed = if self.is_before { vec![] } else { access::of_checks(&self.settings) };
        denied(&self.client, needed, |needed| &needed.access).await
    }

    async fn install_denied(&self) -> Vec<Access> {
        let needed = if self.is_before { access::of_install(&self.settings) } else { vec![] };
        denied(&self.client, needed, |access| access).await
    }
}

/// So many reviews of rights are asked for at once.
const REVIEWS: usize = 16;

/// What the person may not do of these.
async fn denied<T>(
    client: &Client,
    needed: Vec<T>,
    access: impl Fn(&T) -> &Access + Copy,
) -> Vec<T> {
    let asked = needed.into_iter().map(async |needed| {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(access(&needed).attributes()),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await;
        let is_allowed = answer.ok().and_then(|answer| answer.status).is_none_or(|s| s.allowed);
        (!is_allowed).then_some(needed)
    });
    let denied: Vec<Option<T>> = stream::iter(asked).buffered(REVIEWS).collect().await;
    denied.into_iter().flatten().collect()
}

async fn served_kinds(client: &Client) -> Asked<Vec<ServedKind>> {
    let served = Kind::ALL.map(async |kind| {
        let version = discovery::served_kind(client, kind).await?;
        let others = match version {
            Some(_) => vec![],
            None => discovery::other_versions(client, kind).await?,
        };
        Ok(ServedKind { kind, version, others })
    });
    let served: kube::Result<Vec<_>> = join_all(served).await.into_iter().collect();
    served.map_err(|error| not_known(&error))
}

fn not_known(error: &kube::Error) -> NotKnown {
    match error {
        kube::Error::Api(status) if status.code == 403 => NotKnown::Forbidden,
        other => NotKnown::Failed(other.to_string()),
    }
}
