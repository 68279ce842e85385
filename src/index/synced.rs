//! Which facts are complete.

use crate::kinds::Kind;

/// Which facts are complete: listed since the last interruption of their watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Synced {
    /// By [`Kind`]; a kind that the cluster does not have is complete. One that is not keeps only its own
    /// objects from being decided.
    pub objects: [bool; Kind::ALL.len()],
    /// By [`Kind`]: whether it has been listed since the start, or could not be.
    pub tried: [bool; Kind::ALL.len()],
    pub services: bool,
    pub slices: bool,
    pub namespace: bool,
    /// No decision about weights needs these, so nobody waits for them; what is to be written to
    /// profiles does.
    pub profiles: bool,
    pub grants: bool,
}

impl Synced {
    /// Everything is complete.
    #[cfg(test)]
    pub(crate) const ALL: Self = Self {
        objects: [true; Kind::ALL.len()],
        tried: [true; Kind::ALL.len()],
        services: true,
        slices: true,
        namespace: true,
        profiles: true,
        grants: true,
    };

    /// Everything is complete that any decision needs, and every kind of object has been looked for.
    pub(crate) fn all(self) -> bool {
        self.lacking().is_empty()
    }

    /// What of that is not complete.
    pub(crate) fn lacking(self) -> Vec<&'static str> {
        let facts = [
            ("services", self.services),
            ("endpointslices", self.slices),
            ("the namespace", self.namespace),
        ];
        let kinds = Kind::ALL.map(|kind| (kind.plural(), self.tried[kind as usize]));
        let lacking = facts.into_iter().chain(kinds).filter(|(_, complete)| !complete);
        lacking.map(|(name, _)| name).collect()
    }
}
