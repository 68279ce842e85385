//! A look at a review before it is read: how much it holds, and of what object.
//!
//! To read a megabyte of backends takes a hundred times what it takes to count them.

use crate::engine::too_many;
use crate::kinds::Kind;
use crate::kinds::selector::LabelSelector;
use crate::webhook::handler::Operation;
use crate::webhook::response::{ReviewOutcome, ReviewResponse};
use crate::webhook::review;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// How many backends an object has, all together and in its largest rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub all: usize,
    pub largest: usize,
}

impl Counts {
    /// Those of the objects of a review, the new one and the old one. Nothing is kept of the body, and
    /// nothing is allocated: what is no review, or odd, has none.
    pub(crate) fn of(body: &[u8]) -> (Self, Self) {
        let review: Scan = serde_json::from_slice(body).unwrap_or_default();
        let request = review.request.unwrap_or_default();
        let counts = |object: Option<ScannedObject>| object.unwrap_or_default().counts();
        (counts(request.object), counts(request.old_object))
    }

    fn grows_from(self, before: Self) -> bool {
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
    fn counts(&self) -> Counts {
        let (split, route) = (&self.spec.backends, &self.spec.rules);
        let all = split.items + route.within;
        Counts { all, largest: split.items.max(route.largest) }
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

/// The length of a list, and what is in its items together, and in the largest. Anything but a list
/// has none.
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

/// Of what object a review is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outline {
    pub uid: String,
    #[serde(default)]
    kind: Named,
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    object: Option<Outlined>,
    #[serde(default)]
    old_object: Option<Outlined>,
}

#[derive(Debug, Default, Deserialize)]
struct Named {
    #[serde(default)]
    group: String,
    #[serde(default)]
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
struct Outlined {
    #[serde(default)]
    metadata: Labelled,
}

impl Outlined {
    fn is_managed(&self, selector: &LabelSelector) -> bool {
        let none = BTreeMap::new();
        selector.matches(self.metadata.labels.as_ref().unwrap_or(&none))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Labelled {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Outlining {
    request: Outline,
}

impl Outline {
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        Some(serde_json::from_slice::<Outlining>(body).ok()?.request)
    }

    /// What is done to the object.
    pub(crate) fn on_object(&self) -> &'static str {
        match self.operation.as_str() {
            "CREATE" => "CREATE",
            "UPDATE" => "UPDATE",
            _ => "unknown",
        }
    }
}

/// The answer to a review of an object that is new, or grows, beyond what one may hold; none where it
/// has to be read. A mutating webhook lets it pass: the validator speaks.
pub(crate) fn refusal(
    body: &[u8],
    operation: Operation,
    selector: &LabelSelector,
) -> Option<ReviewResponse> {
    if operation == Operation::ServiceDeletion {
        return None;
    }
    let (now, before) = Counts::of(body);
    // Of any kind.
    if now.all <= Kind::HttpRoute.shape().bounds.of_set {
        return None;
    }
    let outline = Outline::of(body)?;
    let kind = Kind::of(&outline.kind.group, &outline.kind.kind)?;
    let problem = too_many(kind.shape(), now.all, now.largest)?;
    let object = outline.object.as_ref()?;
    let before = match &outline.old_object {
        Some(old) if old.is_managed(selector) => before,
        _ => Counts::default(),
    };
    let going = object.metadata.deletion_timestamp.is_some();
    if going || !object.is_managed(selector) || !now.grows_from(before) {
        return None;
    }
    let Outline { uid, name, namespace, kind, .. } = &outline;
    let on_object = outline.on_object();
    if operation == Operation::Mutate {
        let review = Ok(review::answered(uid, None));
        return Some(ReviewResponse { review, verdict: ReviewOutcome::Allowed, on_object });
    }
    let described = format!("{} {namespace}/{name}", kind.kind);
    tracing::info!(object = described, backends = now.all, "denied unread");
    let denial = review::denial(&described, name, &kind.group, &kind.kind, &[problem]);
    let review = Ok(review::answered(uid, Some(&denial)));
    Some(ReviewResponse { review, verdict: ReviewOutcome::Denied, on_object })
}

#[cfg(test)]
#[path = "outline_tests.rs"]
mod tests;
