//! Annotations of authors: each reader against a second, naive one.

use crate::engine::{BackendIndex, Defaults, Intent, Threshold};
use crate::fuzz::input::Source;
use crate::fuzz::input::annotations::{self as generated, AUTHORS, PREFIX};
use crate::fuzz::input::documents::SERVICES;
use crate::fuzz::naive;
use crate::fuzz::world::typed;
use crate::kinds::Kind;
use serde_json::json;

/// What a reader makes of a value, in one form for all.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Backends(Vec<usize>),
    /// One each.
    Thresholds(Vec<Threshold>),
    Delay(i128),
    Word(bool),
    /// Nanoseconds since the epoch.
    Time(i128),
}

/// The first byte chooses the annotation, the second whether the rest is its value or makes a likely one.
pub(super) fn run(input: &[u8]) {
    let [which, choice, rest @ ..] = input else { return };
    let of = &AUTHORS[usize::from(*which) % AUTHORS.len()];
    let text = match choice % 2 {
        0 => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            text.to_owned()
        }
        _ => generated::value(&mut Source::new(rest), of),
    };
    if text.len() > 4096 {
        return;
    }
    agree(of.name, &text, read(of.name, &text), naive(of.name, &text));
}

pub(super) fn agree(name: &str, text: &str, read: Option<Value>, naive: Option<Value>) {
    let is_read_alone = matches!((&read, &naive), (Some(Value::Time(_)), None));
    // The program's reader takes more forms of a time than RFC 3339 has.
    if is_read_alone && !naive::has_form_of_rfc_3339(text) {
        return;
    }
    assert_eq!(read, naive, "{name}: {text:?}, read, and read by the naive reader");
}

/// What the parser makes of a split over all Services, of which the first is the apex, with this annotation alone; none where it refuses it.
fn read(name: &str, text: &str) -> Option<Value> {
    let mut annotations = json!({format!("{PREFIX}{name}"): text});
    // Either means nothing without the other.
    match name {
        "pin-until" => annotations[format!("{PREFIX}pin")] = json!("web"),
        "paused-until" => annotations[format!("{PREFIX}paused")] = json!("true"),
        _ => {}
    }
    let backends: Vec<_> = SERVICES
        .iter()
        .enumerate()
        .map(|(i, name)| json!({"service": name, "weight": u8::from(i == 0)}))
        .collect();
    let split = typed(json!({"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
        "metadata": {"name": "split", "annotations": annotations},
        "spec": {"service": "web", "backends": backends}}));
    let intents = Intent::parse(&Kind::TrafficSplit.read(&split), &Defaults::default()).ok()?;
    let intent = intents.first().expect("a set");
    let policy = &intent.policy;
    let places = |of: &[BackendIndex]| of.iter().map(|i| i.place()).collect::<Vec<_>>();
    Some(match name {
        "primary-service" => Value::Backends(places(&intent.tiers[0])),
        "fallback-order" => Value::Backends(places(&intent.tiers[1..].concat())),
        "pin" => Value::Backends(places(&policy.pin.as_ref()?.backends)),
        "min-ready" => Value::Thresholds(intent.backends.iter().map(|b| b.min_ready).collect()),
        "failover-delay" => Value::Delay(policy.failover_delay.as_nanos()),
        "failback-delay" => Value::Delay(policy.failback_delay.as_nanos()),
        "failback" => Value::Word(policy.manual_failback),
        "warm-standby" => Value::Word(policy.warm_standby()?),
        "protection" => {
            Value::Word(policy.protection.object == Some(crate::engine::Protection::Seamless))
        }
        "paused" => Value::Word(policy.paused),
        "pin-until" => Value::Time(policy.pin.as_ref()?.until?.as_nanosecond()),
        "paused-until" => Value::Time(policy.paused_until?.as_nanosecond()),
        _ => Value::Time(policy.failback_requested?.as_nanosecond()),
    })
}

/// The same, as somebody reads it who has only the documentation.
fn naive(name: &str, text: &str) -> Option<Value> {
    Some(match name {
        "primary-service" | "pin" => {
            let mut named = naive::backends(text, &SERVICES)?;
            named.sort_unstable();
            Value::Backends(named)
        }
        "fallback-order" => {
            let named = naive::backends(text, &SERVICES)?;
            // The apex is the primary. Whoever is not named comes last.
            if named.contains(&0) {
                return None;
            }
            let rest = (1..SERVICES.len()).filter(|i| !named.contains(i));
            Value::Backends(named.iter().copied().chain(rest).collect())
        }
        "min-ready" => Value::Thresholds(naive::thresholds(text, &SERVICES)?),
        "failover-delay" | "failback-delay" => Value::Delay(naive::delay(text)?),
        "failback" => Value::Word(naive::one_of(text, ["automatic", "manual"])?),
        "protection" => Value::Word(naive::one_of(text, ["standard", "seamless"])?),
        "warm-standby" | "paused" => Value::Word(naive::one_of(text, ["false", "true"])?),
        _ => Value::Time(naive::time(text)?),
    })
}
