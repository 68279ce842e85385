//! The primary of a set of backends whose author named none.

use crate::engine::{
    BySet, Declaration, DeclaredBackend, DeclaredSet, Fault, SetState, State, Weights,
};
use std::collections::BTreeSet;

/// The primary of a set whose author named none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DefaultPrimary {
    Is(String),
    /// Several of its backends have weight, or none, or it cannot be read, and it did not fail over until
    /// now: it is not known which its author prefers, and an upgrade moves nothing.
    Ambiguous,
    /// A rule with one backend: there is nowhere to go.
    Alone,
}

/// What an object records of the defaults of its sets.
pub(super) struct DefaultPrimaries<'a> {
    state: Option<&'a State>,
    recorded: Option<&'a BySet<Weights>>,
    /// The first backend of all.
    first: Option<String>,
    /// Which sets fail over is recorded, set by set. An earlier version had one primary for all
    /// rules, the first backend of all, and did not manage rules without it.
    by_set: bool,
}

impl<'a> DefaultPrimaries<'a> {
    pub(super) fn new(declared: &'a Declaration) -> Self {
        let state = declared.state();
        let known = |set: &DeclaredSet| state.and_then(|state| state.sets.get(&set.name));
        let remembers =
            |set: &DeclaredSet| !set.is_alone() && known(set).is_some_and(|k| k.primary.is_some());
        // A record is only asked about rules that have no state.
        let is_asked = |set: &DeclaredSet| !set.name.is_empty() && known(set).is_none();
        let recorded = declared.sets.iter().any(is_asked).then(|| declared.recorded()).flatten();
        Self {
            by_set: declared.sets.iter().any(remembers),
            recorded,
            first: declared.backends().next().map(|b| b.name.clone()),
            state,
        }
    }

    /// The primary of a set whose author named none: its first backend, as long as it is the one
    /// that was first when that was decided, and never another one while traffic is off it.
    pub(super) fn primary(&self, set: &DeclaredSet) -> DefaultPrimary {
        let Some(first) = set.backends.first().map(|b| b.name.clone()) else {
            return DefaultPrimary::Alone;
        };
        if set.is_alone() {
            // That the object is read at all, where every rule has one.
            let is_read = self.first.as_ref() == Some(&first);
            if is_read { DefaultPrimary::Is(first) } else { DefaultPrimary::Alone }
        } else if let Some(primary) = self.still_remembered(set, &first) {
            DefaultPrimary::Is(primary)
        } else if set.name.is_empty() || self.known(set).is_some() {
            // A set that failed over until now still does; so does a split, whose label asks for it.
            DefaultPrimary::Is(first)
        } else {
            self.by_weights(set, first)
        }
    }

    /// The default that is recorded for all sets together.
    fn of_all(&self) -> Option<&'a String> {
        self.state.and_then(|state| state.defaulted_primary.as_ref())
    }

    fn known(&self, set: &DeclaredSet) -> Option<&'a SetState> {
        self.state.and_then(|state| state.sets.get(&set.name))
    }

    /// The default that is recorded, while traffic is off it or the same backend is `first`.
    fn still_remembered(&self, set: &DeclaredSet, first: &String) -> Option<String> {
        let known = self.known(set);
        let own = known.and_then(|known| known.primary.as_ref());
        // Where it is recorded which sets fail over, one that is not among them does not: not by another's default.
        // Where none is recorded, one that its author has closed, or spread over several backends, does not either.
        let is_left = || self.by_set || self.is_closed_or_spread(set);
        let of_all = self.of_all().filter(|_| known.is_some() || !is_left());
        let primary = own.or(of_all).filter(|primary| set.has(primary))?.clone();
        let is_of_earlier =
            !set.name.is_empty() && known.is_none_or(|known| known.primary.is_none());
        let was_first = match known.and_then(|known| known.first.as_ref()) {
            Some(first) => Some(first),
            None if is_of_earlier => None,
            None => Some(&primary),
        };
        let is_away = known.is_some_and(|known| known.is_away_from([primary.as_str()]));
        let still = is_away || was_first.is_none_or(|was| was == first);
        still.then_some(primary)
    }

    /// What is recorded of the weights that the author of a rule has given.
    fn recorded_of(&self, set: &DeclaredSet) -> Option<&'a Weights> {
        self.recorded.and_then(|sets| sets.get(&set.name))
    }

    /// What the author of a rule has given a backend; without a record, what it has.
    fn authored(&self, set: &DeclaredSet, backend: &DeclaredBackend) -> Option<u32> {
        match self.recorded_of(set) {
            Some(recorded) => recorded.get(&backend.name).copied(),
            None => backend.weight.whole(),
        }
    }

    /// Whether no backend of a rule has weight.
    fn is_closed(&self, set: &DeclaredSet) -> bool {
        set.backends.iter().all(|backend| self.authored(set, backend) == Some(0))
    }

    /// The backends of a rule that have weight, and can be Services.
    fn weighted<'s>(&self, set: &'s DeclaredSet) -> BTreeSet<&'s str> {
        let shares = |backend: &&DeclaredBackend| {
            !matches!(backend.fault, Some(Fault::NoService(_)))
                && self.authored(set, backend).is_some_and(|weight| weight > 0)
        };
        set.backends.iter().filter(shares).map(|backend| backend.name.as_str()).collect()
    }

    /// Whether the author of a rule has closed it, or spread it over several backends: such a rule does not fail
    /// over, unless a record says that it did.
    fn is_closed_or_spread(&self, set: &DeclaredSet) -> bool {
        !set.name.is_empty()
            && self.recorded_of(set).is_none()
            && (self.is_closed(set) || self.weighted(set).len() > 1)
    }

    /// The default of a rule without a record of one, by the weights of its backends.
    fn by_weights(&self, set: &DeclaredSet, first: String) -> DefaultPrimary {
        // The one that an earlier version had for all, where this set has it: it failed over.
        let mut of_earlier = self.of_all().into_iter().chain(&self.first).filter(|_| !self.by_set);
        let of_earlier = of_earlier.find(|primary| set.has(primary));
        let recorded = self.recorded_of(set);
        let mut weighted = self.weighted(set).into_iter();
        // Whoever moves weights records the author's first: without a record these are his, and an upgrade
        // moves nothing.
        match (weighted.next(), weighted.next(), of_earlier) {
            // One that is recorded has been read before.
            _ if of_earlier.is_none() && recorded.is_none() && !is_readable(set) => {
                DefaultPrimary::Ambiguous
            }
            _ if self.is_closed_or_spread(set) => DefaultPrimary::Ambiguous,
            (Some(_), Some(_), None) => DefaultPrimary::Ambiguous,
            // Any other may have been given weight beside the one that was the primary of all.
            (Some(only), None, Some(earlier))
                if only != first && recorded.is_some() && self.state.is_some() =>
            {
                DefaultPrimary::Is(earlier.clone())
            }
            (Some(only), None, _) => DefaultPrimary::Is(only.to_owned()),
            _ => DefaultPrimary::Is(first),
        }
    }
}

fn is_readable(set: &DeclaredSet) -> bool {
    set.unreadable.is_empty() && set.backends.iter().all(|b| b.weight.whole().is_some())
}

impl Declaration {
    /// The sets whose default primary is ambiguous: they do not fail over until their author names it.
    pub fn without_primary(&self) -> impl Iterator<Item = &DeclaredSet> {
        let is_route = self.sets.iter().any(|set| !set.name.is_empty());
        let named = self.authored_primary().is_some();
        let defaulted = (is_route && !named).then(|| DefaultPrimaries::new(self));
        let is_ambiguous = move |set: &&DeclaredSet| {
            defaulted.as_ref().is_some_and(|d| d.primary(set) == DefaultPrimary::Ambiguous)
        };
        self.sets.iter().filter(is_ambiguous)
    }
}

#[cfg(test)]
#[path = "default_primary_tests.rs"]
mod tests;
