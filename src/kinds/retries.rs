//! Linkerd's retries, as annotations `retry.linkerd.io/…` of a route or of a Service.
//!
//! Linkerd takes those of a Service only where the route has none at all. They hold for every rule of a
//! route.

use crate::engine::{Protection, annotations};
use std::collections::BTreeMap;

const PREFIX: &str = "retry.linkerd.io/";

/// Which responses of an HTTPRoute are retried.
pub(crate) const HTTP: &str = "retry.linkerd.io/http";
/// Which statuses of a GRPCRoute are.
pub(crate) const GRPC: &str = "retry.linkerd.io/grpc";
/// How often.
pub(crate) const LIMIT: &str = "retry.linkerd.io/limit";

/// What its author has to know before requests are retried.
pub(crate) const IDEMPOTENCE: &str = "a retried request may have reached the pod that died: only requests that may be repeated should be";

/// An annotation: name and value.
pub(crate) type Retry = (&'static str, &'static str);

/// What the annotations of a route or a Service ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RetrySetting {
    /// Nothing.
    #[default]
    None,
    Set,
    /// `limit: "0"`. It counts as forbidden; Linkerd itself ignores such a limit.
    Forbidden,
}

impl RetrySetting {
    pub(crate) fn of(annotations: &BTreeMap<String, String>) -> Self {
        Self::of_each(all(annotations))
    }

    fn of_each<'a>(mut retries: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let Some(first) = retries.next() else { return Self::None };
        let forbids = |(name, value): (&str, &str)| name == LIMIT && value.parse() == Ok(0_u16);
        match forbids(first) || retries.any(forbids) {
            true => Self::Forbidden,
            false => Self::Set,
        }
    }

    /// Whether there is anything.
    pub(crate) fn is_set(self) -> bool {
        self != Self::None
    }
}

/// The retry annotations among all.
pub(crate) fn all(annotations: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let from = annotations.range(PREFIX.to_owned()..);
    from.map(|(name, value)| (name.as_str(), value.as_str()))
        .take_while(|(name, _)| name.starts_with(PREFIX))
}

/// The retry annotations of a route, by who set them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RouteRetries {
    /// Added by this program, and as it added them.
    pub added: Vec<Retry>,
    /// What its author asks for.
    pub authored: RetrySetting,
}

impl RouteRetries {
    /// Reads the annotations of an object of a kind that may be given `ours`. Those that are recorded as
    /// added are the author's where they have another value, or where `is_authored` by other signs.
    pub(crate) fn read(
        ours: &[Retry],
        annotations: &BTreeMap<String, String>,
        is_authored: impl Fn(&'static str) -> bool,
    ) -> Self {
        let record = annotations.get(annotations::ADDED).map_or("", String::as_str);
        let recorded: Vec<&str> = record.split(',').collect();
        let is_added = |(name, value): &Retry| {
            annotations.get(*name).is_some_and(|there| there == value)
                && recorded.contains(&format!("{name}={value}").as_str())
                && !is_authored(name)
        };
        let added: Vec<Retry> = ours.iter().copied().filter(is_added).collect();
        let authored = all(annotations).filter(|retry| !added.contains(retry));
        Self { authored: RetrySetting::of_each(authored), added }
    }
}

/// The record of what is added; none where that is nothing.
pub(crate) fn record(added: &[Retry]) -> Option<String> {
    let each: Vec<String> = added.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (!each.is_empty()).then(|| each.join(","))
}

/// For a sentence, and as YAML: `name: "value"`.
pub(crate) fn describe(retries: &[Retry]) -> String {
    let each: Vec<String> =
        retries.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    each.join(" and ")
}

/// What is known of the retries of the Services that a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParentRetries {
    None,
    /// This one has some.
    Has(String, RetrySetting),
    /// This one cannot be seen.
    Unknown(String),
}

impl ParentRetries {
    /// Of each parent, by name; none where it cannot be seen.
    pub(crate) fn of<'a>(
        parents: impl IntoIterator<Item = (&'a String, Option<RetrySetting>)>,
    ) -> Self {
        let mut unknown = Self::None;
        for (service, retries) in parents {
            match retries {
                Some(retries) if retries.is_set() => return Self::Has(service.clone(), retries),
                Some(_) => {}
                None => unknown = Self::Unknown(service.clone()),
            }
        }
        unknown
    }
}

/// Which retries a route should have by its protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WantedRetries {
    /// These, added.
    Added(&'static [Retry]),
    /// None of ours; why.
    None(NotAdded),
    /// Those that it has: it is not known whether ours are due.
    AsTheyAre,
}

/// Why no retries are added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAdded {
    #[error("its protection is not seamless any more")]
    Standard,
    #[error("Linkerd has none for this kind")]
    Kind,
    #[error("it has retries that its author has set")]
    Authored,
    #[error(
        "Service {0} has retries of its own, which Linkerd takes only where the route has none"
    )]
    OfService(String),
}

/// Which retries a route should have, of a kind that may be given `ours`. `protection` is none where it is not
/// known; the parents are looked at only where they matter.
pub(crate) fn wanted(
    ours: &'static [Retry],
    protection: Option<Protection>,
    authored: RetrySetting,
    parents: impl FnOnce() -> ParentRetries,
) -> WantedRetries {
    if ours.is_empty() {
        return WantedRetries::None(NotAdded::Kind);
    }
    if protection == Some(Protection::Standard) {
        return WantedRetries::None(NotAdded::Standard);
    }
    if authored.is_set() {
        return WantedRetries::None(NotAdded::Authored);
    }
    match (parents(), protection) {
        (ParentRetries::Has(service, _), _) => WantedRetries::None(NotAdded::OfService(service)),
        (ParentRetries::None, Some(_)) => WantedRetries::Added(ours),
        (ParentRetries::Unknown(_), _) | (ParentRetries::None, None) => WantedRetries::AsTheyAre,
    }
}

#[cfg(test)]
#[path = "retries_tests.rs"]
mod tests;
