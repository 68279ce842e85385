//! `make bench-micro` where there is valgrind: the instructions of each step, counted.

#![allow(missing_docs, unreachable_pub, reason = "what gungraun's macros make has neither")]

#[path = "micro/cases.rs"]
mod cases;

use cases::{Case, PLANTED};
use gungraun::{
    Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};

#[library_benchmark]
#[bench::read_slice_2(cases::read_slice(2))]
#[bench::read_slice_100(cases::read_slice(100))]
#[bench::parse_intent_2(cases::parse_intent(2))]
#[bench::parse_intent_100(cases::parse_intent(100))]
#[bench::decide_2(cases::decide(2))]
#[bench::decide_100(cases::decide(100))]
#[bench::mutate_2(cases::mutate(2))]
#[bench::mutate_100(cases::mutate(100))]
#[bench::validate_2(cases::validate(2))]
#[bench::validate_100(cases::validate(100))]
#[bench::build_patch_2(cases::build_patch(2))]
#[bench::build_patch_100(cases::build_patch(100))]
fn step(mut case: Case) -> Case {
    case.run();
    // Its end is no part of what is counted.
    case
}

library_benchmark_group!(name = steps, benchmarks = step);

main!(
    config = LibraryBenchmarkConfig::default()
        .pass_through_env(PLANTED)
        .tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = steps
);
