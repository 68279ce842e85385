//! Histories: several replicas whose reads and writes interleave at will, which crash, stall and
//! disagree about the time, beside API servers that hear late of a bundle.

use super::world::{Damage, Happening, LONGEST, MINUTE, REPLICAS, World};
use super::*;

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        12 => (0..REPLICAS).prop_map(Act),
        3 => (0..2_usize).prop_map(Hear),
        8 => (1..=LONGEST).prop_map(Pass),
        2 => (-20 * MINUTE..=20 * MINUTE).prop_map(Jump),
        2 => (0..REPLICAS, 1..=LONGEST).prop_map(|(r, s)| Stall(r, s)),
        2 => (0..REPLICAS).prop_map(Crash),
        3 => (0..REPLICAS).prop_map(Start),
    ]
}

fn damage() -> impl Strategy<Value = Happening> {
    let keys =
        || prop::sample::select(vec![CA_CERT, CA_KEY, NEXT_CERT, NEXT_KEY, OLD_CERTS, ROTATION]);
    prop_oneof![
        Just(Damage::Empty),
        keys().prop_map(Damage::Garbage),
        keys().prop_map(Damage::Remove),
        Just(Damage::Bundles),
    ]
    .prop_map(Happening::Damage)
}

/// So many half hours pass before things happen: at about 39 of them a rotation is due.
fn calm() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 30..40_usize]
}

fn skews() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-5 * MINUTE..=5 * MINUTE, REPLICAS)
}

#[test]
fn a_replica_that_hung_through_a_rotation_is_believed_and_takes_nothing_away() {
    let mut world = World::new(&[0; REPLICAS]);
    (0..36).for_each(|_| world.pass(LONGEST));
    // In one of these rounds the next CA is made, spread, settled and promoted.
    for _ in 0..8 {
        world.act(0);
        world.act(0);
        world.happens(Happening::Stall(0, LONGEST));
        world.pass(15 * MINUTE);
        world.pass(14 * MINUTE);
        world.pass(MINUTE);
    }
    assert!(world.changes.contains(&Change::Promoted), "{:?}", world.changes);
    world.comes_to_rest();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// [`World::check`] and [`World::secret_written`] watch every step.
    #[test]
    fn nobody_who_is_called_is_ever_disbelieved_and_every_rotation_ends(
        skews in skews(),
        calm in calm(),
        happenings in prop::collection::vec(happening(), 0..200),
    ) {
        let mut world = World::new(&skews);
        (0..calm).for_each(|_| world.pass(LONGEST));
        happenings.into_iter().for_each(|what| world.happens(what));
        world.comes_to_rest();
    }

    #[test]
    fn whatever_is_damaged_is_repaired_and_rotations_go_on(
        skews in skews(),
        calm in calm(),
        happenings in prop::collection::vec(prop_oneof![9 => happening(), 1 => damage()], 0..200),
    ) {
        let mut world = World::new(&skews);
        (0..calm).for_each(|_| world.pass(LONGEST));
        happenings.into_iter().for_each(|what| world.happens(what));
        world.comes_to_rest();
    }
}
