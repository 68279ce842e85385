//! Gathers the facts, as the person who checks.

mod account;
mod certificates;
mod dry_runs;
mod objects;

use crate::checks::access::{self, Access};
use crate::checks::facts::{Asked, Facts, NotKnown};
use crate::informers::discovery;
use crate::kinds::Kind;
use crate::snapshot::{self, Area, Gap, Settings};
use futures::future::join_all;
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
        let known: Vec<Kind> = kinds.iter().flatten().map(|(kind, _)| *kind).collect();
        let (denied, install_denied, predecessors, pods, lease, bundles, account_denied, snapshot) = tokio::join!(
            self.denied(&known),
            self.install_denied(),
            objects::predecessors(client),
            self.pods(),
            objects::lease(client, settings),
            certificates::bundles(client, settings),
            account::denied(client, settings, self.deployment.as_ref(), &known),
            self.snapshot(),
        );
        let (pods, leaves) = pods;
        let dry_runs = match &snapshot {
            Ok(snapshot) if self.deployment.is_some() && settings.rules.is_some() => {
                dry_runs::make(client, settings, snapshot).await
            }
            _ => None,
        };
        let served = kinds
            .map(|kinds| kinds.iter().map(|(kind, version)| format!("{kind} {version}")).collect());
        let number = |text: &str| text.trim_end_matches('+').parse().unwrap_or_default();
        Ok(Facts {
            now: Timestamp::now(),
            kubernetes: (number(&version.major), number(&version.minor)),
            kinds: served,
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
            bundles,
            leaves,
            snapshot,
            rows: OnceCell::new(),
        })
    }

    /// The pods of the program, and the ends of the certificates that they serve.
    async fn pods(&self) -> (Asked<Vec<Pod>>, Asked<Vec<(String, Timestamp)>>) {
        let pods = objects::pods(&self.client, &self.settings).await;
        let leaves = certificates::leaves(&self.client, &self.settings, &pods).await;
        (pods, leaves)
    }

    async fn snapshot(&self) -> Asked<snapshot::Snapshot> {
        if self.is_before {
            return Err(NotKnown::Forbidden);
        }
        let taken = snapshot::take(&self.client, &self.settings, self.area.clone()).await;
        let mut taken = taken.map_err(|error| NotKnown::Failed(format!("{error:#}")))?;
        taken.gaps.extend(self.gaps.iter().cloned());
        Ok(taken)
    }

    async fn denied(&self, kinds: &[Kind]) -> Vec<Access> {
        let namespace = match &self.area {
            Area::Namespace(namespace) => Some(namespace.as_str()),
            Area::All => None,
        };
        match self.is_before {
            true => vec![],
            false => {
                denied(&self.client, access::of_checks(&self.settings, kinds, namespace)).await
            }
        }
    }

    async fn install_denied(&self) -> Vec<Access> {
        match self.is_before {
            true => denied(&self.client, access::of_install(&self.settings)).await,
            false => vec![],
        }
    }
}

/// What the person may not do of these.
async fn denied(client: &Client, needed: Vec<Access>) -> Vec<Access> {
    let asked = needed.into_iter().map(async |access| {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(access.attributes()),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await;
        let is_allowed = answer.ok().and_then(|answer| answer.status).is_none_or(|s| s.allowed);
        (!is_allowed).then_some(access)
    });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn served_kinds(client: &Client) -> Asked<Vec<(Kind, &'static str)>> {
    let served = Kind::ALL.map(async |kind| {
        let version = discovery::served_kind(client, kind).await;
        version.map(|version| version.map(|version| (kind, version)))
    });
    let served: kube::Result<Vec<_>> = join_all(served).await.into_iter().collect();
    Ok(served.map_err(|error| not_known(&error))?.into_iter().flatten().collect())
}

fn not_known(error: &kube::Error) -> NotKnown {
    match error {
        kube::Error::Api(status) if status.code == 403 => NotKnown::Forbidden,
        other => NotKnown::Failed(other.to_string()),
    }
}
