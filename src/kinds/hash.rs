//! Hashes that stand for larger values in the index. They are not stored.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};

/// The hash of a value: the same for the same value within a process.
pub(crate) fn hash_of(value: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// A map whose keys are such hashes, which need not be hashed again.
pub(crate) type HashedMap<V> = HashMap<u64, V, BuildHasherDefault<AlreadyHashed>>;

#[derive(Default)]
pub(crate) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_of(bytes);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
