//! The API server of a simulated cluster: every change has a version, and etcd may be restored.

use std::collections::BTreeSet;

/// The content of an object, after the version that it has.
pub(crate) type Stored<T> = (u64, T);

/// One change in the history: none where the object was deleted.
#[derive(Clone, Debug)]
pub(crate) struct Change<K, T> {
    pub key: K,
    pub content: Option<T>,
}

/// A write was based on another version than the object has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conflict;

/// All objects, as a history of changes. The version of a change is its place there, from 1 on.
#[derive(Clone, Debug)]
pub(crate) struct ApiServer<K, T> {
    history: Vec<Change<K, T>>,
    incarnation: u32,
}

impl<K, T> Default for ApiServer<K, T> {
    fn default() -> Self {
        Self { history: vec![], incarnation: 0 }
    }
}

impl<K: Clone + Ord, T: Clone> ApiServer<K, T> {
    /// The version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.history.len() as u64
    }

    /// Grows whenever etcd is restored: a connection from before is worth nothing.
    pub(crate) fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// The change after this version.
    pub(crate) fn change_after(&self, version: u64) -> Option<(u64, Change<K, T>)> {
        let change = self.history.get(usize::try_from(version).unwrap())?;
        Some((version + 1, change.clone()))
    }

    pub(crate) fn get(&self, key: &K) -> Option<Stored<T>> {
        self.get_at(key, self.version())
    }

    /// An object as it was at this version of the server.
    pub(crate) fn get_at(&self, key: &K, version: u64) -> Option<Stored<T>> {
        let history = &self.history[..usize::try_from(version).unwrap()];
        let last = history.iter().rposition(|change| change.key == *key)?;
        Some((last as u64 + 1, history[last].content.clone()?))
    }

    /// All that there is, in the order of the keys.
    pub(crate) fn list(&self) -> Vec<(K, Stored<T>)> {
        let keys: BTreeSet<&K> = self.history.iter().map(|change| &change.key).collect();
        keys.into_iter().filter_map(|key| Some((key.clone(), self.get(key)?))).collect()
    }

    /// Creates an object, or replaces it whatever it is. Returns its version.
    pub(crate) fn put(&mut self, key: K, content: T) -> u64 {
        self.history.push(Change { key, content: Some(content) });
        self.version()
    }

    /// Writes on the version that the writer knows.
    pub(crate) fn update(&mut self, key: K, on: u64, content: T) -> Result<u64, Conflict> {
        match self.get(&key) {
            Some((version, _)) if version == on => Ok(self.put(key, content)),
            _ => Err(Conflict),
        }
    }

    /// Deletes an object. Returns the version of its deletion, where it was there.
    pub(crate) fn delete(&mut self, key: K) -> Option<u64> {
        self.get(&key)?;
        self.history.push(Change { key, content: None });
        Some(self.version())
    }

    /// etcd is restored from a snapshot of this version: what came later is lost, and the numbers
    /// come again.
    pub(crate) fn restore(&mut self, version: u64) {
        self.history.truncate(usize::try_from(version).unwrap());
        self.incarnation += 1;
    }
}
