//! Ports that backends are short of, or were released from.

use crate::engine::{Decision, DecisionReason, Health, Intent, Unknown};

/// What is to be reported of the ports of a set's backends. Without numbers that come and go: a report
/// is repeated when it changes.
pub(crate) fn of_set(intent: &Intent, health: &[Health], decision: &Decision) -> Vec<String> {
    let mut reports = vec![];
    for ((i, backend), health) in intent.indexed().zip(health) {
        let name = &backend.name;
        if let Health::Unknown(Unknown::NoSuchPort { port }) = health {
            reports.push(format!(
                "{name} has no port {port}, which callers of {} ask for: Linkerd takes the number as its pods' own port, and whether they listen there is not to be seen. It gets traffic only while no other backend is known to be ready: add the port to Service {name}",
                intent.apex()
            ));
        }
        let Some(ports) = health.ports() else { continue };
        for (port, other) in ports.released() {
            reports.push(format!(
                "port {port} of {name} is offered no more since a release: all that served it served port {other} too, which is ready, so no traffic moves for it. If that is meant, take it out of Service {name}"
            ));
        }
        // A loss that has moved the traffic is reported with the move.
        let stays =
            decision.active.contains(&i) || decision.reason != DecisionReason::FallbackServes;
        if stays && health.is_partly_ready() && !health.is_ready() {
            let lost: Vec<&str> = ports.lost_names();
            let consequence = match decision.active.contains(&i) {
                true => {
                    "it keeps its traffic, since no other backend serves that and all that is left"
                }
                false => "until then it gets traffic only where nothing better is left",
            };
            reports.push(format!(
                "{name} has served port {} and has no ready endpoint of it any more: {consequence}",
                lost.join(" and ")
            ));
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Defaults, Now, Port, Ports, Previous, decide};
    use crate::kinds::traffic_split;
    use serde_json::json;

    fn said(health: [Health; 2]) -> Vec<String> {
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
        of_set(&intent, &health, &decision)
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
    fn a_port_that_is_not_served_is_told_and_one_whose_loss_moved_traffic_is_not_told_twice() {
        assert!(said([shop(2, 1, 0), shop(2, 1, 0)]).is_empty());
        assert!(said([shop(2, 0, 0), shop(2, 1, 0)]).is_empty(), "traffic has moved");
        let held = said([shop(2, 0, 0), Health::seen(0, 1)]);
        assert!(
            held[0].contains("shop has served port adm") && held[0].contains("keeps"),
            "{held:?}"
        );
        let fallback = said([shop(2, 1, 0), shop(2, 0, 0)]);
        assert!(fallback[0].contains("shop-b has served port adm"), "{fallback:?}");
        let released = said([shop(2, 0, 0b01), shop(2, 1, 0)]);
        assert!(released[0].contains("since a release"), "{released:?}");
        let port = "80".to_owned();
        let lacks = said([shop(2, 1, 0), Health::Unknown(Unknown::NoSuchPort { port })]);
        assert!(lacks[0].starts_with("shop-b has no port 80"), "{lacks:?}");
    }
}
