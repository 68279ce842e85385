//! The kinds whose weights are flipped.

use anyhow::{Result, bail};
use serde_json::{Value, json};

/// Of the bare client's objects; the value is the name of their primary.
pub(crate) const BARE: &str = "bare-client/primary";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Split,
    Route,
    Profile,
}

/// What an object is called, and between which Services it splits the traffic of which.
pub(crate) struct Named<'a> {
    pub namespace: &'a str,
    pub name: String,
    pub apex: String,
    pub primary: &'a str,
}

pub(crate) const FALLBACK: &str = "fallback";

impl Subject {
    pub(crate) fn of(plural: &str) -> Result<Self> {
        let all = [Self::Split, Self::Route, Self::Profile];
        let Some(subject) = all.into_iter().find(|subject| subject.plural() == plural) else {
            bail!("found {plural:?}, expected the plural of a kind that has weights")
        };
        Ok(subject)
    }

    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Split => "trafficsplits",
            Self::Route => "httproutes",
            Self::Profile => "serviceprofiles",
        }
    }

    fn group_version(self) -> &'static str {
        match self {
            Self::Split => "split.smi-spec.io/v1alpha2",
            Self::Route => "gateway.networking.k8s.io/v1",
            Self::Profile => "linkerd.io/v1alpha2",
        }
    }

    /// The path of all of them in the API.
    pub(crate) fn everywhere(self) -> String {
        format!("/apis/{}/{}", self.group_version(), self.plural())
    }

    /// The path of those of a namespace.
    pub(crate) fn within(self, namespace: &str) -> String {
        format!("/apis/{}/namespaces/{namespace}/{}", self.group_version(), self.plural())
    }

    /// An object with all weight on its primary: ours where it is managed, else the bare client's.
    pub(crate) fn manifest(self, of: &Named<'_>, managed: bool) -> Value {
        let Named { namespace, name, apex, primary } = of;
        let labels = match managed {
            true => json!({"failover.linkerd.io/controlled-by": "linkerd-failover"}),
            false => json!({BARE: primary}),
        };
        let domain = format!("{namespace}.svc.cluster.local");
        let (kind, name, spec) = match self {
            Self::Split => (
                "TrafficSplit",
                name.clone(),
                json!({"service": apex, "backends": [
                    {"service": primary, "weight": 1}, {"service": FALLBACK, "weight": 0},
                ]}),
            ),
            Self::Route => (
                "HTTPRoute",
                name.clone(),
                json!({
                    "parentRefs": [{"group": "core", "kind": "Service", "name": apex, "port": 8080}],
                    "rules": [{"backendRefs": [
                        {"name": primary, "port": 8080, "weight": 1},
                        {"name": FALLBACK, "port": 8080, "weight": 0},
                    ]}],
                }),
            ),
            Self::Profile => (
                "ServiceProfile",
                format!("{apex}.{domain}"),
                json!({"dstOverrides": [
                    {"authority": format!("{primary}.{domain}"), "weight": "1"},
                    {"authority": format!("{FALLBACK}.{domain}"), "weight": "0"},
                ]}),
            ),
        };
        json!({"apiVersion": self.group_version(), "kind": kind, "spec": spec,
            "metadata": {"name": name, "labels": labels}})
    }

    /// The JSON patch of both weights, refused on any version but this one.
    pub(crate) fn patch(self, version: &str, weights: [u32; 2]) -> Vec<u8> {
        let at = match self {
            Self::Split => "/spec/backends",
            Self::Route => "/spec/rules/0/backendRefs",
            Self::Profile => "/spec/dstOverrides",
        };
        let quote = if self == Self::Profile { "\"" } else { "" };
        let [primary, fallback] = weights;
        let version =
            format!(r#"{{"op":"replace","path":"/metadata/resourceVersion","value":"{version}"}}"#);
        let weight = |i, weight| {
            format!(r#"{{"op":"replace","path":"{at}/{i}/weight","value":{quote}{weight}{quote}}}"#)
        };
        format!("[{version},{},{}]", weight(0, primary), weight(1, fallback)).into_bytes()
    }
}

/// The weights that follow when the primary is ready, or is not.
pub(crate) fn wanted(ready: bool) -> [u32; 2] {
    [u32::from(ready), u32::from(!ready)]
}
