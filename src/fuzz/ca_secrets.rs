//! The Secret with the CA: whatever is in it, a few writes make it one that a leaf can be issued from.

use crate::fuzz::input::Source;
use jiff::{SignedDuration, Timestamp};
use std::cell::LazyCell;
use webhook_certs::{
    CA_CERT, CA_KEY, Data, InUse, Lifetimes, NEXT_CERT, NEXT_KEY, OLD_CERTS, Observed, ROTATION,
    Step, contains, expiries, next_step, verifies,
};

const KEYS: [&str; 6] = [CA_CERT, CA_KEY, NEXT_CERT, NEXT_KEY, OLD_CERTS, ROTATION];
const ROTATIONS: &[&str] = &[
    "{}",
    r#"{"v":1}"#,
    r#"{"v":2}"#,
    r#"{"v":1,"oldUntil":"2999-01-01T00:00:00Z"}"#,
    r#"{"v":1,"oldUntil":"2026-01-02T00:00:00Z"}"#,
    r#"{"v":1,"oldUntil":"soon"}"#,
    "[",
    "",
];

thread_local! {
    static SAMPLES: LazyCell<Samples> = LazyCell::new(Samples::new);
}

/// Two CAs, one that has expired and one for other names: each a certificate and its key.
struct Samples {
    texts: Vec<Vec<u8>>,
}

pub(super) fn names() -> [String; 1] {
    ["linkerd-failover.linkerd-failover.svc".to_owned()]
}

pub(super) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().expect("a time")
}

pub(super) fn created(names: &[String], now: Timestamp) -> Data {
    let data = Data::new();
    let observed = Observed { data: &data, trusted_for: None };
    match next_step(observed, names, &Lifetimes::default(), now) {
        Ok(Step::Write { data, .. }) => data,
        other => panic!("an empty Secret has to be written: {other:?}"),
    }
}

impl Samples {
    fn new() -> Self {
        let long_ago = now() - SignedDuration::from_hours(24 * 1000);
        let due = now() - SignedDuration::from_hours(24 * 250);
        let all = [
            created(&names(), now()),
            created(&names(), due),
            created(&names(), long_ago),
            created(&["other.svc".to_owned()], now()),
        ];
        Self {
            texts: all
                .iter()
                .flat_map(|data| [data[CA_CERT].clone(), data[CA_KEY].clone()])
                .collect(),
        }
    }
}

/// Fills a Secret as the input chooses, and follows the steps of one replica.
pub(super) fn run(input: &[u8]) {
    let mut source = Source::new(input);
    let data = SAMPLES.with(|samples| {
        let mut data = Data::new();
        for key in KEYS {
            if let Some(value) = value(&mut source, key, samples) {
                data.insert(key.into(), value);
            }
        }
        data
    });
    let trusted_for =
        source.one_in(2).then(|| SignedDuration::from_secs(source.below(1_000_000) as i64));
    // Not of each: to issue costs as much as all that is read.
    let issues = source.one_in(4);
    settles(data, trusted_for, issues, |observed| {
        next_step(observed, &names(), &Lifetimes::default(), now()).expect("a step")
    });
}

/// Follows the steps until the Secret can be used: soon, and with a CA that everybody trusts.
pub(super) fn settles(
    mut data: Data,
    mut trusted_for: Option<SignedDuration>,
    issues: bool,
    mut step: impl FnMut(Observed<'_>) -> Step,
) {
    for _ in 0..6 {
        match step(Observed { data: &data, trusted_for }) {
            Step::Write { data: next, .. } => {
                assert!(next != data, "a write that changes nothing");
                data = next;
                trusted_for = None;
            }
            Step::Use(in_use) => {
                check_use(&in_use, issues);
                return;
            }
        }
    }
    panic!("the Secret is written again and again");
}

fn check_use(in_use: &InUse, issues: bool) {
    let bundle = in_use.bundle.as_bytes();
    assert!(contains(bundle, in_use.authority.certificate()), "a CA that nobody trusts");
    assert!(!expiries(bundle).is_empty());
    if issues {
        let leaf = in_use.authority.issue(&names(), &Lifetimes::default(), now()).expect("a leaf");
        verifies(bundle, &leaf, &names()[0], now()).expect("a leaf that clients accept");
    }
}

fn value(source: &mut Source<'_>, key: &str, samples: &Samples) -> Option<Vec<u8>> {
    if key == ROTATION && !source.one_in(4) {
        return Some(source.pick(ROTATIONS).as_bytes().to_vec());
    }
    let is_key = usize::from(key.ends_with(".key"));
    let mut text = match source.below(8) {
        0 => return None,
        1 => vec![],
        // Any of them, the key in the place of the certificate too.
        2 => source.pick(&samples.texts).clone(),
        3 => [source.pick(&samples.texts).clone(), source.pick(&samples.texts).clone()].concat(),
        _ => samples.texts[source.below(4) * 2 + is_key].clone(),
    };
    match source.below(12) {
        0 => text.truncate(source.below(text.len() + 1)),
        1 => {
            let at = source.below(text.len().max(1));
            if let Some(byte) = text.get_mut(at) {
                *byte = source.below(256) as u8;
            }
        }
        2 => text.splice(0..0, *b"\xef\xbb\xbfgarbage\n").for_each(drop),
        _ => {}
    }
    Some(text)
}
