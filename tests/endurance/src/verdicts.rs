//! What an attacked webhook has to keep, judged from what was measured.

use crate::honest::{Reviews, p99};
use bench_table::Claim;
use std::time::Duration;

/// Honest reviews may take so many times as long as at rest.
pub const SLOWER: f64 = 3.0;
/// MiB that all attackers together may cost, beyond what the process has at rest. Of the server's limits:
/// 32 MiB of bodies and as much for the review that is being parsed, 4 MiB of small reviews, and 640
/// connections with 64 KiB each; the rest is what an allocator keeps.
pub const GROWTH: f64 = 128.0;

/// What was measured in one phase.
#[derive(Clone, Debug)]
pub struct Phase {
    /// What happened.
    pub name: String,
    /// The honest reviews meanwhile.
    pub reviews: Reviews,
    /// The most that was resident, in MiB.
    pub peak: f64,
    /// CPUs that the attackers used.
    pub attackers: f64,
}

/// Whether honest reviews were as fast as they have to be, beside those at rest.
pub fn latency(phase: &Phase, rest: &Reviews) -> Claim {
    let (at_rest, now) = (p99(&rest.kept), p99(&phase.reviews.kept));
    let name = format!("p99 of honest reviews: {}", phase.name);
    let bound = format!("at most {SLOWER} times that at rest, {}", millis(at_rest));
    if rest.kept.is_empty() || phase.reviews.kept.is_empty() {
        return Claim::not_measured(name, bound, "no review was answered");
    }
    let times = now.as_secs_f64() / at_rest.as_secs_f64();
    let measured = format!("{}, {times:.2} times", millis(now));
    let note = format!(
        "over a new connection {}; attackers used {:.2} CPUs",
        millis(p99(&phase.reviews.new)),
        phase.attackers
    );
    Claim::new(name, bound, measured, times <= SLOWER).note(note)
}

/// Whether memory kept its bound in all phases.
pub fn memory(phases: &[Phase], rest: f64) -> Claim {
    let bound = format!("at most {GROWTH} MiB more than at rest, {rest:.1} MiB");
    let worst = phases.iter().max_by(|one, other| one.peak.total_cmp(&other.peak));
    let Some(worst) = worst else {
        return Claim::not_measured("resident memory", bound, "nothing attacked");
    };
    let growth = worst.peak - rest;
    let measured = format!("{growth:+.1} MiB");
    Claim::new("resident memory", bound, measured, growth <= GROWTH)
        .note(format!("{:.1} MiB: {}", worst.peak, worst.name))
}

/// Whether every honest review was answered.
pub fn lost(phases: &[Phase]) -> Claim {
    let sent: usize = phases.iter().map(|phase| phase.reviews.sent()).sum();
    let lost: Vec<_> = phases.iter().flat_map(|phase| &phase.reviews.lost).collect();
    let measured = format!("{} of {sent}", lost.len());
    let claim = Claim::new("honest reviews lost", "0", measured, lost.is_empty() && sent > 0);
    claim.note(lost.first().map_or_else(String::new, |why| (*why).clone()))
}

/// Whether nothing panicked, and the process lives.
pub fn alive(is_running: bool, panics: f64, log: &str) -> Claim {
    let lines = log.lines().filter(|line| line.contains("panicked at")).count();
    let measured = format!("{panics} counted, {lines} in the log, running: {is_running}");
    let kept = is_running && panics <= 0.0 && lines == 0;
    Claim::new("panics", "0, and the process goes on", measured, kept)
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_table::Verdict;

    fn phase(millis: u64, peak: f64, lost: usize) -> Phase {
        let kept = vec![Duration::from_millis(millis); 100];
        let lost = vec!["503".to_owned(); lost];
        let reviews = Reviews { kept, new: vec![], lost };
        Phase { name: "idle".into(), reviews, peak, attackers: 0.5 }
    }

    #[test]
    fn three_times_as_slow_is_allowed_and_more_is_not() {
        let rest = phase(10, 40.0, 0).reviews;
        assert_eq!(latency(&phase(30, 40.0, 0), &rest).verdict, Verdict::Held);
        assert_eq!(latency(&phase(31, 40.0, 0), &rest).verdict, Verdict::Missed);
        let nothing = Phase { reviews: Reviews::default(), ..phase(1, 1.0, 0) };
        assert_eq!(latency(&nothing, &rest).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn the_worst_phase_decides_on_memory() {
        let most = 40.0 + GROWTH;
        let worst = [phase(1, 50.0, 0), phase(1, most + 0.5, 0), phase(1, 60.0, 0)];
        assert_eq!(memory(&worst, 40.0).verdict, Verdict::Missed);
        assert_eq!(memory(&[phase(1, most - 0.5, 0)], 40.0).verdict, Verdict::Held);
        assert_eq!(memory(&[], 40.0).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn one_lost_review_is_too_many_and_none_at_all_prove_nothing() {
        assert_eq!(lost(&[phase(1, 1.0, 0), phase(1, 1.0, 0)]).verdict, Verdict::Held);
        assert_eq!(lost(&[phase(1, 1.0, 0), phase(1, 1.0, 1)]).verdict, Verdict::Missed);
        assert_eq!(lost(&[]).verdict, Verdict::Missed);
    }

    #[test]
    fn a_panic_is_seen_in_the_metric_and_in_the_log() {
        assert_eq!(alive(true, 0.0, "all is well").verdict, Verdict::Held);
        assert_eq!(alive(true, 1.0, "").verdict, Verdict::Missed);
        assert_eq!(alive(true, 0.0, "thread 'x' panicked at src/a.rs:1").verdict, Verdict::Missed);
        assert_eq!(alive(false, 0.0, "").verdict, Verdict::Missed);
    }
}
