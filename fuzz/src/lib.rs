//! Measures every run of a target: the CPU time that it takes, and the memory.

use linkerd_failover::fuzz::Target;
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A run that takes longer is a finding.
const LONGEST: Duration = Duration::from_millis(100);
/// A run that needs more at one time is a finding.
const MOST_BYTES: u64 = 64 << 20;

static SLOWEST_NANOS: AtomicU64 = AtomicU64::new(0);
static LARGEST_BYTES: AtomicU64 = AtomicU64::new(0);

/// Runs a target on an input.
pub fn run(target: Target, input: &[u8]) {
    measured(|| target.run(input));
}

/// Measures a run. A new largest is written to the file that `FUZZ_MEASURES` names.
pub fn measured(run: impl FnOnce()) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let began = cpu_time();
    run();
    let took = cpu_time().saturating_sub(began);
    let bytes = MEMORY.peak_usage().saturating_sub(before) as u64;
    assert!(took <= LONGEST, "a run took {took:?}, expected at most {LONGEST:?}");
    assert!(bytes <= MOST_BYTES, "a run needed {bytes} bytes, expected at most {MOST_BYTES}");
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let slower = SLOWEST_NANOS.fetch_max(nanos, Ordering::Relaxed) < nanos;
    let larger = LARGEST_BYTES.fetch_max(bytes, Ordering::Relaxed) < bytes;
    if slower || larger {
        report();
    }
}

/// The CPU time of this thread: others that run meanwhile make no run slow.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn report() {
    let Some(path) = std::env::var_os("FUZZ_MEASURES") else { return };
    let mut text = String::new();
    let nanos = SLOWEST_NANOS.load(Ordering::Relaxed);
    let bytes = LARGEST_BYTES.load(Ordering::Relaxed);
    let _ = write!(text, "{{\"slowestNanos\":{nanos},\"largestBytes\":{bytes}}}");
    // The run itself was right; who reads the file sees that it is not there.
    let _ = std::fs::write(path, text);
}

/// Panics, takes 150 ms or needs 65 MiB, by `FUZZ_PLANTED`.
pub fn planted(input: &[u8]) {
    let fault = std::env::var("FUZZ_PLANTED").unwrap_or_default();
    match fault.as_str() {
        "panic" => panic!("planted"),
        "hang" => {
            let began = cpu_time();
            while cpu_time().saturating_sub(began) < Duration::from_millis(150) {
                std::hint::black_box(input);
            }
        }
        "memory" => drop(std::hint::black_box(vec![1_u8; 65 << 20])),
        _ => {}
    }
}
