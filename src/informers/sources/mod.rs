//! The informers of this cluster: an implementation of
//! [`Source`] a file, and a line in [`follow_all`].

mod grants;
mod namespaces;
pub(super) mod objects;
mod own_namespace;
mod profiles;
pub(super) mod services;
pub(super) mod slices;

use crate::engine::Defaults;
use crate::index::endpoints::AddressFamilies;
use crate::index::shared_index::SharedIndex;
use crate::informers::source::Source;
use crate::informers::sources::grants::GrantSource;
use crate::informers::sources::namespaces::NamespaceSource;
use crate::informers::sources::objects::ObjectSource;
use crate::informers::sources::own_namespace::OwnNamespaceSource;
use crate::informers::sources::profiles::ProfileSource;
use crate::informers::sources::services::ServiceSource;
use crate::informers::sources::slices::SliceSource;
use crate::informers::watch::watch;
use crate::informers::watch_scope::WatchScope;
use crate::kinds::Kind;
use crate::kinds::selector::LabelSelector;
use crate::telemetry::WatchMetrics;
use futures::future::join_all;
use kube::Client;

/// What to watch, and how to read it.
#[derive(Clone, Debug)]
pub(crate) struct WatchSettings {
    pub selector: LabelSelector,
    pub families: AddressFamilies,
    pub defaults: Defaults,
    /// The namespace of the program.
    pub namespace: String,
    /// Where objects are managed; empty: everywhere.
    pub namespaces: Vec<String>,
    /// Whether to watch what only the warnings of the webhook need.
    pub warns: bool,
    /// Whether ServiceProfiles are written.
    pub writes_profiles: bool,
}

/// What is done with an informer of one scope: it is watched, or listed once.
pub(crate) trait Follow: Sync {
    fn follow<S: Source>(&self, source: S, scope: WatchScope) -> impl Future<Output = ()> + Send;
}

/// Watches everything that decisions need, until dropped.
pub(crate) async fn watch_all(
    client: Client,
    settings: WatchSettings,
    index: SharedIndex,
    watches: WatchMetrics,
) {
    index.update(|index| {
        index.namespaces = settings.namespaces.clone();
        index.writes_profiles = settings.writes_profiles;
        vec![]
    });
    follow_all(&client, &settings, &Watched { index, watches }).await;
}

/// Watches, until dropped.
struct Watched {
    index: SharedIndex,
    watches: WatchMetrics,
}

impl Follow for Watched {
    async fn follow<S: Source>(&self, source: S, scope: WatchScope) {
        watch(source, scope, self.index.clone(), self.watches.clone()).await;
    }
}

/// Follows every informer of this cluster.
pub(crate) async fn follow_all(client: &Client, settings: &WatchSettings, all: &impl Follow) {
    let namespaces = &settings.namespaces;
    let objects = Kind::ALL.map(|kind| {
        let WatchSettings { selector, defaults, .. } = settings;
        let source =
            move |scope: &WatchScope| ObjectSource::new(kind, client, scope, selector, *defaults);
        follow_each(namespaces, source, all)
    });
    let profiles = async {
        if settings.warns || settings.writes_profiles {
            follow_each(namespaces, |scope| ProfileSource::new(client, scope), all).await;
        }
    };
    let grants = async {
        if settings.warns {
            follow_each(namespaces, |scope| GrantSource::new(client, scope), all).await;
        }
    };
    let slices = |scope: &WatchScope| SliceSource::new(client, scope, settings.families);
    let own_namespace = OwnNamespaceSource::new(client, &settings.namespace);
    tokio::join!(
        join_all(objects),
        follow_each(namespaces, |scope| ServiceSource::new(client, scope), all),
        follow_each(namespaces, slices, all),
        profiles,
        grants,
        follow_each(namespaces, |scope| NamespaceSource::new(client, scope), all),
        all.follow(own_namespace, WatchScope::everything())
    );
}

/// Follows a kind in each of the namespaces on its own; without any, in the cluster.
async fn follow_each<S: Source>(
    namespaces: &[String],
    source: impl Fn(&WatchScope) -> S,
    all: &impl Follow,
) {
    let scopes = WatchScope::each(namespaces).into_iter();
    join_all(scopes.map(|scope| all.follow(source(&scope), scope))).await;
}
