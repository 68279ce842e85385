use super::*;

fn claims() -> Claims {
    Claims {
        command: "bench".into(),
        commit: "0123456789ab".into(),
        machine: "2 CPUs (AMD EPYC)".into(),
        conditions: vec!["load average at the start: 0.12".into()],
        claims: vec![
            Claim::new("memory beside 50,000", "at most 160 MiB", "142 MiB", true),
            Claim::new("CPU an event", "at most 1.2 times", "1.31 times", false)
                .note("p50 | p99,\nof 5 rounds"),
            Claim::not_measured("clock jumps", "recovered in 15 s", "there is no libfaketime"),
        ],
    }
}

#[test]
fn markdown_has_the_bound_the_measure_and_the_verdict_of_each_claim() {
    insta::assert_snapshot!(claims().markdown(), @r"
    # make bench

    - commit: 0123456789ab
    - machine: 2 CPUs (AMD EPYC)
    - load average at the start: 0.12

    | claim | bound | measured | verdict | note |
    | --- | ---: | ---: | ---: | --- |
    | memory beside 50,000 | at most 160 MiB | 142 MiB | held |  |
    | CPU an event | at most 1.2 times | 1.31 times | MISSED | p50 \| p99, of 5 rounds |
    | clock jumps | recovered in 15 s |  | not measured | there is no libfaketime |

    1 of 3 held
    ");
}

#[test]
fn json_has_the_same() {
    insta::assert_json_snapshot!(claims(), @r#"
    {
      "command": "bench",
      "commit": "0123456789ab",
      "machine": "2 CPUs (AMD EPYC)",
      "conditions": [
        "load average at the start: 0.12"
      ],
      "claims": [
        {
          "name": "memory beside 50,000",
          "bound": "at most 160 MiB",
          "measured": "142 MiB",
          "verdict": "held",
          "note": ""
        },
        {
          "name": "CPU an event",
          "bound": "at most 1.2 times",
          "measured": "1.31 times",
          "verdict": "missed",
          "note": "p50 | p99,\nof 5 rounds"
        },
        {
          "name": "clock jumps",
          "bound": "recovered in 15 s",
          "measured": "",
          "verdict": "not-measured",
          "note": "there is no libfaketime"
        }
      ]
    }
    "#);
}

#[test]
fn both_are_written_by_the_name_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    claims().write(&proof).unwrap();
    let read = |name| std::fs::read_to_string(proof.join(name)).unwrap();
    assert_eq!(read("bench.md"), claims().markdown());
    assert_eq!(serde_json::from_str::<Claims>(&read("bench.json")).unwrap(), claims());
}

#[test]
fn all_have_held_only_where_each_was_measured_and_held() {
    let with = |range: std::ops::Range<usize>| {
        let all = claims();
        Claims { claims: all.claims[range].to_vec(), ..all }.all_held()
    };
    assert!(with(0..1));
    assert!(!with(0..2), "one is missed");
    assert!(!with(2..3), "one is not measured");
    assert!(!with(0..0), "nothing is proved by nothing");
}
