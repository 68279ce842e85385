//! The area that a command looks at.

use crate::snapshot::settings::Settings;
use std::fmt;

/// The namespaces that a command looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    /// All in which objects are managed.
    All,
    Namespace(String),
}

impl Area {
    /// The namespaces to list; empty: the cluster. Nothing is managed outside of those of the settings.
    pub(super) fn namespaces(&self, settings: &Settings) -> Vec<String> {
        match self {
            Self::Namespace(namespace) if self.is_managed(settings) => vec![namespace.clone()],
            _ => settings.watch.namespaces.clone(),
        }
    }

    /// Whether it has a namespace in it.
    pub(crate) fn has(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(only) => only == namespace,
        }
    }

    /// Whether the installation manages anything in it.
    pub(crate) fn is_managed(&self, settings: &Settings) -> bool {
        let managed = &settings.watch.namespaces;
        match self {
            Self::All => true,
            Self::Namespace(namespace) => managed.is_empty() || managed.contains(namespace),
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all namespaces"),
            Self::Namespace(namespace) => write!(f, "namespace {namespace}"),
        }
    }
}
