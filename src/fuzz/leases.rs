//! The Lease: whoever wrote it, at most one replica leads by it, and nothing in it ends the election.

use crate::engine::annotations::{BRAKE, JUDGE};
use crate::fuzz::input::Source;
use crate::leader_election::claim::{Claim, leader_address, record};
use crate::leader_election::election::{Election, ElectionStep, Timing};
use crate::leader_election::observed::Observed;
use crate::reconciler::gates::brake::BrakeRecord;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The first byte chooses whether the rest is the Lease itself, or makes a likely one.
pub(super) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    if choice % 4 == 0 {
        if let Ok(lease) = serde_json::from_slice(rest) {
            checked(&lease, now());
        }
        return;
    }
    let mut source = Source::new(rest);
    let generated = lease(&mut source);
    if let Ok(lease) = serde_json::from_value::<Lease>(generated.clone()) {
        checked(&lease, now());
        agree(&generated, &lease);
    }
    elect(&mut source);
}

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).expect("a time")
}

fn year_0() -> Timestamp {
    "0000-01-01T00:00:00Z".parse().expect("a time")
}

pub(super) fn claim(identity: &str) -> Claim {
    Claim {
        lease: "linkerd-failover".into(),
        identity: identity.into(),
        address: "10.1.2.3:8443".parse().ok(),
        duration: Duration::from_secs(6),
    }
}

/// Every reader and writer of a Lease.
fn checked(lease: &Lease, now: Timestamp) {
    let holder = record(lease).holder;
    let address = leader_address(lease);
    assert!(address.is_none() || !holder.is_empty(), "nobody's address");
    if let Observed::NotRenewed { holder: named, .. } = Observed::of(Some(lease), now) {
        assert_eq!(named, holder);
    }
    let brake = lease.metadata.annotations.as_ref().and_then(|all| all.get(BRAKE));
    let brake = BrakeRecord::parse(brake.map(String::as_str));
    assert_eq!(BrakeRecord::parse(Some(&brake.to_json())), brake);

    let claim = claim("me");
    assert_eq!(claim.claimed(ElectionStep::Wait, Some(lease.clone()), now), None);
    for new_holder in [false, true] {
        let step = ElectionStep::Update { new_holder };
        let claimed = claim.claimed(step, Some(lease.clone()), now).expect("a claim");
        taken(&claim, &claimed, now);
    }
    let released = claim.released(lease.clone(), now);
    assert_eq!(released.is_some(), holder == "me", "only the holder releases");
}

/// A Lease that was claimed is the claimant's, for everybody.
pub(super) fn taken(claim: &Claim, lease: &Lease, now: Timestamp) {
    assert_eq!(record(lease).holder, claim.identity);
    assert_eq!(leader_address(lease), claim.address);
    assert_eq!(Observed::of(Some(lease), now), Observed::Led);
    // No API server has a year before 0, and none can be written.
    let spec = lease.spec.iter();
    let mut times = spec.flat_map(|spec| [&spec.acquire_time, &spec.renew_time]).flatten();
    if times.any(|time| time.0 < year_0()) {
        return;
    }
    let written = serde_json::to_vec(lease).expect("JSON");
    let read: Lease = serde_json::from_slice(&written).expect("a Lease");
    assert_eq!(
        (record(&read).holder, leader_address(&read)),
        (record(lease).holder, claim.address)
    );
}

/// What is read of a Lease stands in its JSON.
fn agree(json: &Value, lease: &Lease) {
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
    assert_eq!(record(lease).holder, text("/spec/holderIdentity").unwrap_or_default());
    let annotation = json.pointer("/metadata/annotations").and_then(|all| all.get(JUDGE)?.as_str());
    let is_held = text("/spec/holderIdentity").is_some_and(|holder| !holder.is_empty());
    let address = annotation.filter(|_| is_held).and_then(|text| {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = host.split_once('%').map_or(host, |(host, _)| host);
        Some((host.parse::<std::net::IpAddr>().ok()?, port.parse::<u16>().ok()?))
    });
    let read = leader_address(lease).map(|address| (address.ip(), address.port()));
    assert!(read == address || read.is_none(), "{read:?} for {address:?}");
}

fn lease(source: &mut Source<'_>) -> Value {
    let times = [
        "1970-01-12T13:46:39.000000Z",
        "1970-01-12T13:46:00.5Z",
        "2999-01-01T00:00:00Z",
        "-009999-01-02T01:59:59Z",
        "9999-12-30T22:00:00.999999999Z",
        "soon",
    ];
    let mut spec = json!({});
    for _ in 0..source.below(7) {
        match source.below(6) {
            0 | 1 => spec["holderIdentity"] = json!(source.pick(&["me", "other", ""])),
            2 => {
                spec["leaseDurationSeconds"] = json!(source.pick(&[15, 0, -1, i32::MAX, i32::MIN]));
            }
            3 => spec["leaseTransitions"] = json!(source.pick(&[0, 1, -1, i32::MAX, i32::MIN])),
            4 => spec["renewTime"] = json!(source.pick(&times)),
            _ => spec["acquireTime"] = json!(source.pick(&times)),
        }
    }
    let addresses = [
        "10.1.2.3:8443",
        "[::1]:1",
        "10.1.2.3",
        "x:1",
        "10.1.2.3:70000",
        "",
        "[fe80::1%1]:1",
        "1.2.3.4:+1",
    ];
    let brakes = [
        r#"{"v":1,"n":3,"since":null}"#,
        r#"{"v":1,"n":18446744073709551615,"since":"1970-01-01T00:00:00Z","by":"a","later":1}"#,
        r#"{"v":2,"n":1}"#,
        "{",
        "",
        r#"{"v":1,"n":1,"since":"1970-01-01T00:00:00.123456789Z","ended":"1970-01-01T00:00:01Z"}"#,
    ];
    let mut metadata = json!({"name": "linkerd-failover", "resourceVersion": "7"});
    if !source.one_in(4) {
        metadata["annotations"] =
            json!({JUDGE: source.pick(&addresses), BRAKE: source.pick(&brakes)});
    }
    let mut lease = json!({"metadata": metadata, "spec": spec});
    if source.one_in(8) {
        source.damage(&mut lease);
    }
    lease
}

/// Two candidates, whose writes the API server orders, and somebody else who writes the Lease at times.
fn elect(source: &mut Source<'_>) {
    let (began, timing) = (Instant::now(), Timing::default());
    let mut candidates = ["a", "b"].map(|name| (Election::new(name, timing), claim(name)));
    let (mut stored, mut elapsed) = (None::<Lease>, Duration::ZERO);
    for _ in 0..source.below(24) {
        elapsed += Duration::from_millis(source.below(3_000) as u64);
        let at = began + elapsed;
        let wall = now() + elapsed;
        let who = source.below(2);
        if source.one_in(12) {
            // Deleted, or edited by a person: whoever led finds out when it renews.
            stored =
                source.one_in(2).then(|| serde_json::from_value(lease(source)).unwrap_or_default());
            for (candidate, _) in &mut candidates {
                candidate.lost();
            }
            continue;
        }
        let (candidate, claim) = &mut candidates[who];
        let step = candidate.observe(stored.as_ref().map(record), at);
        assert_eq!(step == ElectionStep::Create, stored.is_none());
        let Some(claimed) = claim.claimed(step, stored.clone(), wall) else {
            candidate.lost();
            continue;
        };
        if source.one_in(6) {
            // Its write does not arrive.
            continue;
        }
        candidate.wrote(record(&claimed), at);
        stored = Some(claimed);
        one_leads(&candidates.each_ref().map(|(candidate, _)| candidate.leads(at)));
    }
}

pub(super) fn one_leads(leads: &[bool]) {
    assert!(leads.iter().filter(|leads| **leads).count() <= 1, "two replicas lead");
}
