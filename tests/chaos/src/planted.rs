//! The defects that are built into the program for `make chaos-planted`, and what has to catch each.

use std::time::Duration;

/// Within this time each is caught.
pub const WITHIN: Duration = Duration::from_secs(300);

/// The variable by which the program, built with the feature `planted-faults`, is told which defect it has.
pub const VARIABLE: &str = "LINKERD_FAILOVER_PLANTED_FAULT";

/// A defect.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// As the environment names it.
    pub name: &'static str,
    /// What the program does wrong.
    pub text: &'static str,
    /// The invariants of which one has to be broken.
    pub caught_by: &'static [u8],
    /// The families of faults that are favoured: others would need longer to meet it.
    pub favours: &'static [&'static str],
    /// The favoured faults hit the leader and last for so long; none: as they are drawn.
    pub holds: Option<Duration>,
    /// For how long faults are made; what is looked at after the last one comes then.
    pub length: Duration,
}

/// Faults go on for nearly all of the time.
const LONG: Duration = Duration::from_secs(240);
/// Long enough for a standby to step in, also on a busy machine.
const HOLDS: Duration = Duration::from_secs(20);
/// It shows only in the end state, or soon.
const SHORT: Duration = Duration::from_secs(20);

/// All of them.
pub const PLANTED: &[Planted] = &[
    Planted {
        name: "writes-zeros",
        text: "once, a flip writes the weight 0 for every backend",
        caught_by: &[1],
        favours: &[],
        holds: None,
        length: LONG,
    },
    Planted {
        name: "ignores-conflict",
        text: "a write lands on whatever version of the object there is",
        caught_by: &[1, 2, 4],
        favours: &["pauses", "silent-watch"],
        holds: None,
        length: LONG,
    },
    Planted {
        name: "reverses-without-list",
        text: "the leader takes another replica's move back before a consistent LIST agrees",
        caught_by: &[2, 4],
        favours: &["late-events"],
        holds: Some(HOLDS),
        length: LONG,
    },
    Planted {
        name: "forgets-state",
        text: "what an object that is listed records is not read",
        caught_by: &[3],
        favours: &["sigkill-replica", "restart-replica"],
        holds: None,
        length: LONG,
    },
    Planted {
        name: "never-records",
        text: "records and disclaims are never written",
        caught_by: &[3],
        favours: &[],
        holds: None,
        length: SHORT,
    },
    Planted {
        name: "drops-event",
        text: "one of four events of EndpointSlices is lost",
        caught_by: &[2, 3],
        favours: &[],
        holds: None,
        length: LONG,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_program_knows_each_of_them_by_its_name_and_no_other() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/planted_faults.rs");
        let module = std::fs::read_to_string(file).unwrap();
        assert!(module.contains(VARIABLE));
        let listed = module.split("const ALL:").nth(1).unwrap().split("];").next().unwrap();
        let names: Vec<_> = listed.split('"').skip(1).step_by(2).collect();
        let known: Vec<_> = PLANTED.iter().map(|planted| planted.name).collect();
        assert_eq!(names, known);
    }

    #[test]
    fn what_is_favoured_is_made() {
        let (made, _) = crate::faults::available();
        for favoured in PLANTED.iter().flat_map(|planted| planted.favours) {
            assert!(made.iter().any(|family| family.name() == *favoured), "{favoured}");
        }
    }
}
