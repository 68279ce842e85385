use super::*;
use crate::kinds::Kind;

fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn any_annotation_of_linkerds_retries_counts_and_a_limit_of_0_forbids_them() {
    for (pairs, expected) in [
        (&[][..], RetrySetting::None),
        (&[("retry.linkerd.iox/http", "5xx"), ("retry.linkerd.i/http", "5xx")], RetrySetting::None),
        (&[("retry.linkerd.io/timeout", "1s")], RetrySetting::Set),
        (&[("retry.linkerd.io/whatever", "")], RetrySetting::Set),
        (&[(HTTP, "5xx"), (LIMIT, "00")], RetrySetting::Forbidden),
        (&[(LIMIT, "0")], RetrySetting::Forbidden),
        (&[(LIMIT, "many")], RetrySetting::Set),
    ] {
        assert_eq!(RetrySetting::of(&annotations(pairs)), expected, "{pairs:?}");
    }
}

const OURS: &str = "retry.linkerd.io/http=gateway-error,retry.linkerd.io/limit=2";

#[test]
fn added_is_what_is_recorded_and_still_stands_there_and_nothing_else() {
    let http = Kind::HttpRoute.retries();
    for (pairs, added, authored) in [
        (vec![], 0, RetrySetting::None),
        (
            vec![(HTTP, "gateway-error"), (LIMIT, "2"), (annotations::ADDED, OURS)],
            2,
            RetrySetting::None,
        ),
        // Without the record they are the author's, equal or not.
        (vec![(HTTP, "gateway-error"), (LIMIT, "2")], 0, RetrySetting::Set),
        (vec![(HTTP, "5xx"), (LIMIT, "2"), (annotations::ADDED, OURS)], 1, RetrySetting::Set),
        (
            vec![(HTTP, "gateway-error"), (LIMIT, "0"), (annotations::ADDED, OURS)],
            1,
            RetrySetting::Forbidden,
        ),
        (vec![(annotations::ADDED, OURS)], 0, RetrySetting::None),
        // What this program never adds is not its own, whatever the record says.
        (
            vec![("a", "b"), (HTTP, "5xx"), (annotations::ADDED, "a=b,retry.linkerd.io/http=5xx")],
            0,
            RetrySetting::Set,
        ),
        (vec![(HTTP, "gateway-error"), (annotations::ADDED, "=,,{]")], 0, RetrySetting::Set),
    ] {
        let read = RouteRetries::read(http, &annotations(&pairs), |_| false);
        assert_eq!((read.added.len(), read.authored), (added, authored), "{pairs:?}");
    }
    let all = annotations(&[(HTTP, "gateway-error"), (LIMIT, "2"), (annotations::ADDED, OURS)]);
    let read = RouteRetries::read(http, &all, |name| name == HTTP);
    assert_eq!(read, RouteRetries { added: vec![(LIMIT, "2")], authored: RetrySetting::Set });
    let of_split = RouteRetries::read(Kind::TrafficSplit.retries(), &all, |_| false);
    assert_eq!((of_split.added.len(), of_split.authored), (0, RetrySetting::Set));
}

#[test]
fn the_record_is_what_is_read_of_it() {
    for kind in Kind::ALL {
        let ours = kind.retries();
        let mut written = annotations(ours);
        written.extend(record(ours).map(|text| (annotations::ADDED.to_owned(), text)));
        assert_eq!(RouteRetries::read(ours, &written, |_| false).added, ours);
    }
    assert_eq!(record(Kind::HttpRoute.retries()).as_deref(), Some(OURS));
    assert_eq!(record(&[]), None);
    assert_eq!(
        describe(Kind::GrpcRoute.retries()),
        r#"retry.linkerd.io/grpc: "unavailable" and retry.linkerd.io/limit: "2""#
    );
}

/// Each case: what holds, and what becomes of the retries.
#[test]
fn retries_are_added_only_where_nobody_else_has_set_any() {
    let ours = Kind::HttpRoute.retries();
    let service = || "emoji-svc".to_owned();
    let has = |setting| ParentRetries::Has(service(), setting);
    let none = ParentRetries::None;
    let (seamless, standard) = (Some(Protection::Seamless), Some(Protection::Standard));
    for (ours, protection, authored, parents, expected) in [
        (ours, seamless, RetrySetting::None, none.clone(), WantedRetries::Added(ours)),
        (ours, standard, RetrySetting::None, none.clone(), WantedRetries::None(NotAdded::Standard)),
        (ours, standard, RetrySetting::Set, none.clone(), WantedRetries::None(NotAdded::Standard)),
        (ours, seamless, RetrySetting::Set, none.clone(), WantedRetries::None(NotAdded::Authored)),
        (
            ours,
            seamless,
            RetrySetting::Forbidden,
            none.clone(),
            WantedRetries::None(NotAdded::Authored),
        ),
        (
            ours,
            seamless,
            RetrySetting::None,
            has(RetrySetting::Set),
            WantedRetries::None(NotAdded::OfService(service())),
        ),
        (
            ours,
            seamless,
            RetrySetting::None,
            has(RetrySetting::Forbidden),
            WantedRetries::None(NotAdded::OfService(service())),
        ),
        (
            ours,
            seamless,
            RetrySetting::None,
            ParentRetries::Unknown(service()),
            WantedRetries::AsTheyAre,
        ),
        (ours, None, RetrySetting::None, none.clone(), WantedRetries::AsTheyAre),
        (&[], seamless, RetrySetting::None, none, WantedRetries::None(NotAdded::Kind)),
    ] {
        let found = wanted(ours, protection, authored, || parents.clone());
        assert_eq!(found, expected, "{protection:?} {authored:?} {parents:?}");
    }
}
