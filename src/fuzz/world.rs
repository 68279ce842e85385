//! A cluster of facts for the inputs: the Services that documents name, with as many ready endpoints as an
//! input chooses.

use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::admission::validate::{Validation, validate};
use crate::admission::view::{FactSource, LiveLookups, Lookup, Rules, SeenServices, View};
use crate::engine::{Defaults, Identity, Now};
use crate::fuzz::input::Source;
use crate::fuzz::input::documents::{NAMESPACE, SERVICES};
use crate::index::endpoints::{AddressFamilies, SliceFacts};
use crate::index::order::Arrival;
use crate::index::service_facts::ServiceFacts;
use crate::index::slice_table::SliceUpdate;
use crate::index::store::Index;
use crate::index::synced::Synced;
use crate::kinds::linkerd::failfast::{Failfast, FailfastTimeout};
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectKey};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// The facts, and what a review knows beside them.
pub(crate) struct World {
    pub(crate) index: Index,
    looked_up: LiveLookups,
    pub(crate) selector: LabelSelector,
    rules: Rules,
    pub(crate) me: Identity,
}

/// The time of every decision.
pub(crate) fn now() -> Now {
    Now::at(Timestamp::from_second(1_000_000).expect("a time"))
}

/// What the generator or a test made by itself, as a type of the program's.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("as the generator makes it")
}

/// The endpoints of a Service.
fn slice(service: &str, ready: usize, all: usize) -> SliceUpdate {
    let network: u8 = service.bytes().fold(0, |net, byte| net.wrapping_mul(31).wrapping_add(byte));
    let endpoint = |i| json!({"addresses": [format!("10.0.{network}.{i}")], "conditions": {"ready": i < ready}});
    let endpoints: Vec<Value> = (0..all).map(endpoint).collect();
    let slice = typed(json!({"addressType": "IPv4", "metadata": {}, "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080}]}));
    let facts = SliceFacts::read(&slice, AddressFamilies::default());
    let key = ObjectKey::new(NAMESPACE, service);
    SliceUpdate { slice: key.clone(), version: 1, service: Some(key), facts }
}

impl World {
    /// A cluster whose Services have up to three endpoints, as the input chooses. Other Services are known to
    /// be missing.
    pub(crate) fn of(source: &mut Source<'_>) -> Self {
        let mut index = Index::default();
        (index.synced, index.now) = (Synced::ALL, now());
        let timeout = FailfastTimeout { timeout: Duration::from_millis(200), set_in: None };
        index.failfast = Failfast::Known(timeout);
        for kind in Kind::ALL {
            index.set_served(kind, Some(kind.versions()[0]));
        }
        let ports = json!([{"name": "http", "port": 8080}, {"name": "admin", "port": 80}]);
        let service: ServiceFacts =
            ServiceFacts::read(&typed(json!({"metadata": {}, "spec": {"ports": ports}})));
        for name in SERVICES {
            let all = source.below(4);
            let ready = source.below(all + 1);
            // Most Services serve.
            let (ready, all) = if source.one_in(2) { (ready, all) } else { (2, 2) };
            index.enter_service(
                ObjectKey::new(NAMESPACE, name),
                1,
                service.clone(),
                Arrival::Watched,
            );
            index.enter_slice(slice(name, ready, all), Arrival::Watched);
        }
        Self {
            index,
            looked_up: LiveLookups::new(),
            selector: "failover.linkerd.io/controlled-by=linkerd-failover"
                .parse()
                .expect("a selector"),
            rules: Rules::default(),
            me: Identity::new("replica-a"),
        }
    }

    /// The Services of these names are known to be missing.
    pub(crate) fn without<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let missing = names.into_iter().map(|name| (name.to_owned(), Lookup::Missing));
        self.looked_up = missing.collect();
    }

    pub(crate) fn view(&self, kind: Kind) -> View<'_> {
        View {
            facts: FactSource::Owned(&self.index),
            looked_up: &self.looked_up,
            selector: &self.selector,
            kind,
            takes_text: false,
            namespace: NAMESPACE,
            rules: &self.rules,
            defaults: Defaults::default(),
            manager: None,
            dry_run: false,
            me: &self.me,
            now: now(),
            services: SeenServices::default(),
        }
    }

    /// The validator's verdict on a new object.
    pub(crate) fn validation(&self, kind: Kind, object: &SentObject) -> Validation {
        validate(None, &ReviewedObject::read(kind, object), &self.view(kind))
    }
}
