//! The history of a Service: its peak, the ports that it has served, its last endpoints.

use crate::index::peak::Peak;
use crate::index::served_ports::ServedPorts;

/// The history of a Service that an object names.
#[derive(Debug, Default)]
pub(crate) struct ServiceHistory {
    pub peak: Peak,
    /// Port by port.
    pub served: ServedPorts,
    /// The last endpoints that it had.
    pub endpoints: Box<[u64]>,
}
