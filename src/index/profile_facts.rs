//! What the lane of profiles and warnings need of a ServiceProfile, which Linkerd reads in place of a
//! TrafficSplit.

use crate::engine::{MAX_WEIGHT, ParsedWeight};
use crate::kinds::Kind;
use crate::kinds::service_profile::{LABEL, Mark, Override, SKIP, WRITTEN_FOR};
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;

/// The facts of a ServiceProfile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ProfileFacts {
    /// The linkerd-smi adaptor does not write it.
    pub skipped: bool,
    /// Where its overrides send the traffic: `emoji-svc.emojivoto.svc.cluster.local`.
    pub overrides: Box<[Override]>,
    /// Any of them has a weight.
    has_weight: bool,
    pub has_routes: bool,
    /// It has fields beside its overrides.
    pub has_more: bool,
    /// The split that it is written for by us, if any.
    pub mark: Option<Box<Mark>>,
    /// The split that owns it, for Kubernetes' garbage collection.
    pub owner: Option<ProfileOwner>,
    /// How many owners it has, of any kind.
    pub owners: usize,
    /// The version that these facts are of, which guards a write.
    pub resource_version: Box<str>,
    pub there: PresentFields,
}

/// Which of the fields that a patch writes to are present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PresentFields {
    pub spec: bool,
    pub overrides: bool,
    pub annotations: bool,
    /// The annotation of our mark, readable or not.
    pub mark: bool,
    pub labels: bool,
    /// Our label.
    pub label: bool,
}

/// The reference to a split among a profile's owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileOwner {
    pub uid: Box<str>,
    pub position: usize,
}

impl ProfileFacts {
    pub(crate) fn read(profile: &DynamicObject) -> Self {
        let (metadata, spec) = (&profile.metadata, profile.data.get("spec"));
        let field = |name: &str| spec.and_then(|spec| spec.get(name));
        let overrides = field("dstOverrides");
        let entries = || overrides.and_then(Value::as_array).into_iter().flatten();
        let weight = |o: &Value| {
            let weight = o.get("weight");
            weight.is_some_and(|weight| !["0", "\"0\"", "null"].contains(&&*weight.to_string()))
        };
        let read = |o: &Value| {
            let authority = o.get("authority")?.as_str()?.into();
            // One that is absent is none of ours.
            let weight = o.get("weight").map(|w| ParsedWeight::parse(Some(w), 0, MAX_WEIGHT));
            Some(Override { authority, weight: weight.and_then(|weight| weight.whole()) })
        };
        let is_set = |value: &Value| match value {
            Value::Array(list) => !list.is_empty(),
            other => !other.is_null(),
        };
        let mut others = spec.and_then(Value::as_object).into_iter().flatten();
        let mark = profile.annotations().get(WRITTEN_FOR);
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        let owner = owners
            .iter()
            .enumerate()
            .find(|(_, owner)| owner.kind == Kind::OF_SERVICE_PROFILES.as_str());
        Self {
            skipped: profile.annotations().contains_key(SKIP),
            has_weight: entries().any(weight),
            overrides: entries().filter_map(read).collect(),
            has_routes: field("routes")
                .and_then(Value::as_array)
                .is_some_and(|routes| !routes.is_empty()),
            has_more: others.any(|(name, value)| name != "dstOverrides" && is_set(value)),
            mark: mark.and_then(|mark| Mark::parse(mark)).map(Box::new),
            owner: owner
                .map(|(position, owner)| ProfileOwner { uid: owner.uid.as_str().into(), position }),
            owners: owners.len(),
            resource_version: metadata.resource_version.as_deref().unwrap_or_default().into(),
            there: PresentFields {
                spec: spec.is_some_and(Value::is_object),
                overrides: overrides.is_some(),
                annotations: metadata.annotations.is_some(),
                mark: mark.is_some(),
                labels: metadata.labels.is_some(),
                label: profile.labels().contains_key(LABEL),
            },
        }
    }

    /// Whether it sends traffic anywhere.
    pub(crate) fn sends(&self) -> bool {
        !self.overrides.is_empty() && self.has_weight
    }

    /// Whether it sends traffic, and none of it to any of these Services of its namespace.
    pub(crate) fn is_foreign<'a>(
        &self,
        namespace: &str,
        mut backends: impl Iterator<Item = &'a str>,
    ) -> bool {
        let to = |name: &str| {
            let host = format!("{name}.{namespace}.svc.");
            self.overrides.iter().any(|o| o.authority.starts_with(&host))
        };
        !self.overrides.is_empty() && !backends.any(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn profile(metadata: Value, spec: Value) -> ProfileFacts {
        let mut object = json!({"metadata": metadata, "spec": spec});
        object["metadata"]["name"] = json!("p");
        ProfileFacts::read(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_profile_that_sends_traffic_past_all_backends_is_foreign() {
        let profile = |authorities: &[&str]| {
            let overrides: Vec<_> =
                authorities.iter().map(|a| json!({"authority": a, "weight": "1"})).collect();
            profile(json!({}), json!({"dstOverrides": overrides}))
        };
        let foreign = |p: &ProfileFacts| p.is_foreign("ns", ["a", "b"].into_iter());
        assert!(!foreign(&profile(&[])));
        assert!(!foreign(&profile(&["b.ns.svc.cluster.local", "c.ns.svc.cluster.local"])));
        assert!(foreign(&profile(&["ab.ns.svc.cluster.local:8080", "a.other.svc.cluster.local"])));
    }

    #[test]
    fn a_weight_is_read_as_a_number_and_as_a_quantity() {
        let with = |weight: Value| {
            let overrides = json!([{"authority": "a", "weight": weight}]);
            profile(json!({}), json!({"dstOverrides": overrides})).overrides[0].weight
        };
        assert_eq!((with(json!("5")), with(json!(5))), (Some(5), Some(5)));
        assert_eq!((with(json!("500m")), with(json!(null))), (None, Some(0)));
    }

    #[test]
    fn fields_beside_the_overrides_are_recognized_and_empty_lists_are_not() {
        let more = |spec: Value| profile(json!({}), spec).has_more;
        assert!(!more(json!({"dstOverrides": [], "routes": [], "opaquePorts": null})));
        assert!(!more(Value::Null));
        assert!(more(json!({"retryBudget": {"ttl": "10s"}})));
        assert!(more(json!({"routes": [{"name": "x"}]})));
    }

    #[test]
    fn any_shape_is_read_without_a_panic() {
        for spec in [json!(null), json!(1), json!([]), json!({"dstOverrides": {}})] {
            assert!(!profile(json!({}), spec.clone()).sends(), "{spec}");
        }
        let odd = profile(json!({}), json!({"dstOverrides": [1, {"authority": 2}, null]}));
        assert!(odd.overrides.is_empty());
    }
}
