//! The members of a Service together: the union of their endpoints, as far as they can be seen.

use crate::engine::{Health, Unknown};
use crate::index::endpoint_count::EndpointCount;
use crate::index::service_facts::ServicePort;

/// What is known of a Service's members together.
#[derive(Debug, Default)]
pub(crate) struct Union {
    pub counted: EndpointCount,
    /// The first member that cannot be seen, not known to be down.
    unknown: Option<Health>,
    /// The first member that may have more ready endpoints than it seems.
    doubt: Option<Health>,
    /// The first whose cluster counts as down.
    down: Option<Health>,
}

impl Union {
    /// `doubt` is why a member's ready endpoints may offer ports that they do not seem to.
    pub(crate) fn add(&mut self, counted: Result<EndpointCount, Health>, doubt: Option<Unknown>) {
        match counted {
            Ok(counted) => {
                if let Some(doubt) = doubt.filter(|_| counted.ready > 0) {
                    self.doubt.get_or_insert(Health::Unknown(doubt));
                }
                self.counted = std::mem::take(&mut self.counted).and(counted);
            }
            Err(unknown) if unknown.is_unknown() => {
                self.unknown.get_or_insert(unknown);
            }
            Err(down) => {
                self.down.get_or_insert(down);
            }
        }
    }

    /// Whether every member is seen.
    pub(crate) fn is_complete(&self) -> bool {
        self.unknown.is_none() && self.down.is_none()
    }

    /// Ready, where the members that are `seen` are; otherwise not known is not down.
    pub(crate) fn health(self, seen: impl FnOnce(EndpointCount) -> Health) -> Health {
        let Self { counted, unknown, doubt, down } = self;
        let mut seen = seen(counted);
        // Without its announced pods it would be unknown, and not down.
        if unknown.is_some() && !seen.without_announced().is_ready() {
            seen = seen.as_seen();
        }
        if seen.is_ready() { seen } else { unknown.or(doubt).or(down).unwrap_or(seen) }
    }
}

/// The endpoints of a member: ports are asked for by number, and each member has names of its own.
pub(crate) fn of_member(
    names: &[Option<&str>],
    ports: &[&ServicePort],
    count: impl Fn(&[Option<&str>]) -> EndpointCount,
) -> Result<EndpointCount, Health> {
    let counted = count(names);
    match counted.ready > 0 && !ports.is_empty() && names.iter().all(Option::is_none) {
        true => {
            let numbers = ports.iter().map(|port| port.number).collect();
            Err(Health::Unknown(Unknown::no_such_port(&numbers)))
        }
        false => Ok(counted),
    }
}
