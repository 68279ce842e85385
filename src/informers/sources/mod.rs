//! The informers of this cluster: an implementation of
//! [`Source`](crate::informers::source::Source) a file, and a line in [`watch_all`].

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
use crate::informers::sources::grants::GrantSource;
use crate::informers::sources::namespaces::NamespaceSource;
use crate::informers::sources::objects::ObjectSource;
use crate::informers::sources::own_namespace::OwnNamespaceSource;
use crate::informers::sources::profiles::ProfileSource;
use crate::informers::sources::services::ServiceSource;
use crate::informers::sources::slices::SliceSource;
use crate::informers::watch::{watch, watch_each};
use crate::informers::watch_scope::WatchScope;
use crate::kinds::Kind;
use crate::kinds::selector::LabelSelector;
use futures::future::join_all;
use kube::Client;

/// What to watch, and how to read it.
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

/// Watches everything that decisions need, until dropped.
pub(crate) async fn watch_all(client: Client, settings: WatchSettings, index: SharedIndex) {
    index.update(|index| {
        index.namespaces = settings.namespaces.clone();
        index.writes_profiles = settings.writes_profiles;
        vec![]
    });
    let (client, settings, index) = (&client, &settings, &index);
    let namespaces = &settings.namespaces;
    let objects = Kind::ALL.map(|kind| {
        let WatchSettings { selector, defaults, .. } = settings;
        let source =
            move |scope: &WatchScope| ObjectSource::new(kind, client, scope, selector, *defaults);
        watch_each(namespaces, source, index)
    });
    let profiles = async {
        if settings.warns || settings.writes_profiles {
            watch_each(namespaces, |scope| ProfileSource::new(client, scope), index).await;
        }
    };
    let grants = async {
        if settings.warns {
            watch_each(namespaces, |scope| GrantSource::new(client, scope), index).await;
        }
    };
    let own_namespace = OwnNamespaceSource::new(client, &settings.namespace);
    tokio::join!(
        join_all(objects),
        watch_each(namespaces, |scope| ServiceSource::new(client, scope), index),
        watch_each(namespaces, |scope| SliceSource::new(client, scope, settings.families), index),
        profiles,
        grants,
        watch_each(namespaces, |scope| NamespaceSource::new(client, scope), index),
        watch(own_namespace, WatchScope::everything(), index.clone())
    );
}
