//! Ports that backends are short of, or that a release has dropped.

use crate::engine::{Decision, DecisionReason, Health, Intent, Unknown, service_of};
use std::fmt;

/// A port that a backend does not serve. Without numbers that come and go: a report is repeated when it
/// changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ShortPort {
    /// The Service does not declare a port that callers of the apex ask for.
    NotDeclared { backend: String, port: String, apex: String },
    /// A release has dropped it; all that served it served the other port too, which is ready.
    Released { backend: String, port: String, other: String },
    /// It has no ready endpoint any more, and no traffic has moved for it.
    Lost { backend: String, ports: Vec<String>, keeps_traffic: bool },
}

/// The ports that a set's backends do not serve, as far as that is to be reported.
pub(crate) fn of_set(intent: &Intent, health: &[Health], decision: &Decision) -> Vec<ShortPort> {
    let mut short = vec![];
    for ((i, backend), health) in intent.indexed().zip(health) {
        let (backend, is_active) = (backend.name.clone(), decision.active.contains(&i));
        if let Health::Unknown(Unknown::NoSuchPort { port }) = health {
            let (port, apex) = (port.clone(), intent.apex().clone());
            short.push(ShortPort::NotDeclared { backend: backend.clone(), port, apex });
        }
        let Some(ports) = health.ports() else { continue };
        let released = ports.released().into_iter().map(|(port, other)| ShortPort::Released {
            backend: backend.clone(),
            port: port.to_owned(),
            other: other.to_owned(),
        });
        short.extend(released);
        // A loss that has moved the traffic is reported with the move.
        let stays = is_active || decision.reason != DecisionReason::FallbackServes;
        if stays && health.is_partly_ready() && !health.is_ready() {
            let ports = ports.lost_names().into_iter().map(str::to_owned).collect();
            short.push(ShortPort::Lost { backend, ports, keeps_traffic: is_active });
        }
    }
    short
}

impl fmt::Display for ShortPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDeclared { backend, port, apex } => write!(
                f,
                "{backend} has no port {port}, which callers of {apex} ask for: Linkerd takes the number as its pods' own port, and whether they listen there is not to be seen. It gets traffic only while no other backend is known to be ready: add the port to Service {}",
                service_of(backend)
            ),
            Self::Released { backend, port, other } => write!(
                f,
                "port {port} of {backend} is offered no more since a release: all that served it served port {other} too, which is ready, so no traffic moves for it. If that is meant, take it out of Service {}",
                service_of(backend)
            ),
            Self::Lost { backend, ports, keeps_traffic } => {
                let consequence = match keeps_traffic {
                    true => {
                        "it keeps its traffic, since no other backend serves that and all that is left"
                    }
                    false => "until then it gets traffic only where nothing better is left",
                };
                let ports = ports.join(" and ");
                write!(
                    f,
                    "{backend} has served port {ports} and has no ready endpoint of it any more: {consequence}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Defaults, Now, Port, Ports, Previous, decide};
    use crate::kinds::traffic_split;
    use serde_json::json;

    fn reported(health: [Health; 2]) -> Vec<String> {
        let split = json!({
            "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
            "metadata": {"name": "shop", "namespace": "ns"},
            "spec": {"service": "shop", "backends": [
                {"service": "shop", "weight": 1}, {"service": "shop-b", "weight": 0},
            ]},
        });
        let declared = traffic_split::read(&serde_json::from_value(split).unwrap());
        let intent = Intent::parse(&declared, &Defaults::default()).unwrap().remove(0);
        let decision = decide(&intent, &health, Previous::Live, Now::default());
        of_set(&intent, &health, &decision).iter().map(ToString::to_string).collect()
    }

    fn shop(web: u32, adm: u32, with: u128) -> Health {
        let port = |number: u16, name: &str, ready: u32, with: u128| Port {
            number,
            name: name.into(),
            ready,
            total: ready,
            served: true,
            with,
            ..Port::default()
        };
        let ports = vec![port(80, "web", web, 0), port(81, "adm", adm, with)];
        Health::of_ports(Ports::new(ports, web + adm), None)
    }

    #[test]
    fn a_port_that_is_not_served_is_reported_and_a_loss_that_moved_traffic_is_not_reported_twice() {
        assert!(reported([shop(2, 1, 0), shop(2, 1, 0)]).is_empty());
        assert!(reported([shop(2, 0, 0), shop(2, 1, 0)]).is_empty(), "traffic has moved");
        let keeps = reported([shop(2, 0, 0), Health::seen(0, 1)]);
        assert!(
            keeps[0].contains("shop has served port adm") && keeps[0].contains("keeps"),
            "{keeps:?}"
        );
        let fallback = reported([shop(2, 1, 0), shop(2, 0, 0)]);
        assert!(fallback[0].contains("shop-b has served port adm"), "{fallback:?}");
        let released = reported([shop(2, 0, 0b01), shop(2, 1, 0)]);
        assert!(released[0].contains("since a release"), "{released:?}");
        let port = "80".to_owned();
        let lacks = reported([shop(2, 1, 0), Health::Unknown(Unknown::NoSuchPort { port })]);
        assert!(lacks[0].starts_with("shop-b has no port 80"), "{lacks:?}");
        // With two ports in one rule of a route a backend is called by its port too.
        let called = ShortPort::Released {
            backend: "shop:80".into(),
            port: "adm".into(),
            other: "web".into(),
        };
        assert!(called.to_string().ends_with("take it out of Service shop"), "{called}");
    }
}
