//! The health of Services without endpoints of their own: the union of their members.

use crate::engine::{SteadyTime, Unknown};
use crate::index::endpoint_count::EndpointCount;
use crate::index::remote::members::Member;
use crate::index::remote::union::{Union, of_member};
use crate::index::service_facts::{ServiceKind, ServicePort};
use crate::index::store::Index;
use crate::kinds::ObjectKey;
use std::collections::BTreeSet;

impl Index {
    /// The members of a Service together. `ports` are the asked ones as the Service has them: mirrors
    /// have the ports of what they mirror, with their names.
    pub(crate) fn union(
        &self,
        service: &ObjectKey,
        members: &[Member],
        ports: &[&ServicePort],
        now: SteadyTime,
    ) -> Union {
        let mut union = Union::default();
        for member in members {
            match member {
                Member::Remote { cluster, service: name } => {
                    let remote = service.beside(name);
                    let doubt = self.remote.doubt(cluster, &remote, now);
                    union.add(self.remote.count(cluster, &remote, ports), doubt);
                }
                Member::Local(name) => {
                    let local = service.beside(name);
                    let facts = self.service(&local).filter(|f| f.kind == ServiceKind::Slices);
                    let count = |names: &[Option<&str>]| self.count(&local, names, now);
                    let counted = facts.map_or(Ok(EndpointCount::default()), |facts| {
                        of_member(&facts.names_of(ports), ports, count)
                    });
                    let until = self.changes.until(&local, now);
                    union.add(counted, until.map(|until| Unknown::Changed { until }));
                }
            }
        }
        union
    }

    /// The identities of the endpoints of a Service's members; none while one cannot be seen.
    pub(crate) fn identities_of_members(
        &self,
        service: &ObjectKey,
        members: &[Member],
    ) -> Option<BTreeSet<u64>> {
        let mut identities = BTreeSet::new();
        for member in members {
            match member {
                Member::Local(name) => identities.extend(self.identities_of(&service.beside(name))),
                Member::Remote { cluster, service: name } => {
                    identities.extend(self.remote.identities(cluster, &service.beside(name))?);
                }
            }
        }
        Some(identities)
    }
}

#[cfg(test)]
#[path = "health_history_tests.rs"]
mod history_tests;
#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
