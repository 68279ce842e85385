//! Ports over generated histories: what a backend serves is not given up for less, and two replicas
//! do not take turns.

use crate::engine::{Health, Unknown};
use crate::index::ports_tests::{World, key};
use crate::simulation::manifest::Resource;
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
enum Step {
    App {
        service: usize,
        app: usize,
        ports: usize,
        ready: usize,
        down: usize,
    },
    Declare {
        service: usize,
        ports: usize,
    },
    Pass(i64),
    Restart,
    /// The other replica decides now.
    Swap,
}

const SETS: [&[&str]; 7] =
    [&["web"], &["adm"], &["web", "adm"], &["log"], &["web", "log"], &["web", "adm", "log"], &[]];
const SERVICES: [&str; 2] = ["shop", "shop-b"];
const APPS: [&str; 3] = ["one", "two", "three"];

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2_usize, 0..APPS.len(), 0..SETS.len(), 0..3_usize, 0..2_usize).prop_map(
            |(service, app, ports, ready, down)| Step::App { service, app, ports, ready, down }
        ),
        1 => (0..2_usize, 0..SETS.len() - 1)
            .prop_map(|(service, ports)| Step::Declare { service, ports }),
        2 => (1_i64..20_000).prop_map(Step::Pass),
        2 => Just(Step::Restart),
        2 => Just(Step::Swap),
    ]
}

impl World {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::App { service, app, ports, ready, down } => {
                self.app(SERVICES[service], APPS[app], (SETS[ports].to_vec(), ready, down));
            }
            Step::Declare { service, ports } => self.service(SERVICES[service], SETS[ports]),
            Step::Pass(ms) => self.clock.pass(ms),
            Step::Restart => self.restart(),
            Step::Swap => self.swap(),
        }
    }

    /// The ports that a Service declares.
    fn declared(&self, service: &str) -> Vec<Value> {
        let (_, service) = self.server.get(&Resource::Service.key(key(service))).unwrap();
        service["spec"]["ports"].as_array().unwrap().clone()
    }

    /// The ports of the apex that a backend declares and has ready, and whether it has any endpoint.
    fn served(&self, service: &'static str) -> Vec<u64> {
        let numbers = |service: &str| -> Vec<(String, u64)> {
            let port =
                |p: &Value| (p["name"].as_str().unwrap().to_owned(), p["port"].as_u64().unwrap());
            self.declared(service).iter().map(port).collect()
        };
        let asked: Vec<u64> = numbers("shop").into_iter().map(|(_, number)| number).collect();
        let offered = |name: &String| {
            let mut apps = self.apps.iter().filter(|((of, _), _)| *of == service);
            apps.any(|(_, (ports, ready, _))| *ready > 0 && ports.contains(&name.as_str()))
        };
        let own = numbers(service).into_iter();
        let own = own.filter(|(name, number)| asked.contains(number) && offered(name));
        own.map(|(_, number)| number).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn through_any_history_of_ports_no_traffic_goes_where_less_is_served(
        history in proptest::collection::vec(any_step(), 1..80),
    ) {
        let mut world = World::new(json!({}));
        world.control();
        for step in history {
            let before = world.decide().names(&world.intent());
            let changing = |health: &Health| {
                matches!(health, Health::Unknown(Unknown::Changed { .. }))
            };
            let was_changing = world.health().iter().any(changing);
            world.take(&step);
            if matches!(step, Step::Restart) && !was_changing {
                // From what is recorded and what is there.
                let after = world.decide().names(&world.intent());
                prop_assert_eq!(&before, &after, "{:?}", world.health());
            }
            let decision = world.decide();
            let intent = world.intent();
            let after = decision.names(&intent);
            // What a backend serves is never given up for a backend that serves none of it, unless it
            // is a better one that lacks nothing that was seen of it.
            if after != before && after == ["shop-b"] {
                let (shop, fallback) = (world.served("shop"), world.served("shop-b"));
                prop_assert!(shop.iter().all(|port| fallback.contains(port)),
                    "from {shop:?} to {fallback:?} by {step:?}: {:?}", world.health());
                prop_assert!(fallback.len() > shop.len() || fallback.is_empty(),
                    "from {shop:?} to {fallback:?} by {step:?}: {:?}", world.health());
            }
            // Where everything that is asked for is served, the primary has the traffic.
            let unknown = world.health()[0].is_unknown();
            let declared = world.declared("shop").len();
            if world.served("shop").len() == declared {
                prop_assert!(after == ["shop"] || unknown, "{after:?}: {:?}", world.health());
            }
            // Where nothing is, it has not, as long as the other serves anything.
            if world.served("shop").is_empty() && !world.served("shop-b").is_empty() {
                prop_assert!(after == ["shop-b"] || unknown, "{after:?}: {:?}", world.health());
            }
            world.control();
            let writes = world.controller.writes;
            world.control();
            prop_assert_eq!(world.controller.writes, writes, "comes to rest");
            // Whatever two replicas have seen before, they do not take turns; once the patience with a
            // Service that has just changed has ended, of which one that began since knows nothing.
            let mut patient = world.health().iter().any(changing);
            world.swap();
            patient |= world.health().iter().any(changing);
            world.swap();
            world.clock.pass(if patient { 5_000 } else { 0 });
            let mut turns = vec![];
            for _ in 0..3 {
                world.swap();
                let other = world.control();
                world.swap();
                turns.push((other, world.control()));
            }
            prop_assert_eq!(&turns[1], &turns[2], "a fight");
            prop_assert_eq!(&turns[1].0, &turns[1].1, "a fight");
        }
    }
}
