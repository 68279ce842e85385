//! Hashes that stand for larger values in the index. They are not stored.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

/// The hash of a value: the same for the same value within a process.
pub(crate) fn hash_of(value: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}
