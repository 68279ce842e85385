//! The failover objects and the Services of a run, as data: a pure function of the seed. The world
//! makes them, and the observer's model reads them.

use crate::facts::{ObjectId, ObjectKind, Side};
use std::time::Duration;

/// All that a run begins with.
#[derive(Clone, Debug)]
pub struct Declarations {
    /// What traffic is sent to.
    pub services: Vec<ServiceSpec>,
    /// What fails over.
    pub objects: Vec<Declared>,
}

/// Where the endpoints of a Service come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// One slice of the Service's name, written by hand.
    Slice,
    /// A Deployment on kwok's node, its pods under the deletion guard.
    GuardedPods,
    /// The Service of this name and namespace in the west, read there (remote discovery).
    Remote {
        /// Its name there.
        service: String,
    },
}

/// A Service, and how many endpoints it has while nothing is lost.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// In which cluster.
    pub side: Side,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where its endpoints come from.
    pub source: Source,
    /// How many there are at the start.
    pub endpoints: usize,
}

/// A backend as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// A Service of the object's namespace.
    pub service: String,
    /// The author's weight.
    pub weight: u32,
}

/// A failover object as its author wrote it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Which.
    pub id: ObjectId,
    /// The Service that clients call.
    pub apex: String,
    /// The backends of a split; those of each rule of a route.
    pub sets: Vec<Vec<Backend>>,
    /// `primary-service`; empty where the first backend is the primary.
    pub primaries: Vec<String>,
    /// `fallback-order`; empty where all fallbacks are one tier.
    pub fallback_order: Vec<String>,
    /// `min-ready`, as a number.
    pub min_ready: Option<usize>,
    /// `failover-delay`.
    pub failover_delay: Duration,
    /// `failback-delay`.
    pub failback_delay: Duration,
    /// `failback: manual`.
    pub manual_failback: bool,
    /// `warm-standby: "true"`.
    pub warm_standby: bool,
    /// `protection: seamless`, which is warm standby too.
    pub seamless: bool,
    /// `pin`.
    pub pin: Option<String>,
    /// `paused: "true"`.
    pub paused: bool,
}

/// How many failover objects there are.
pub const OBJECTS: usize = 300;
/// In so many namespaces.
pub const NAMESPACES: usize = 4;
const PRIMARIES: usize = 6;
const FALLBACKS: usize = 4;

/// The name of the `nth` namespace.
pub fn namespace(nth: usize) -> String {
    format!("chaos-{nth}")
}

/// All that a run begins with.
pub fn declarations(seed: u64) -> Declarations {
    let mut random = fastrand::Rng::with_seed(seed);
    let services = (0..NAMESPACES).flat_map(|nth| services_of(&namespace(nth))).collect();
    let objects = (0..OBJECTS).map(|nth| object(nth, &mut random)).collect();
    Declarations { services, objects }
}

/// Primaries and fallbacks with slices, one Service with guarded pods, and one of the west's.
fn services_of(namespace: &str) -> Vec<ServiceSpec> {
    let service = |side, name: String, source, endpoints| ServiceSpec {
        side,
        namespace: namespace.into(),
        name,
        source,
        endpoints,
    };
    let primaries = (0..PRIMARIES).map(|n| service(Side::East, format!("p{n}"), Source::Slice, 3));
    let fallbacks = (0..FALLBACKS).map(|n| service(Side::East, format!("f{n}"), Source::Slice, 2));
    let remote = Source::Remote { service: "r0".into() };
    primaries
        .chain(fallbacks)
        .chain([
            service(Side::East, "g0-svc".into(), Source::GuardedPods, 2),
            service(Side::West, "r0".into(), Source::Slice, 2),
            service(Side::East, "r0-west".into(), remote, 0),
        ])
        .collect()
}

fn object(nth: usize, random: &mut fastrand::Rng) -> Declared {
    let kind = match nth % 10 {
        0..=4 => ObjectKind::TrafficSplit,
        5..=7 => ObjectKind::HttpRoute,
        _ => ObjectKind::GrpcRoute,
    };
    let primary = primary(nth, random);
    let fallbacks = fallbacks(random);
    let set = set(&primary, &fallbacks, random);
    let rules = if kind == ObjectKind::TrafficSplit { 1 } else { random.usize(1..=2) };
    let mut declared = Declared {
        id: ObjectId {
            kind,
            namespace: namespace(nth % NAMESPACES),
            name: format!("object-{nth}"),
        },
        apex: format!("apex-{nth}"),
        sets: vec![set; rules],
        primaries: vec![],
        fallback_order: vec![],
        min_ready: None,
        failover_delay: Duration::ZERO,
        failback_delay: Duration::ZERO,
        manual_failback: false,
        warm_standby: false,
        seamless: false,
        pin: None,
        paused: false,
    };
    // Every policy has its share of each kind, whatever the seed.
    apply_policy(&mut declared, nth / 10 % 15, &primary, &fallbacks, random);
    declared
}

/// A shared one mostly; of some objects that with guarded pods, or that of the west.
fn primary(nth: usize, random: &mut fastrand::Rng) -> String {
    match nth % 12 {
        10 => "g0-svc".into(),
        11 => "r0-west".into(),
        _ => format!("p{}", random.usize(..PRIMARIES)),
    }
}

/// One to three others, in an order of the seed's.
fn fallbacks(random: &mut fastrand::Rng) -> Vec<String> {
    let mut all: Vec<String> = (0..FALLBACKS).map(|n| format!("f{n}")).collect();
    random.shuffle(&mut all);
    all.truncate(random.usize(1..=3));
    all
}

fn set(primary: &str, fallbacks: &[String], random: &mut fastrand::Rng) -> Vec<Backend> {
    let first = Backend { service: primary.into(), weight: [1, 10, 100][random.usize(..3)] };
    let rest = fallbacks
        .iter()
        .map(|name| Backend { service: name.clone(), weight: [0, 0, 1, 5][random.usize(..4)] });
    std::iter::once(first).chain(rest).collect()
}

fn apply_policy(
    object: &mut Declared,
    policy: usize,
    primary: &str,
    fallbacks: &[String],
    random: &mut fastrand::Rng,
) {
    let seconds = |random: &mut fastrand::Rng| Duration::from_secs(random.u64(1..=4));
    let last = fallbacks.last().cloned().unwrap_or_default();
    match policy {
        0 => object.fallback_order = fallbacks.iter().rev().cloned().collect(),
        1 => object.min_ready = Some(2),
        2 => object.failover_delay = seconds(random),
        3 => object.failback_delay = seconds(random),
        4 => object.manual_failback = true,
        5 => object.warm_standby = true,
        6 => object.seamless = true,
        7 => object.pin = Some(last),
        8 => object.paused = true,
        9 => object.primaries = vec![primary.into(), last],
        10 => {
            object.fallback_order = fallbacks.to_vec();
            object.failback_delay = seconds(random);
            object.warm_standby = true;
        }
        // What most people have.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_has_one_world() {
        let text = |seed| format!("{:?}", declarations(seed));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }

    #[test]
    fn every_kind_and_every_policy_is_there() {
        for seed in 0..20 {
            let objects = declarations(seed).objects;
            assert_eq!(objects.len(), OBJECTS);
            let kinds: BTreeSet<_> = objects.iter().map(|object| object.id.kind).collect();
            assert_eq!(kinds.len(), 3);
            let any = |has: fn(&Declared) -> bool| objects.iter().any(has);
            assert!(any(|o| !o.fallback_order.is_empty()) && any(|o| o.min_ready.is_some()));
            assert!(any(|o| !o.failover_delay.is_zero()) && any(|o| !o.failback_delay.is_zero()));
            assert!(any(|o| o.manual_failback) && any(|o| o.warm_standby) && any(|o| o.seamless));
            assert!(
                any(|o| o.pin.is_some()) && any(|o| o.paused) && any(|o| o.primaries.len() > 1)
            );
            assert!(any(|o| o.sets.len() > 1) && any(|o| o.apex.starts_with("apex")));
            assert!(any(|o| o.sets[0][0].service == "g0-svc"));
            assert!(any(|o| o.sets[0][0].service == "r0-west"));
        }
    }

    #[test]
    fn a_set_names_each_backend_once_and_gives_one_of_them_weight() {
        for object in (0..20).flat_map(|seed| declarations(seed).objects) {
            for set in &object.sets {
                let names: BTreeSet<_> = set.iter().map(|backend| &backend.service).collect();
                assert_eq!(names.len(), set.len(), "{}", object.id);
                assert!(set.iter().any(|backend| backend.weight > 0), "{}", object.id);
            }
        }
    }
}
