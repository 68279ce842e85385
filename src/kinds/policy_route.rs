//! The HTTPRoutes of `policy.linkerd.io`: Linkerd reads them beside those of the Gateway API, kubectl's
//! short name may mean either, and they are not failed over.

use crate::kinds::Kind;

pub(crate) const GROUP: &str = "policy.linkerd.io";
pub(crate) const KIND: &str = "HTTPRoute";
pub(crate) const PLURAL: &str = "httproutes";
/// The best first.
pub(crate) const VERSIONS: [&str; 4] = ["v1beta3", "v1beta2", "v1beta1", "v1alpha1"];

/// Why the label on one has no effect, and what to do.
pub(crate) fn not_managed(namespace: &str, name: &str, selector: &str) -> String {
    let managed = Kind::ALL.map(Kind::resource).join(", ");
    format!(
        "{PLURAL}.{GROUP} {namespace}/{name} matches {selector}, which marks objects to fail over, but this kind is not failed over: expected one of {managed}. Make it an HTTPRoute of {}, or take the label off",
        Kind::HttpRoute.group()
    )
}
