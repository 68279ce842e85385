//! What the author of an object asked for.

use crate::engine::names::other_name;
use crate::engine::policy::{NamedPin, Pin};
use crate::engine::ports::{Peaks, PortCount};
use crate::engine::tiers::Preference;
use crate::engine::{
    BackendIndex, BySet, Declaration, DeclaredBackend, DeclaredSet, Defaults, Fault, FieldPath,
    Health, Policy, Problem, Threshold, WeightLimits, Weights, bounds, faults,
};
use std::collections::HashSet;
use std::ops::Index;

/// What the author asked for of one set of backends, checked: all that the engine knows of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The set, as [`DeclaredSet::name`] has it.
    pub set: String,
    /// Its list of backends: `spec.rules[2].backendRefs`.
    pub path: FieldPath,
    /// The Services that clients call.
    pub apexes: Vec<String>,
    /// In the author's order; names are unique, and there is at least one.
    pub backends: Vec<Backend>,
    /// Indices of backends, the preferred tier first; each backend is in exactly one tier, no
    /// tier is empty. The first tier holds the primaries.
    pub tiers: Vec<Vec<BackendIndex>>,
    /// Whether the primary is the default because the author named none.
    pub primary_is_default: bool,
    /// What holds beside the weights: delays, failback, pin, pause.
    pub policy: Policy,
    /// The limits of its weights.
    pub limits: WeightLimits,
    /// Entries that name a backend once more: they have no weight beside the first.
    pub repeated: Box<[usize]>,
    /// Whether live weights replace what is written otherwise: see [`Declaration::normalized`].
    pub is_normalized: bool,
}

/// A backend, its two weights, and its minimum.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// `name`, or `namespace/name` in another namespace than the object's.
    pub name: String,
    /// The Service's port that traffic goes to; none: the apex's ports.
    pub port: Option<u16>,
    /// What the author wants this backend to get when it is active.
    pub authored: u32,
    /// The weight in the object now.
    pub live: u32,
    /// What it needs to count as ready.
    pub min_ready: Threshold,
    /// 0 for a primary.
    pub tier: usize,
    /// Its place in the list of its set.
    pub entry: usize,
    /// What keeps it from being used.
    pub fault: Option<Fault>,
}

impl Backend {
    /// Whether it may be given traffic at all.
    pub fn can_serve(&self) -> bool {
        !matches!(self.fault, Some(Fault::NoService(_)))
    }

    /// Whether it is known to meet its minimum, on every port that counts. `recorded` are
    /// the recorded peaks.
    pub(crate) fn is_met_by(&self, health: &Health, recorded: &Peaks) -> bool {
        let counts = health.counts();
        !counts.is_empty() && counts.iter().all(|count| self.is_met_on(count, recorded))
    }

    /// The same of one port.
    pub(crate) fn is_met_on(&self, count: &PortCount<'_>, recorded: &Peaks) -> bool {
        let recorded = match recorded.is_empty() {
            true => 0,
            false => recorded.get(&count.key(&self.name)).copied().unwrap_or_default(),
        };
        self.min_ready.is_met(count.ready, count.total, count.peak.max(recorded))
    }
}

/// What could be read of an object, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// One for each set that fails over; none where the primary is ambiguous.
    pub intents: Vec<Intent>,
    /// Everything that is wrong, as it is reported to the author of a new object.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// All of it, or every problem.
    pub fn strictly(self) -> Result<Vec<Intent>, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.intents) } else { Err(self.problems) }
    }

    /// The intents that can be used, and the problems beside them; or every problem.
    pub fn leniently(self) -> Result<(Vec<Intent>, Vec<Problem>), Vec<Problem>> {
        if self.intents.is_empty() { Err(self.problems) } else { Ok((self.intents, self.problems)) }
    }
}

impl Backend {
    /// A declared backend by itself, with its recorded weight if there is one.
    fn new(declared: &DeclaredBackend, recorded: Option<&Weights>) -> Self {
        let live = declared.weight.whole().unwrap_or_default();
        let authored = recorded.and_then(|weights| {
            let other = || weights.get(&declared.other_name()?);
            weights.get(&declared.name).or_else(other).copied()
        });
        Self {
            name: declared.name.clone(),
            port: declared.port,
            authored: authored.unwrap_or(live),
            live,
            min_ready: Threshold::default(),
            tier: 0,
            entry: declared.entry,
            fault: None,
        }
    }
}

/// The tier of each of this many backends.
fn tier_of_each(tiers: &[Vec<BackendIndex>], backends: usize) -> Vec<usize> {
    let mut tier_of = vec![0; backends];
    for (tier, members) in tiers.iter().enumerate() {
        for i in members {
            if let Some(of) = i.of_mut(&mut tier_of) {
                *of = tier;
            }
        }
    }
    tier_of
}

impl Index<BackendIndex> for Vec<Backend> {
    type Output = Backend;

    fn index(&self, index: BackendIndex) -> &Backend {
        &self.as_slice()[index.place()]
    }
}

impl Intent {
    /// Reads what the author asked for, one intent for each set that fails over and at least one;
    /// or every problem with it. New objects are read in this way.
    ///
    /// `defaults` apply where the author sets nothing.
    ///
    /// ```
    /// use linkerd_failover::engine::{Defaults, Intent};
    /// use linkerd_failover::kinds::Kind;
    ///
    /// let split = serde_json::from_value(serde_json::json!({
    ///     "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
    ///     "metadata": {"name": "emoji", "annotations": {
    ///         "failover.linkerd.io/primary-service": "emoji-wset",
    ///     }},
    ///     "spec": {"service": "emoji", "backends": [{"service": "emoji"}, {"service": "emoji-west"}]},
    /// })).unwrap();
    /// let declared = Kind::TrafficSplit.read(&split);
    /// // The primary is misspelt.
    /// let problems = Intent::parse(&declared, &Defaults::default()).unwrap_err();
    /// assert!(problems[0].to_string().ends_with("did you mean emoji-west?"));
    /// ```
    pub fn parse(declared: &Declaration, defaults: &Defaults) -> Result<Vec<Self>, Vec<Problem>> {
        Self::read(declared, defaults).strictly()
    }

    /// Reads as much as can be read. Stored objects are read in this way: the fault of one backend is that
    /// backend's alone, and where an annotation cannot be read, the defaults apply.
    pub fn read(declared: &Declaration, defaults: &Defaults) -> Reading {
        let mut of_annotations = vec![];
        let recorded = faults::recorded_weights(declared, &mut of_annotations);
        let preference = Preference::parse(declared, &mut of_annotations);
        let policy = Policy::parse(declared, defaults, &mut of_annotations);
        let pin = NamedPin::parse(declared, &mut of_annotations);

        let concerned: Vec<bool> =
            declared.sets.iter().map(|set| preference.concerns(set)).collect();
        let mut problems = declared.unreadable.clone();
        faults::of_object(declared, &mut problems);
        bounds::of_object(declared, &mut problems);
        for (set, _) in declared.sets.iter().zip(&concerned).filter(|(_, is)| **is) {
            problems.extend_from_slice(&set.unreadable);
            faults::of_set(declared, set, &mut problems);
        }
        if !concerned.contains(&true) {
            problems.extend(declared.sets.iter().flat_map(|set| set.unreadable.clone()));
            problems.extend(declared.without_primary().map(faults::no_primary));
        }
        problems.append(&mut of_annotations);
        let normalized = declared.normalized();
        let sets = declared.sets.iter().zip(&normalized.sets).zip(&concerned);
        let intents = sets.filter(|(_, is)| **is).filter_map(|((found, set), _)| {
            let by_name = set.by_name();
            let primaries = preference.primaries_among(set, &by_name);
            let has_primary = !primaries.is_empty();
            let tiers = preference.tiers(set, &by_name, primaries);
            let pin = pin.as_ref().and_then(|pin| pin.in_set(&by_name));
            let recorded_of = recorded.get(&set.name);
            let intent = Self::of_set(declared, set, tiers, &preference, &policy, pin, recorded_of);
            faults::sum(declared, found, recorded_of, &mut problems);
            bounds::of_tiers(set, intent.tiers.len(), &mut problems);
            let can_fail_over = has_primary && intent.backends.iter().any(Backend::can_serve);
            can_fail_over.then_some(intent)
        });
        let intents = intents.collect();
        let has_apex = !declared.apexes.is_empty();
        Reading { intents: if has_apex { intents } else { vec![] }, problems }
    }

    fn of_set(
        declared: &Declaration,
        set: &DeclaredSet,
        tiers: Vec<Vec<BackendIndex>>,
        preference: &Preference,
        policy: &Policy,
        pin: Option<Pin>,
        recorded: Option<&Weights>,
    ) -> Self {
        let each = set.backends.iter().zip(tier_of_each(&tiers, set.backends.len()));
        let backends: Vec<Backend> = each
            .map(|(backend, tier)| Backend {
                min_ready: preference.needed(backend, tier == 0),
                tier,
                fault: faults::of_backend(declared, backend),
                ..Backend::new(backend, recorded)
            })
            .collect();
        let pin = pin.map(|mut pin| {
            pin.backends.retain(|i| backends[*i].can_serve());
            pin
        });
        Self {
            set: set.name.clone(),
            path: set.path.clone(),
            apexes: declared.apexes.clone(),
            backends,
            tiers,
            primary_is_default: preference.primary_is_default(),
            policy: Policy { pin: pin.filter(|pin| !pin.backends.is_empty()), ..policy.clone() },
            limits: declared.shape.limits,
            repeated: set.repeated.as_slice().into(),
            is_normalized: !set.written.is_empty(),
        }
    }

    /// Whether it is a rule with one backend, whose weight means nothing: it is never written.
    pub fn is_alone(&self) -> bool {
        !self.set.is_empty() && self.backends.len() < 2
    }

    /// The Services that clients call, for a sentence.
    pub fn apex(&self) -> String {
        self.apexes.join(", ")
    }

    /// The names of the preferred backends.
    pub fn primaries(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().take(1).flatten().map(|i| self.backends[*i].name.as_str())
    }

    /// The primary, where it is the default because the author named none.
    pub fn default_primary(&self) -> Option<&str> {
        self.primaries().next().filter(|_| self.primary_is_default)
    }

    /// The tier of a backend, 0 for a primary.
    pub fn tier_of(&self, backend: BackendIndex) -> usize {
        backend.of(&self.backends).map_or(self.tiers.len(), |backend| backend.tier)
    }

    /// Whether a backend belongs to the preferred tier.
    pub fn is_primary(&self, backend: BackendIndex) -> bool {
        self.tier_of(backend) == 0
    }

    /// The author's weights, by backend.
    pub fn authored(&self) -> Weights {
        self.backends.iter().map(|b| (b.name.clone(), b.authored)).collect()
    }

    /// The weights in the object now, by backend.
    pub fn live(&self) -> Weights {
        self.backends.iter().map(|b| (b.name.clone(), b.live)).collect()
    }

    /// The indices of all backends.
    pub(crate) fn indices_of_all(&self) -> impl DoubleEndedIterator<Item = BackendIndex> + use<> {
        BackendIndex::all(self.backends.len())
    }

    /// The backends by their indices.
    pub(crate) fn indexed(&self) -> impl Iterator<Item = (BackendIndex, &Backend)> {
        self.indices_of_all().zip(&self.backends)
    }

    /// Indices of the backends that carry traffic now.
    pub fn carrying(&self) -> Vec<BackendIndex> {
        self.indices_of_all().filter(|i| self.backends[*i].live > 0).collect()
    }

    /// Indices of the named backends that this intent has, ascending.
    pub fn indices<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Vec<BackendIndex> {
        let names: HashSet<&str> = names.into_iter().map(String::as_str).collect();
        let is_named = |i: &BackendIndex| {
            let Backend { name, port, .. } = &self.backends[*i];
            let other = || other_name(name, *port).is_some_and(|name| names.contains(&*name));
            names.contains(name.as_str()) || other()
        };
        self.indices_of_all().filter(is_named).collect()
    }

    /// Weights by the entries of its list: an entry that repeats a backend has 0.
    pub fn by_entry(&self, weights: &[u32]) -> Vec<u32> {
        let entries = self.backends.len() + self.repeated.len();
        let mut by_entry = vec![0; entries];
        for (backend, weight) in self.backends.iter().zip(weights) {
            if let Some(entry) = by_entry.get_mut(backend.entry) {
                *entry = *weight;
            }
        }
        by_entry
    }
}

/// The author's weights of all sets of an object that may be written.
pub(crate) fn authored(intents: &[Intent]) -> BySet<Weights> {
    let written = intents.iter().filter(|intent| !intent.is_alone());
    written.map(|intent| (intent.set.clone(), intent.authored())).collect()
}

/// The primary that is filled in because the author named none; none where the rules of a route
/// have different ones.
pub(crate) fn defaulted_primary(intents: &[Intent]) -> Option<String> {
    // A rule with one backend has no default for the others.
    let most = intents.iter().map(|intent| intent.backends.len().min(2)).max()?;
    let speak = intents.iter().filter(|intent| intent.backends.len() >= most);
    let mut own = speak.map(|intent| intent.default_primary());
    let first = own.next()??;
    own.all(|other| other == Some(first)).then(|| first.to_owned())
}

#[cfg(test)]
#[path = "intent_tests.rs"]
pub(crate) mod tests;
