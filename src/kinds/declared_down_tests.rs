use super::*;
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn annotations(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn written(declared: &DeclaredDown) -> BTreeMap<String, String> {
    let values = declared.to_annotations().into_iter();
    values.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn alert(fingerprint: &str, until: i64) -> DownAlert {
    DownAlert { fingerprint: fingerprint.into(), since: at(10), until: at(until) }
}

#[test]
fn a_time_alone_is_a_persons_by_hand() {
    let read = DeclaredDown::read(&annotations(&[(DOWN_UNTIL, "2026-01-31T14:30:00Z")]));
    assert!(read.problems.is_empty());
    let declared = read.declared.unwrap();
    assert_eq!((declared.by, declared.reason), (DownBy::Hand, None));
    assert_eq!(declared.until.to_string(), "2026-01-31T14:30:00Z");
}

#[test]
fn the_annotations_are_those_of_the_contract() {
    let person = DownBy::Person { person: "jane".into(), since: at(60) };
    let by = |by| DeclaredDown { until: at(90), reason: Some("drill".into()), by }.to_annotations();
    let [(until, time), (reason, why), (name, json)] = by(person);
    assert_eq!((until, time.as_deref()), (DOWN_UNTIL, Some("1970-01-01T00:01:30Z")));
    assert_eq!((reason, why.as_deref()), (DOWN_REASON, Some("drill")));
    let expected = r#"{"v":1,"person":"jane","since":"1970-01-01T00:01:00Z"}"#;
    assert_eq!((name, json.as_deref()), (DOWN_BY, Some(expected)));
    let [.., (_, json)] = by(DownBy::Alerts(vec![alert("f", 90)]));
    let expected = r#"{"v":1,"alerts":[{"fingerprint":"f","since":"1970-01-01T00:00:10Z","until":"1970-01-01T00:01:30Z"}]}"#;
    assert_eq!(json.as_deref(), Some(expected));
    assert_eq!(by(DownBy::Hand)[2], (DOWN_BY, None));
}

#[test]
fn what_cannot_be_read_is_as_if_absent_and_reported_with_its_next_step() {
    for text in ["", "soon", "2026-01-31", "2026-01-31T14:30:00", "1767191400"] {
        let read = DeclaredDown::read(&annotations(&[(DOWN_UNTIL, text)]));
        assert_eq!(read.declared, None, "{text}");
        insta::allow_duplicates! {
            let problem = read.problems[0].to_string().replace(&format!("{text:?}"), "<value>");
            insta::assert_snapshot!(problem, @"metadata.annotations[failover.linkerd.io/down-until]: found <value>, expected an RFC 3339 time such as 2026-01-31T14:30:00Z; kubectl annotate --overwrite … failover.linkerd.io/down-until=$(date -u -d +30min +%FT%TZ) sets one");
        }
    }
}

#[test]
fn who_cannot_be_read_is_a_person_so_that_no_alert_ends_it() {
    let until = (DOWN_UNTIL, "2026-01-31T14:30:00Z");
    for by in [
        "",
        "jane",
        "[]",
        "{}",
        r#"{"v":2,"person":"jane","since":"2026-01-31T14:00:00Z"}"#,
        r#"{"v":1,"person":"jane"}"#,
        r#"{"v":1,"alerts":[]}"#,
        r#"{"v":1,"alerts":[{"fingerprint":"f"}]}"#,
        r#"{"v":1,"person":"jane","since":"2026-01-31T14:00:00Z","alerts":[]}"#,
    ] {
        let read = DeclaredDown::read(&annotations(&[until, (DOWN_BY, by)]));
        let declared = read.declared.unwrap();
        assert_eq!((declared.by.clone(), declared.is_recorded()), (DownBy::Hand, false), "{by}");
        assert_eq!(read.problems.len(), 1, "{by}");
    }
}

#[test]
fn a_time_that_a_person_has_changed_is_no_longer_the_alerts_own() {
    let by = DownBy::Alerts(vec![alert("f", 90), alert("g", 120)]);
    let until = |second| DeclaredDown { until: at(second), reason: None, by: by.clone() };
    assert!(until(120).is_by_alerts());
    assert!(!until(90).is_by_alerts() && !until(600).is_by_alerts());
    assert!(until(120).is_recorded() && !until(600).is_recorded(), "a person's is not removed");
}

#[test]
fn it_ends_at_its_time() {
    let declared = DeclaredDown { until: at(90), reason: None, by: DownBy::Hand };
    assert!(!declared.has_ended(at(89)) && declared.has_ended(at(90)));
}

#[test]
fn nobody_declares_down_without_the_annotations() {
    let none = DeclaredDown::no_annotations();
    assert!(none.iter().all(|(_, value)| value.is_none()));
    let names = written(&DeclaredDown {
        until: at(90),
        reason: Some("drill".into()),
        by: DownBy::Person { person: "jane".into(), since: at(60) },
    });
    assert!(names.keys().all(|name| none.iter().any(|(none, _)| none == name)));
    assert!(DeclaredDown::read(&BTreeMap::new()).declared.is_none());
}

fn any_by() -> impl Strategy<Value = DownBy> {
    let alert = ("[0-9a-f]{16}", 0_i64..1_000_000, 0_i64..1_000_000);
    let alert = alert.prop_map(|(fingerprint, since, until)| DownAlert {
        fingerprint,
        since: at(since),
        until: at(until),
    });
    prop_oneof![
        Just(DownBy::Hand),
        (".*", 0_i64..1_000_000).prop_map(|(person, s)| DownBy::Person { person, since: at(s) }),
        prop::collection::vec(alert, 1..5).prop_map(DownBy::Alerts),
    ]
}

proptest! {
    #[test]
    fn a_declaration_reads_back_as_it_was_written(
        until in 0_i64..1_000_000, reason in prop::option::of("[a-z]{1,9}"), by in any_by(),
    ) {
        let declared = DeclaredDown { until: at(until), reason, by };
        let read = DeclaredDown::read(&written(&declared));
        prop_assert!(read.problems.is_empty());
        prop_assert_eq!(read.declared, Some(declared));
    }

    #[test]
    fn no_value_is_a_panic(until in ".*", reason in ".*", by in ".*") {
        let all = [(DOWN_UNTIL, &*until), (DOWN_REASON, &*reason), (DOWN_BY, &*by)];
        let _ = DeclaredDown::read(&annotations(&all));
    }
}

#[test]
fn the_patch_sets_or_removes_all_three_annotations_and_carries_the_version_it_rests_on() {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let until = time("2026-01-31T14:35:00Z");
    let since = time("2026-01-31T14:30:00Z");
    let by = DownBy::Alerts(vec![DownAlert { fingerprint: "9f2c".into(), since, until }]);
    let declared = DeclaredDown { until, reason: Some("Failing: 40 %".into()), by };
    insta::assert_json_snapshot!(patch(Some("42".into()), Some(&declared)), @r#"
    {
      "metadata": {
        "annotations": {
          "failover.linkerd.io/down-by": "{\"v\":1,\"alerts\":[{\"fingerprint\":\"9f2c\",\"since\":\"2026-01-31T14:30:00Z\",\"until\":\"2026-01-31T14:35:00Z\"}]}",
          "failover.linkerd.io/down-reason": "Failing: 40 %",
          "failover.linkerd.io/down-until": "2026-01-31T14:35:00Z"
        },
        "resourceVersion": "42"
      }
    }
    "#);
    let removed = patch(Some("42".into()), None);
    let removed = removed["metadata"]["annotations"].as_object().unwrap().clone();
    assert!(removed.len() == 3 && removed.values().all(Value::is_null), "{removed:?}");
}
