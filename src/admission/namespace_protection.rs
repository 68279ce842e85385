//! The protection that a namespace asks for, where it cannot be read.

use crate::engine::{Problem, annotations};
use crate::index::namespace_facts::NamespaceProtection;

/// What is wrong with it; none where it can be read.
pub(crate) fn problem(namespace: &str, protection: &NamespaceProtection) -> Option<Problem> {
    let NamespaceProtection::Unreadable(found) = protection else { return None };
    Some(
        Problem::warning(annotations::field(annotations::PROTECTION))
            .found(format!("{found:?} on namespace {namespace}"))
            .expected("\"standard\" or \"seamless\"; it is ignored")
            .next(format!(
                "mend it with: kubectl annotate namespace {namespace} {}=seamless --overwrite",
                annotations::PROTECTION
            )),
    )
}
