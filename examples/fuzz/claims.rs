//! The table: what is claimed of the targets, and what their runs show.

use crate::run::{Fuzzed, Noticed};
use crate::totals::Totals;
use bench_table::{Claim, Claims, Verdict};
use std::time::Duration;

const LONGEST: Duration = Duration::from_millis(100);
const MOST_BYTES: u64 = 64 << 20;
/// The aim of a release, over all targets.
const AIM: u64 = 100_000_000;
const RUNS: &str = "runs of all targets together";

/// The claims of a command.
pub(crate) fn of(noticed: &[Noticed], fuzzed: &[Fuzzed], totals: &Totals) -> Claims {
    let mut claims = Claims::new("fuzz");
    claims.conditions = vec![
        "targets built by cargo fuzz, without a sanitizer, with debug assertions".to_owned(),
        "the time of a run is CPU time of its thread; its memory is what it allocates at one time"
            .to_owned(),
    ];
    claims.claims.push(planted(noticed));
    claims.claims.extend(fuzzed.iter().map(|one| target(one, totals)));
    claims.claims.push(slowest(fuzzed));
    claims.claims.push(largest(fuzzed));
    let runs: u64 = fuzzed.iter().map(|one| one.runs).sum();
    let all = totals.all();
    let measured =
        format!("{} by this command, {} with those before it", grouped(runs), grouped(all));
    claims.claims.push(Claim::new(
        RUNS,
        format!("at least {}", grouped(AIM)),
        measured,
        all >= AIM,
    ));
    claims
}

/// Whether nothing was found. Too few runs are no fault: they are a matter of time.
pub(crate) fn is_clean(claims: &Claims) -> bool {
    let judged = claims.claims.iter().filter(|claim| claim.name != RUNS);
    judged.clone().count() > 0 && judged.clone().all(|claim| claim.verdict == Verdict::Held)
}

/// A program with a fault ends with a finding, and the same without one does not.
fn planted(noticed: &[Noticed]) -> Claim {
    let rightly = |one: &&Noticed| one.found == (one.fault != "none");
    let names = |found: bool| {
        let names = noticed.iter().filter(|one| one.found == found).map(|one| one.fault);
        names.collect::<Vec<_>>().join(", ")
    };
    let measured = format!("noticed: {}; not: {}", names(true), names(false));
    let kept = !noticed.is_empty() && noticed.iter().filter(rightly).count() == noticed.len();
    let bound = "a panic, a run of 150 ms and one of 65 MiB are noticed";
    Claim::new("planted faults", bound, measured, kept)
}

fn target(one: &Fuzzed, totals: &Totals) -> Claim {
    let Fuzzed {
        runs,
        per_second,
        rss_mib,
        measures,
        inputs,
        input_bytes,
        findings,
        ended_well,
        ..
    } = one;
    let measured = format!("{} in {} runs", findings.len(), grouped(*runs));
    let name = format!("{}: no wrong answer, no panic", one.target);
    let held = findings.is_empty() && *ended_well && *runs > 0;
    let found: Vec<String> = findings.iter().map(|path| path.display().to_string()).collect();
    let note = format!(
        "{} a second; {} with those before; slowest {}; at most {} at one time, {rss_mib} MiB resident with libFuzzer and its corpus; corpus {inputs} inputs, {}{}{}",
        grouped(*per_second),
        grouped(totals.of(&one.target)),
        milliseconds(measures.slowest()),
        kibibytes(measures.largest_bytes),
        kibibytes(*input_bytes),
        if found.is_empty() { "" } else { "; " },
        found.join(", "),
    );
    Claim::new(name, "0 findings", measured, held).note(note)
}

fn slowest(fuzzed: &[Fuzzed]) -> Claim {
    let (name, bound) = ("slowest run", format!("at most {}", milliseconds(LONGEST)));
    match fuzzed.iter().max_by_key(|one| one.measures.slowest()) {
        Some(one) if one.measures.slowest() > Duration::ZERO => {
            let slowest = one.measures.slowest();
            Claim::new(name, bound, milliseconds(slowest), slowest <= LONGEST).note(&one.target)
        }
        _ => Claim::not_measured(name, bound, "no target wrote its measures"),
    }
}

fn largest(fuzzed: &[Fuzzed]) -> Claim {
    let (name, bound) = ("memory of a run", format!("at most {}", kibibytes(MOST_BYTES)));
    match fuzzed.iter().max_by_key(|one| one.measures.largest_bytes) {
        Some(one) if one.measures.largest_bytes > 0 => {
            let bytes = one.measures.largest_bytes;
            Claim::new(name, bound, kibibytes(bytes), bytes <= MOST_BYTES).note(&one.target)
        }
        _ => Claim::not_measured(name, bound, "no target wrote its measures"),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", grouped(bytes.div_ceil(1024)))
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    digits.char_indices().fold(String::new(), |mut text, (i, digit)| {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
        text
    })
}
