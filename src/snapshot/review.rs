//! Reviews of the objects of a snapshot, as the webhook would make them.

use crate::admission::view::{FactSource, LiveLookups, Lookup, Rules, SeenServices, View};
use crate::engine::{Defaults, Identity};
use crate::index::resource::WatchedResource;
use crate::kinds::ObjectRef;
use crate::snapshot::settings::Settings;
use crate::snapshot::take::Snapshot;
use std::sync::LazyLock;

static NOBODY: LazyLock<Identity> = LazyLock::new(|| Identity::new("linkerd-failover"));

impl Snapshot {
    /// The Services that an object names and that are not there: everything has been listed.
    pub(crate) fn lookups(&self, object: &ObjectRef) -> LiveLookups {
        let Some(managed) = self.index.object(object) else { return LiveLookups::new() };
        let knows = self.index.synced.has(WatchedResource::Services);
        let lookup = |name: &str| {
            let key = object.beside(name);
            let is_there = self.index.service(&key).is_some();
            let is_seen = knows
                && self.index.watches(&key.namespace)
                && !self.index.forbidden.has(&key.namespace);
            let lookup = if is_seen { Lookup::Missing } else { Lookup::NotKnown };
            (!is_there).then(|| (name.to_owned(), lookup))
        };
        managed.services().into_iter().filter_map(lookup).collect()
    }

    /// The cluster as a rule of admission sees it during a review of an object.
    pub(crate) fn view<'a>(
        &'a self,
        object: &'a ObjectRef,
        looked_up: &'a LiveLookups,
        rules: &'a Rules,
        settings: &'a Settings,
    ) -> View<'a> {
        View {
            facts: FactSource::Owned(&self.index),
            looked_up,
            selector: &settings.watch.selector,
            kind: object.kind,
            takes_text: true,
            namespace: object.namespace(),
            rules,
            defaults: Defaults {
                namespace_protection: self.index.namespace_default(object.namespace()),
                ..settings.watch.defaults
            },
            manager: None,
            dry_run: true,
            me: &NOBODY,
            now: self.now,
            services: SeenServices::default(),
        }
    }
}
