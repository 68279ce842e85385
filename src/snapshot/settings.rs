//! What an installation manages, and how: the settings of its controller.

use crate::admission::view::Rules;
use crate::informers::sources::WatchSettings;
use crate::runtime::options::{Installation, LinkOptions};

/// The settings of a controller, as far as its decisions and its reviews depend on them.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Whose they are.
    pub installation: Installation,
    /// What it watches, and the defaults of objects.
    pub watch: WatchSettings,
    /// How it watches linked clusters; none: it does not.
    pub links: Option<LinkOptions>,
    /// The rules of its webhook; none: it has no webhook.
    pub rules: Option<Rules>,
    /// Its webhook makes its own certificates.
    pub own_certificates: bool,
    /// The cluster domain in which it writes ServiceProfiles; none: it does not.
    pub profiles_of: Option<String>,
    /// Linkerd's namespace.
    pub linkerd_namespace: String,
    /// It uses a Lease.
    pub uses_lease: bool,
    pub parts: Parts,
}

/// Parts of the program that need rights of their own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub brake: bool,
    /// The deletion guard.
    pub guard: bool,
    /// The guard looks up the label of a pod.
    pub guard_reads_pods: bool,
    /// The namespaces in which the receiver of alerts keeps its CA; none: there is no receiver.
    pub alerts: Option<Vec<String>>,
}
