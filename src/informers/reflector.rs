//! Reflects the events of one watch into the index.

use crate::index::order::Arrival;
use crate::index::shared_index::SharedIndex;
use crate::informers::resource_version;
use crate::informers::source::Source;
use crate::informers::watch_scope::WatchScope;
use crate::kinds::{ObjectKey, ObjectRef};
use kube::runtime::watcher::Event;
use std::collections::HashSet;

/// A source, the scope of its watch, and the index that its objects enter.
pub(super) struct Reflector<S> {
    pub source: S,
    pub scope: WatchScope,
    pub index: SharedIndex,
}

impl<S: Source> Reflector<S> {
    /// Enters an event. `listed` has the keys of the LIST so far.
    pub(super) fn handle(&self, listed: &mut HashSet<ObjectKey>, event: Event<S::Object>) {
        let Self { source, index, .. } = self;
        match event {
            Event::Init => {
                listed.clear();
                self.begin();
            }
            Event::InitApply(object) => {
                listed.insert(ObjectKey::of(&object));
                index.update(|index| source.apply(index, &object, Arrival::Listed));
            }
            Event::InitDone => {
                tracing::debug!(kind = source.resource().name(), count = listed.len(), "listed");
                self.allow();
                self.replace_all(&std::mem::take(listed), true);
            }
            Event::Apply(object) => {
                #[cfg(feature = "planted-faults")]
                if crate::planted_faults::drops_event(
                    source.resource().name(),
                    resource_version::of_object(&object),
                ) {
                    return;
                }
                index.update(|index| source.apply(index, &object, Arrival::Watched));
            }
            Event::Delete(object) => index.update(|index| {
                let (key, version) = (ObjectKey::of(&object), resource_version::of_object(&object));
                let order = source.order(index);
                let is_removed = order.is_none_or(|order| order.delete(&key, version));
                if is_removed { source.remove(index, &key) } else { vec![] }
            }),
        }
    }

    /// Begins the LIST: no answer past the watch enters before it is complete.
    pub(super) fn begin(&self) {
        self.index.update(|index| {
            if let Some(order) = self.source.order(index) {
                order.begin(self.scope.namespace());
            }
            vec![]
        });
    }

    /// Records that the resource may be read in this scope. If it could not before, all objects are
    /// reconciled.
    pub(super) fn allow(&self) {
        let Some(namespace) = self.scope.namespace() else { return };
        self.index.update(|index| {
            let is_news = index.forbidden.note(namespace, self.source.resource(), false);
            if is_news { index.object_refs() } else { vec![] }
        });
    }

    /// Records that the resource may not be read in a namespace.
    pub(super) fn forbid(&self, namespace: &str) {
        self.index.update(|index| {
            index.forbidden.note(namespace, self.source.resource(), true);
            vec![]
        });
    }

    /// Records that the facts are not complete until the next LIST.
    pub(super) fn interrupt(&self) {
        self.index.update(|index| {
            index.synced.set(self.source.resource(), self.scope.set_synced(false));
            index.synced.set_tried(self.source.resource());
            vec![]
        });
    }

    /// Records that this scope may not be read: what is known of it stays, and is not complete.
    pub(super) fn keep(&self) {
        self.interrupt();
        self.index.update(|index| {
            self.source.forbidden(index, &self.scope);
            vec![]
        });
    }

    /// Removes what a LIST does not have, and marks the resource as synced. All objects are reconciled: they
    /// are dropped from the queue while anything is not synced.
    pub(super) fn replace_all(&self, listed: &HashSet<ObjectKey>, kind_exists: bool) {
        let Self { source, scope, .. } = self;
        self.index.update(|index| {
            let keys = source.keys(index).into_iter().filter(|key| scope.covers(key));
            let gone: Vec<_> = keys.filter(|key| !listed.contains(key)).collect();
            let mut affected: Vec<ObjectRef> =
                gone.iter().flat_map(|key| source.remove(index, key)).collect();
            if let Some(order) = source.order(index) {
                order.complete(scope.namespace());
            }
            let no_profiles = index.no_profiles;
            source.listed(index, scope, kind_exists);
            index.synced.set_tried(source.resource());
            // Once the kind is there, profiles are written: also the first one.
            let same_kinds = index.no_profiles == no_profiles;
            let was_synced = index.synced.set(source.resource(), scope.set_synced(true));
            let nothing_new = was_synced && same_kinds && gone.is_empty() && listed.is_empty();
            if !nothing_new {
                affected.extend(index.object_refs());
            }
            affected
        });
    }
}
