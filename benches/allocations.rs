//! `make bench-micro` where there is no valgrind: the allocations of each step, counted.

#[path = "micro/cases.rs"]
mod cases;

use std::collections::BTreeMap;

fn main() -> serde_json::Result<()> {
    let mut counts = BTreeMap::new();
    for mut case in cases::all() {
        let info = allocation_counter::measure(|| case.run());
        counts.insert(case.name.clone(), info.count_total);
    }
    println!("{}", serde_json::to_string_pretty(&counts)?);
    Ok(())
}
