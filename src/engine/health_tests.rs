use super::*;
use crate::engine::Port;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn announced(count: u32, until: i64) -> Announced {
    Announced { count, until: SteadyTime::at(until) }
}

fn down(basis: DownBasis, why: &str) -> Health {
    let seen = Health::seen(2, 2);
    let until = second(60);
    Health::DeclaredDown(Box::new(DownUntil {
        until,
        why: why.into(),
        basis,
        by_person: false,
        seen,
    }))
}

#[test]
fn announcements_add_up_until_the_first_of_them_ends() {
    assert_eq!(announced(2, 30).and(Some(announced(1, 20))), announced(3, 20));
    assert_eq!(announced(2, 20).and(Some(announced(1, 30))), announced(3, 20));
    assert_eq!(announced(2, 30).and(None), announced(2, 30));
}

#[test]
fn what_is_declared_down_is_what_it_is_beside_that() {
    let health = down(DownBasis::Declared, "a drill");
    assert!(!health.is_ready() && !health.is_partly_ready() && !health.is_unknown());
    assert!(health.exists() && health.undeclared().is_ready());
    assert_eq!((health.announced(), health.counts()), (None, vec![]));
    let leaving =
        Health::Seen { ready: 2, total: 3, peak: 2, announced: Some(announced(2, 9)), ports: None };
    let beside = |seen: Health| match down(DownBasis::Declared, "a drill") {
        Health::DeclaredDown(down) => Health::DeclaredDown(Box::new(DownUntil { seen, ..*down })),
        other => other,
    };
    assert_eq!(beside(leaving.clone()).as_seen(), beside(leaving.as_seen()));
    let gone = Health::Seen { ready: 0, total: 1, peak: 2, announced: None, ports: None };
    assert_eq!(leaving.without_announced(), gone);
    assert_eq!(beside(leaving).without_announced(), beside(gone));
}

#[test]
fn a_lost_port_is_remembered_beside_a_declaration() {
    let port = |number, name: &str, ready| Port {
        number,
        name: name.into(),
        ready,
        total: ready,
        served: ready > 0,
        ..Port::default()
    };
    let seen = Health::of_ports(Ports::new(vec![port(80, "web", 1), port(81, "adm", 0)], 1), None);
    let DownUntil { until, why, basis, by_person, .. } =
        down(DownBasis::Declared, "").declared().unwrap().clone();
    let mut health =
        Health::DeclaredDown(Box::new(DownUntil { until, why, basis, by_person, seen }));
    assert!(health.undeclared().is_ready());
    health.remember(&[vec!["adm".to_owned()]]);
    assert!(!health.undeclared().is_ready() && health.undeclared().is_partly_ready());
}

#[test]
fn only_a_service_that_is_there_and_can_be_one_exists() {
    for (health, exists) in [
        (Health::Missing, false),
        (Health::Impossible { why: "".into() }, false),
        (Health::ExternalName, true),
        (Health::seen(0, 0), true),
        (Health::Unknown(Unknown::NotYet), true),
    ] {
        assert_eq!(health.exists(), exists, "{health:?}");
    }
}

#[test]
fn every_health_has_its_sentence() {
    let cluster = || "west".to_owned();
    let why = || "it says no".to_owned();
    let unknown = [
        (
            Unknown::NotLinked { cluster: cluster() },
            "no credentials for cluster west: link it, or name the namespace of its Secret in \
             remoteClusters.credentialsNamespaces",
        ),
        (
            Unknown::Refused { cluster: cluster(), why: why() },
            "no access to cluster west: it says no",
        ),
        (
            Unknown::Unverified { cluster: cluster(), why: why() },
            "cluster west cannot be verified: it says no",
        ),
        (
            Unknown::Failing { cluster: cluster(), why: why() },
            "cluster west answers with errors: it says no",
        ),
        (
            Unknown::Unreachable { cluster: cluster(), since: second(9) },
            "cluster west cannot be reached since 1970-01-01T00:00:09Z",
        ),
        (Unknown::NotListed { cluster: cluster() }, "cluster west has not been asked yet"),
        (
            Unknown::Changed { until: SteadyTime::at(1) },
            "the Service has just changed and its endpoints have not followed yet",
        ),
        (
            Unknown::no_such_port(&[8080, 80].into()),
            "the Service has no port 80 or 8080: Linkerd takes the number as its pods' own port",
        ),
        (Unknown::NotWatched { namespace: "other".into() }, "namespace other is not watched"),
        (Unknown::Unclear { why: "two meanings".into() }, "two meanings"),
    ];
    for (unknown, text) in unknown {
        let health = Health::Unknown(unknown);
        assert_eq!(health.to_string(), format!("health unknown, {text}"));
    }
    assert_eq!(Unknown::NotYet.to_string(), "not seen yet");
    let leaving =
        Health::Seen { ready: 2, total: 3, peak: 3, announced: Some(announced(1, 9)), ports: None };
    let unreachable = Health::Unreachable { cluster: cluster(), since: second(9) };
    for (health, text) in [
        (Health::Unknown(Unknown::NotYet), "health not seen yet"),
        (Health::seen(1, 2), "1 of 2 endpoints ready"),
        (Health::seen(0, 2), "0 of 2 endpoints ready"),
        (Health::seen(0, 0), "no endpoints"),
        (leaving, "2 of 3 endpoints ready, 1 about to be deleted"),
        (Health::Missing, "no such Service"),
        (Health::Impossible { why: "too long a name".into() }, "too long a name"),
        (Health::ExternalName, "an ExternalName Service"),
        (unreachable, "cluster west cannot be reached since 1970-01-01T00:00:09Z"),
        (
            down(DownBasis::Declared, "a drill"),
            "declared down until 1970-01-01T00:01:00Z (a drill), 2 of 2 endpoints ready",
        ),
        (
            down(DownBasis::Prolonged, "a drill"),
            "stays away until 1970-01-01T00:01:00Z because it was declared down again within 10 minutes \
             of its return (a drill), 2 of 2 endpoints ready",
        ),
        (
            down(DownBasis::Prolonged, ""),
            "stays away until 1970-01-01T00:01:00Z because it was declared down again within 10 minutes \
             of its return, 2 of 2 endpoints ready",
        ),
        (
            down(DownBasis::Recorded, ""),
            "declared down, as the leader has recorded, 2 of 2 endpoints ready",
        ),
    ] {
        assert_eq!(health.to_string(), text);
    }
}
