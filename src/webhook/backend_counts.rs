//! Counts the backends in the bytes of a review.
//!
//! Parsing a megabyte of backends takes a hundred times as long as counting them.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// How many backends an object has, in total and in its largest rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BackendCounts {
    pub all: usize,
    pub largest: usize,
}

impl BackendCounts {
    /// The counts of the new and the old object of a review, without an allocation. A body that is not a
    /// review, or has other shapes, counts none.
    pub(super) fn of(body: &[u8]) -> (Self, Self) {
        let review: Scan = serde_json::from_slice(body).unwrap_or_default();
        let request = review.request.unwrap_or_default();
        let counts = |object: Option<ScannedObject>| object.unwrap_or_default().counts();
        (counts(request.object), counts(request.old_object))
    }

    pub(super) fn grows_from(self, before: Self) -> bool {
        self.all > before.all || self.largest > before.largest
    }
}

#[derive(Default, Deserialize)]
struct Scan {
    #[serde(default)]
    request: Option<ScannedRequest>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScannedRequest {
    #[serde(default)]
    object: Option<ScannedObject>,
    #[serde(default)]
    old_object: Option<ScannedObject>,
}

#[derive(Default, Deserialize)]
struct ScannedObject {
    #[serde(default)]
    spec: ScannedSpec,
}

#[derive(Default, Deserialize)]
struct ScannedSpec {
    #[serde(default)]
    backends: Tally<IgnoredAny>,
    #[serde(default)]
    rules: Tally<ScannedRule>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScannedRule {
    #[serde(default)]
    backend_refs: Tally<IgnoredAny>,
}

impl ScannedObject {
    fn counts(&self) -> BackendCounts {
        let (split, route) = (&self.spec.backends, &self.spec.rules);
        let all = split.items + route.within;
        BackendCounts { all, largest: split.items.max(route.largest) }
    }
}

/// How many backends an item of a list holds.
trait Counted {
    fn backends(&self) -> usize;
}

impl Counted for IgnoredAny {
    fn backends(&self) -> usize {
        0
    }
}

impl Counted for ScannedRule {
    fn backends(&self) -> usize {
        self.backend_refs.items
    }
}

/// The length of a list, and the backends in its items, in total and in the largest. Anything but a
/// list counts none.
struct Tally<T> {
    items: usize,
    within: usize,
    largest: usize,
    of: PhantomData<T>,
}

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self { items: 0, within: 0, largest: 0, of: PhantomData }
    }
}

impl<'de, T: Counted + Deserialize<'de>> Deserialize<'de> for Tally<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TallyVisitor(PhantomData))
    }
}

struct TallyVisitor<T>(PhantomData<T>);

impl<'de, T: Counted + Deserialize<'de>> Visitor<'de> for TallyVisitor<T> {
    type Value = Tally<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut tally = Tally::default();
        while let Some(item) = list.next_element::<T>()? {
            tally.items += 1;
            tally.within += item.backends();
            tally.largest = tally.largest.max(item.backends());
        }
        Ok(tally)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Tally::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Tally::default())
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Tally::default())
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Tally::default())
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Tally::default())
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Tally::default())
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Tally::default())
    }
}
