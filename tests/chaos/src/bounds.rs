//! What is promised: each bound of each invariant, and where the observer is lenient. `docs/chaos.md` has the same
//! table, and a test compares the two.

use std::time::Duration;

/// What a bound is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds of time.
    Seconds,
    /// So many times.
    Times,
    /// Mebibytes.
    Mebibytes,
    /// So many more than at the start.
    More,
}

/// One bound of one invariant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The invariant's number, from 1.
    pub invariant: u8,
    /// What is bounded.
    pub name: &'static str,
    /// The most.
    pub most: f64,
    /// Of what.
    pub unit: Unit,
    /// Where the observer holds nobody to it.
    pub lenient: &'static str,
}

impl Bound {
    /// A value of it, for people.
    pub fn show(&self, value: f64) -> String {
        match self.unit {
            Unit::Seconds => format!("{value:.1} s"),
            Unit::Times => format!("{value:.0}"),
            Unit::Mebibytes => format!("{value:.0} MiB"),
            Unit::More => format!("{value:.0} more"),
        }
    }

    /// The bound as a span of time.
    pub fn span(&self) -> Duration {
        Duration::from_secs_f64(self.most)
    }
}

/// Declares each bound as a constant, and the list of all.
macro_rules! bounds {
    ($($constant:ident = $invariant:literal, $name:literal, $most:literal $unit:ident, $lenient:literal;)+) => {
        $(#[doc = $name] pub const $constant: Bound = Bound {
            invariant: $invariant, name: $name, most: $most, unit: Unit::$unit, lenient: $lenient,
        };)+

        /// All of them, in the order of the table.
        pub const BOUNDS: &[Bound] = &[$($constant),+];
    };
}

bounds! {
    ALL_ZERO = 1, "all-zero weights that the program stored", 0.0 Times,
        "where two writes within one second, or one that only takes away, hide who wrote";
    NOT_NAMED = 1, "writes of the program that change what only an author writes", 0.0 Times,
        "where two writes within one second hide who wrote; Linkerd's retries, which the webhook adds, are not the program's own writes";
    ON_DOWN = 2, "weight on a backend known down while another is known ready", 2.0 Seconds,
        "counted while one replica is answered by the API server without a break and no third webhook refuses; not of the smallest share of a warm standby, which is a record's, nor where a pin, a pause, a freeze, the brake or a failover-delay says otherwise, nor with a Service that is or was declared down (120 s), has just changed its ports or its selector (6 s), has several ports or IPv6, is in a cluster out of reach (10 s), or of which a pod is being deleted";
    ON_DOWN_BESIDE = 2, "the same while the replica with the Lease runs and is not answered", 12.0 Seconds,
        "a standby leaves a leader that works on other objects ten seconds";
    SETTLES = 3, "until everything is as a fresh start would have it", 15.0 Seconds,
        "from the last fault on, or from when a replica is answered; not of objects that are held, that a delay runs for, whose Service was declared down, or that have a percentage as min-ready";
    FORGOTTEN = 3, "records that say another start of the same decision", 0.0 Times,
        "where two writes within one second hide who wrote, and of objects that others change at the moment";
    REVERSALS = 4, "reversals of an object by another replica, for each fault", 1.0 Times,
        "where an endpoint, a Service or the object itself changed between the two";
    ONTO_DOWN = 4, "reversals of another replica's move, onto what is down and off what is ready", 0.0 Times,
        "where an endpoint, a Service or the object itself changed between the two";
    WEIGHT_WRITES = 4, "weight writes of an object beyond its changes of decision", 2.0 Times,
        "each fault may cause one; each change of an endpoint, a Service or the object by others is a change of decision";
    RECORDS = 4, "records and claims of an object beyond two for each weight write", 2.0 Times,
        "each fault may cause one, and each change of an endpoint, a Service or the object by others two";
    OVERWRITES = 4, "weight writes onto a version that forbids them", 0.0 Times,
        "a version with a pause, with a pin to others, or without the label; not within 120 s of a time that ends it";
    LEGAL_REFUSED = 5, "legal applies refused", 0.0 Times,
        "only while one replica lived and was reachable for all of the request; not where the API server had to give up a call within five seconds after the processes got less than a fifth of the CPU that they asked for";
    ILLEGAL_TAKEN = 5, "illegal applies taken", 0.0 Times,
        "only while one replica lived and was reachable for all of the request; where a Service has to be looked up, while each that lived was reachable, and not within five seconds after the processes got less than a fifth of the CPU that they asked for: what cannot be looked up is warned of";
    UID_ECHOED = 5, "answers without the uid of their request", 0.0 Times,
        "by what the API server says of them";
    DELETION = 6, "a deletion of a guarded pod held", 3.0 Seconds,
        "0.8 s is the guard's bound, 1 s its webhook's timeout, and the rest a busy machine's; not while a fault of an API server or of etcd is made";
    WEIGHTS_LOST = 6, "authors' weights that did not come back with the label off", 0.0 Times,
        "of objects that nobody else changes at the moment";
    MEMORY = 7, "resident memory of a replica", 256.0 Mebibytes,
        "a program without optimisation";
    DESCRIPTORS = 7, "descriptors of a replica at the end beyond those at its start", 64.0 More,
        "connections to two API servers, and of their webhooks";
    THREADS = 7, "threads of a replica beyond those at its start", 8.0 More,
        "the runtime starts threads for files when it needs them";
    PANICS = 7, "panics", 0.0 Times, "";
    EXITS = 7, "exits that no fault caused", 0.0 Times, "";
}

/// What each invariant says, by its number.
pub fn title(invariant: u8) -> &'static str {
    match invariant {
        1 => "weights are never all zero, and only on what their author named",
        2 => "no weight on what is down while another is ready",
        3 => "after the last fault all is as after a fresh start",
        4 => "no two writers fight",
        5 => "admission lets what is legal, refuses what is not, and echoes the uid",
        6 => "no deletion is held beyond its bound, and no author's weight is lost",
        7 => "processes stay as they were",
        _ => "unknown",
    }
}

/// The table as Markdown.
pub fn table() -> String {
    let mut table = String::from("| | what is bounded | the most | lenient |\n|---|---|---|---|\n");
    for bound in BOUNDS {
        let Bound { invariant, name, most, lenient, .. } = bound;
        table.push_str(&format!("| {invariant} | {name} | {} | {lenient} |\n", bound.show(*most)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_page_has_the_table_of_the_bounds() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/chaos.md");
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains(&table()), "docs/chaos.md lacks this table:\n\n{}", table());
    }

    #[test]
    fn every_invariant_has_a_bound_and_a_title() {
        for invariant in 1..=7 {
            assert!(BOUNDS.iter().any(|bound| bound.invariant == invariant), "{invariant}");
            assert_ne!(title(invariant), "unknown");
        }
    }
}
