//! Chaos: two replicas and two clusters, real processes, under faults that a seed draws, and an
//! observer that keeps invariants meanwhile.
//!
//! One half makes things happen: [`plan`] draws faults, purely; [`world`] is what they happen to;
//! [`faults`] makes them, and [`journal`] writes each down first. The other half watches: `truth` is
//! etcd itself, `model` knows what is ready and what follows, `invariants` are kept by `observer`.
//! [`facts`] is all that goes from the one to the other. [`run`] puts both together, and [`shrink`]
//! finds the shortest plan that still breaks an invariant.

pub mod bounds;
pub mod facts;
pub mod faults;
pub mod invariants;
pub mod journal;
pub mod keeper;
pub mod model;
pub mod observer;
pub mod plan;
pub mod planted;
pub mod report;
pub mod run;
pub mod shrink;
pub mod truth;
pub mod world;
