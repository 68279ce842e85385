use super::super::intent::tests::{declaration, parsed};
use super::super::{
    NamespaceDefault, SteadyTime, Unknown, WriteNeed, annotations, decide, write_need,
};
use super::*;
use serde_json::json;

pub(crate) const READY: Health =
    Health::Seen { ready: 1, total: 1, peak: 1, announced: None, ports: None };
pub(crate) const DOWN: Health =
    Health::Seen { ready: 0, total: 1, peak: 1, announced: None, ports: None };
const UNSEEN: Health = Health::Unknown(Unknown::NotYet);

/// A split of a, b and c with these weights and annotations (names without the prefix).
pub(crate) fn split_with(weights: [u32; 3], annotations: &[(&str, &str)]) -> Intent {
    let [a, b, c] = weights;
    let prefixed: Vec<_> = annotations
        .iter()
        .map(|(name, value)| (format!("{}{name}", annotations::PREFIX), *value))
        .collect();
    let annotations: Vec<_> = prefixed.iter().map(|(name, v)| (name.as_str(), *v)).collect();
    let backends = [("a", json!(a)), ("b", json!(b)), ("c", json!(c))];
    parsed(&declaration(&backends, &annotations)).unwrap()
}

fn split(weights: [u32; 3]) -> Intent {
    split_with(weights, &[])
}

pub(crate) fn was(active: &[&str]) -> SetState {
    let active: Vec<String> = active.iter().map(|s| (*s).to_owned()).collect();
    let off_primary = !active.contains(&"a".to_owned());
    SetState { active, left: off_primary.then_some(Timestamp::UNIX_EPOCH), ..SetState::default() }
}

pub(crate) fn at(seconds: i64) -> Now {
    Now::at(Timestamp::from_second(seconds).unwrap())
}

/// An object's life as the controller leads it: each step decides, and records what it decided.
pub(crate) struct Life {
    pub intent: Intent,
    pub state: SetState,
    pub pending: PendingDelays,
}

impl Life {
    pub(crate) fn of(annotations: &[(&str, &str)]) -> Self {
        let mut life = Self {
            intent: split_with([1, 0, 0], annotations),
            state: was(&["a"]),
            pending: PendingDelays::new(),
        };
        life.step(0, [READY, READY, READY]);
        life
    }

    /// Decides at so many seconds, records it, and gives the names of the active backends.
    pub(crate) fn step(&mut self, seconds: i64, health: [Health; 3]) -> String {
        self.at(at(seconds), health)
    }

    fn at(&mut self, now: Now, health: [Health; 3]) -> String {
        let decision =
            decide(&self.intent, &health, Previous::Decided(&self.state, &self.pending), now);
        self.state = decision.state(&self.intent, &health, now);
        self.pending = now.to_steady(&self.state.pending);
        self.state.active.join(",")
    }

    /// The author edits the annotations.
    fn edit(&mut self, annotations: &[(&str, &str)]) {
        self.intent = split_with([1, 0, 0], annotations);
    }
}

/// The table of rules: health of primary a and fallbacks b and c, what was active, what becomes
/// active.
#[test]
fn the_first_tier_that_can_serve_is_active() {
    let gone = Health::Missing;
    for (health, before, active) in [
        ([READY, READY, READY], vec!["a"], vec![0]),
        ([DOWN, READY, READY], vec!["a"], vec![1, 2]),
        ([DOWN, DOWN, READY], vec!["a"], vec![2]),
        ([READY, READY, READY], vec!["b", "c"], vec![0]),
        // Nothing is ready: traffic stays, wherever that is.
        ([DOWN, DOWN, DOWN], vec!["a"], vec![0]),
        ([DOWN, DOWN, DOWN], vec!["b", "c"], vec![1, 2]),
        ([DOWN, DOWN, gone.clone()], vec!["b", "c"], vec![1]),
        ([DOWN, gone.clone(), gone.clone()], vec!["b", "c"], vec![0]),
        ([gone.clone(), gone.clone(), gone.clone()], vec!["b"], vec![1]),
        ([gone.clone(), DOWN, DOWN], vec!["a"], vec![1]),
        // Not known is not down: active backends stay active, others are the last resort.
        ([UNSEEN, READY, READY], vec!["a"], vec![0]),
        ([UNSEEN, READY, READY], vec!["b"], vec![1, 2]),
        ([UNSEEN, DOWN, DOWN], vec!["b"], vec![0]),
        ([DOWN, UNSEEN, DOWN], vec!["a"], vec![1]),
        ([DOWN, UNSEEN, READY], vec!["a"], vec![2]),
        ([DOWN, UNSEEN, READY], vec!["b"], vec![1, 2]),
        ([READY, UNSEEN, DOWN], vec!["b"], vec![0]),
    ] {
        let state = was(&before);
        let decision = decide(&split([1, 0, 0]), &health, Previous::undelayed(&state), at(1_000));
        assert_eq!(decision.active, active, "{health:?} after {before:?}");
    }
}

#[test]
fn fallbacks_in_order_take_over_one_after_the_other_and_give_back_in_turn() {
    let mut life = Life::of(&[("fallback-order", "c,b")]);
    assert_eq!(life.step(1, [DOWN, READY, READY]), "c");
    assert_eq!(life.step(2, [DOWN, READY, DOWN]), "b");
    assert_eq!(life.step(3, [DOWN, READY, READY]), "c");
    assert_eq!(life.step(4, [READY, READY, READY]), "a");
}

#[test]
fn several_primaries_share_while_any_of_them_is_ready() {
    let mut life = Life::of(&[("primary-service", "a,b")]);
    assert_eq!(life.step(1, [READY, READY, READY]), "a,b");
    assert_eq!(life.step(2, [DOWN, READY, READY]), "b");
    assert_eq!(life.step(3, [DOWN, DOWN, READY]), "c");
    assert_eq!(life.step(4, [DOWN, READY, READY]), "b");
}

#[test]
fn a_primary_below_its_minimum_is_left_and_no_tier_at_its_minimum_means_the_first_with_any() {
    let some = |ready| Health::Seen { ready, total: 10, peak: 10, announced: None, ports: None };
    let mut life = Life::of(&[("min-ready", "a=60%,b=2,c=2")]);
    assert_eq!(life.step(1, [some(6), some(2), DOWN]), "a");
    assert_eq!(life.step(2, [some(5), some(2), DOWN]), "b");
    // b falls short too: everything does, so the first tier with any ready endpoint.
    assert_eq!(life.step(3, [some(5), some(1), READY]), "a");
    assert_eq!(life.step(4, [DOWN, some(1), READY]), "b,c");
    assert_eq!(life.step(5, [DOWN, DOWN, DOWN]), "b,c");
}

#[test]
fn a_loss_by_percentage_is_not_forgotten_when_the_past_fades_or_a_new_leader_begins() {
    let mut life = Life::of(&[("min-ready", "60%")]);
    assert_eq!(
        life.step(
            1,
            [
                Health::Seen { ready: 5, total: 10, peak: 10, announced: None, ports: None },
                READY,
                DOWN
            ]
        ),
        "b"
    );
    assert_eq!(life.state.peaks["a"], 10);
    let faded = Health::Seen { ready: 5, total: 10, peak: 5, announced: None, ports: None };
    assert_eq!(life.step(2_000, [faded, READY, DOWN]), "b");
    // Scaled down to what is ready: that is enough.
    assert_eq!(life.step(2_001, [Health::seen(5, 5), READY, DOWN]), "a");
    assert!(life.state.peaks.is_empty());
}

#[test]
fn a_loss_must_last_for_the_failover_delay_and_is_counted_again_when_interrupted() {
    let mut life = Life::of(&[("failover-delay", "10s")]);
    assert_eq!(life.step(1, [DOWN, READY, DOWN]), "a");
    assert_eq!(life.step(10, [DOWN, READY, DOWN]), "a");
    assert_eq!(life.step(10, [READY, READY, DOWN]), "a");
    assert_eq!(life.step(12, [DOWN, READY, DOWN]), "a");
    assert_eq!(life.step(21, [DOWN, READY, DOWN]), "a");
    assert_eq!(life.step(22, [DOWN, READY, DOWN]), "b");
    assert!(life.pending.is_empty());
}

#[test]
fn a_loss_that_has_lasted_while_nothing_was_ready_does_not_wait_again() {
    let mut life = Life::of(&[("failover-delay", "10s")]);
    assert_eq!(life.step(1, [DOWN, DOWN, DOWN]), "a");
    assert_eq!(life.step(20, [DOWN, DOWN, DOWN]), "a");
    assert_eq!(life.step(30, [DOWN, READY, DOWN]), "b");
}

#[test]
fn with_several_primaries_each_loss_is_counted_by_itself() {
    let mut life = Life::of(&[("failover-delay", "10s"), ("primary-service", "a,b")]);
    life.step(0, [READY, READY, READY]);
    assert_eq!(life.step(1, [DOWN, READY, READY]), "a,b");
    assert_eq!(life.step(6, [DOWN, DOWN, READY]), "a,b");
    assert_eq!(life.step(11, [DOWN, DOWN, READY]), "b");
    assert_eq!(life.step(16, [DOWN, DOWN, READY]), "c");
}

#[test]
fn a_flapping_primary_with_a_failback_delay_moves_traffic_once() {
    let mut life = Life::of(&[("failback-delay", "60s")]);
    let mut seen = vec!["a".to_owned()];
    for second in 1..200 {
        let a = if second % 7 < 3 { DOWN } else { READY };
        let active = life.step(second, [a, READY, DOWN]);
        if seen.last() != Some(&active) {
            seen.push(active);
        }
    }
    assert_eq!(seen, ["a", "b"]);
    assert_eq!(life.step(299, [DOWN, READY, DOWN]), "b");
    assert_eq!(life.step(300, [READY, READY, DOWN]), "b");
    assert_eq!(life.step(359, [READY, READY, DOWN]), "b");
    assert_eq!(life.step(360, [READY, READY, DOWN]), "a");
}

#[test]
fn a_dead_fallback_is_left_for_the_recovered_primary_whatever_the_failback_delay() {
    let mut life = Life::of(&[("failback-delay", "60s"), ("failback", "manual")]);
    assert_eq!(life.step(1, [DOWN, READY, DOWN]), "b");
    assert_eq!(life.step(2, [READY, READY, DOWN]), "b");
    assert_eq!(life.step(3, [READY, DOWN, DOWN]), "a");
}

#[test]
fn a_manual_stay_ends_by_a_request_that_is_younger_than_it() {
    let request = |time: i64| Timestamp::from_second(time).unwrap().to_string();
    let mut life = Life::of(&[("failback", "manual")]);
    assert_eq!(life.step(100, [DOWN, READY, DOWN]), "b");
    assert_eq!(life.step(200, [READY, READY, DOWN]), "b");
    life.edit(&[("failback", "manual"), ("failback-requested", &request(99))]);
    assert_eq!(life.step(300, [READY, READY, DOWN]), "b");
    // A request for later is kept until then.
    life.edit(&[("failback", "manual"), ("failback-requested", &request(400))]);
    assert_eq!(life.step(399, [READY, READY, DOWN]), "b");
    assert_eq!(life.step(400, [READY, READY, DOWN]), "a");
    // The next stay began after it.
    assert_eq!(life.step(500, [DOWN, READY, DOWN]), "b");
    assert_eq!(life.step(600, [READY, READY, DOWN]), "b");
}

#[test]
fn a_request_outlives_a_change_of_the_fallback() {
    let mut life = Life::of(&[("failback", "manual"), ("fallback-order", "b,c")]);
    assert_eq!(life.step(100, [DOWN, READY, READY]), "b");
    let request = Timestamp::from_second(150).unwrap().to_string();
    life.edit(&[
        ("failback", "manual"),
        ("fallback-order", "b,c"),
        ("failback-requested", &request),
    ]);
    assert_eq!(life.step(200, [DOWN, DOWN, READY]), "c");
    assert_eq!(life.step(300, [READY, DOWN, READY]), "a");
}

#[test]
fn until_the_primary_has_been_ready_once_failback_and_its_delay_do_not_apply() {
    let annotations = [("failback", "manual"), ("failback-delay", "60s")];
    let intent = split_with([1, 0, 0], &annotations);
    let born = decide(&intent, &[DOWN, DOWN, DOWN], Previous::Birth, at(0));
    let state = born.state(&intent, &[DOWN, DOWN, DOWN], at(0));
    let mut life = Life { intent, state, pending: PendingDelays::new() };
    assert!(life.state.awaiting_primary);
    assert_eq!(life.step(1, [DOWN, READY, DOWN]), "b");
    assert_eq!(life.step(2, [READY, READY, DOWN]), "a");
    // From now on they do.
    assert_eq!(life.step(3, [DOWN, READY, DOWN]), "b");
    assert_eq!(life.step(90, [READY, READY, DOWN]), "b");
}

#[test]
fn a_primary_newly_named_by_its_author_gets_the_traffic_at_once() {
    let mut life = Life::of(&[("failback", "manual"), ("failback-delay", "60s")]);
    life.edit(&[("failback", "manual"), ("failback-delay", "60s"), ("primary-service", "c")]);
    assert_eq!(life.step(1, [READY, READY, READY]), "c");
}

#[test]
fn a_pin_wins_over_health_and_ends_by_itself_to_the_second() {
    let until = Timestamp::from_second(100).unwrap().to_string();
    let mut life = Life::of(&[("failback", "manual"), ("failback-delay", "60s")]);
    life.edit(&[("failback", "manual"), ("pin", "c"), ("pin-until", &until)]);
    assert_eq!(life.step(10, [READY, READY, DOWN]), "c");
    let pinned = decide(
        &life.intent,
        &[READY, READY, DOWN],
        Previous::Decided(&life.state, &life.pending),
        at(40),
    );
    assert_eq!(pinned.next, Some(SignedDuration::from_secs(60)));
    assert_eq!(life.step(99, [READY, READY, DOWN]), "c");
    assert_eq!(life.step(100, [READY, READY, DOWN]), "a");
}

#[test]
fn a_pause_ends_by_itself_to_the_second_and_is_looked_at_then() {
    let until = Timestamp::from_second(100).unwrap().to_string();
    let mut life = Life::of(&[]);
    life.edit(&[("paused", "true"), ("paused-until", &until)]);
    assert_eq!(life.step(10, [READY, READY, DOWN]), "a");
    let previous = Previous::Decided(&life.state, &life.pending);
    let decision = decide(&life.intent, &[READY, READY, DOWN], previous, at(40));
    assert_eq!(decision.next, Some(SignedDuration::from_secs(60)));
    let policy = &life.intent.policy;
    assert!(policy.paused_at(at(99).wall) && !policy.paused_at(at(100).wall));
    life.edit(&[("paused", "true")]);
    assert!(life.intent.policy.paused_at(Timestamp::MAX));
}

#[test]
fn a_pin_in_the_middle_of_a_manual_stay_ends_in_that_stay() {
    let mut life = Life::of(&[("failback", "manual")]);
    assert_eq!(life.step(1, [DOWN, READY, READY]), "b,c");
    life.edit(&[("failback", "manual"), ("pin", "c")]);
    assert_eq!(life.step(2, [READY, READY, READY]), "c");
    life.edit(&[("failback", "manual")]);
    assert_eq!(life.step(3, [READY, READY, READY]), "b,c");
}

/// What a pin has put on a dead backend was no loss of that backend: no delay holds it there.
#[test]
fn when_a_pin_ends_traffic_moves_off_a_dead_backend_at_once() {
    let mut life = Life::of(&[("failover-delay", "60s"), ("pin", "c")]);
    assert_eq!(life.step(1, [DOWN, READY, DOWN]), "c");
    life.edit(&[("failover-delay", "60s")]);
    assert_eq!(life.step(2, [DOWN, READY, DOWN]), "b");
}

#[test]
fn delays_go_by_the_steady_clock_and_pins_by_the_one_on_the_wall() {
    let time = |s: i64| Timestamp::from_second(s).unwrap();
    let mut life = Life::of(&[("failover-delay", "10s")]);
    assert_eq!(life.step(1, [DOWN, READY, DOWN]), "a");
    // The wall clock jumps a day ahead, and back again.
    let jumped = Now { wall: time(86_400), steady: SteadyTime::at(5) };
    assert_eq!(life.at(jumped, [DOWN, READY, DOWN]), "a");
    let back = Now { wall: time(-86_400), steady: SteadyTime::at(11) };
    assert_eq!(life.at(back, [DOWN, READY, DOWN]), "b");

    let until = time(50_000).to_string();
    life.edit(&[("pin", "c"), ("pin-until", &until)]);
    assert_eq!(
        life.at(Now { wall: time(49_999), steady: SteadyTime::at(20) }, [READY, READY, READY]),
        "c"
    );
    assert_eq!(
        life.at(Now { wall: time(50_000), steady: SteadyTime::at(21) }, [READY, READY, READY]),
        "a"
    );
}

/// One replica has a steady clock that is an hour off, as after a virtual machine's sleep.
#[test]
fn a_delay_goes_on_where_another_replica_with_another_steady_clock_takes_over() {
    let time = |s: i64| Timestamp::from_second(s).unwrap();
    for off in [-3_600, 3_600] {
        let mut life = Life::of(&[("failover-delay", "10s")]);
        let sleepy = |wall: i64| Now { wall: time(wall), steady: SteadyTime::at(wall + off) };
        assert_eq!(life.at(sleepy(1), [DOWN, READY, DOWN]), "a");
        life.pending = at(5).to_steady(&sleepy(5).to_wall(&life.pending));
        assert_eq!(life.step(5, [DOWN, READY, DOWN]), "a", "not early");
        assert_eq!(life.step(11, [DOWN, READY, DOWN]), "b", "nor again");
    }
}

#[test]
fn a_delay_that_began_in_the_future_of_this_clock_restarts_and_ends() {
    let mut life = Life::of(&[("failover-delay", "10s")]);
    assert_eq!(life.step(1_000_000, [DOWN, READY, DOWN]), "a");
    assert_eq!(life.step(50, [DOWN, READY, DOWN]), "a");
    assert_eq!(life.step(60, [DOWN, READY, DOWN]), "b");
}

#[test]
fn ready_fallbacks_stay_warm_and_others_do_not() {
    let intent = split_with([1, 0, 0], &[("warm-standby", "true")]);
    let weights = |health: [Health; 3], before: &[&str]| {
        decide(&intent, &health, Previous::undelayed(&was(before)), at(1)).weights
    };
    assert_eq!(weights([READY, READY, DOWN], &["a"]), [429_495, 1, 0]);
    assert_eq!(weights([READY, UNSEEN, READY], &["a"]), [429_495, 0, 1]);
    // The primary is no fallback: while it is down, or its recovery waits, it has nothing.
    assert_eq!(weights([DOWN, READY, READY], &["a"]), [0, 1, 1]);
    let pinned = split_with([1, 0, 0], &[("warm-standby", "true"), ("pin", "c")]);
    let decision =
        decide(&pinned, &[READY, READY, READY], Previous::undelayed(&was(&["a"])), at(1));
    assert_eq!(decision.weights, [0, 0, 1]);
}

#[test]
fn a_share_that_stands_is_kept_and_none_is_added_where_it_is_not_known_whether_it_is_asked_for() {
    let mut intent = split_with([1, 0, 0], &[]);
    intent.policy.protection.namespace = NamespaceDefault::NotKnown;
    let with = |weights: &[(&str, u32)]| {
        let weights = weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
        SetState { weights, ..was(&["a"]) }
    };
    let weights = |health: [Health; 3], before: &SetState| {
        decide(&intent, &health, Previous::undelayed(before), at(1)).weights
    };
    let warm = with(&[("a", 429_494), ("b", 1), ("c", 1)]);
    assert_eq!(weights([READY, READY, READY], &warm), [429_494, 1, 1]);
    assert_eq!(weights([READY, READY, DOWN], &warm), [429_495, 1, 0]);
    let cold = with(&[("a", 1), ("b", 0), ("c", 0)]);
    assert_eq!(weights([READY, READY, READY], &cold), [1, 0, 0]);
    // Weights of the author, of which nothing is recorded, are no share.
    intent.backends[1].live = 1;
    let born = decide(&intent, &[READY, READY, READY], Previous::Birth, at(1));
    assert_eq!(born.weights, [1, 0, 0]);
    let live = decide(&intent, &[READY, READY, READY], Previous::Live, at(1));
    assert_eq!(live.weights, [1, 0, 0]);
}

#[test]
fn at_birth_with_nothing_ready_the_first_tier_is_active_whatever_the_weights_say() {
    let decision = decide(&split([0, 7, 0]), &[DOWN, DOWN, DOWN], Previous::Birth, at(0));
    assert_eq!(decision.weights, [1, 0, 0]);
}

#[test]
fn all_zero_weights_left_by_the_predecessor_become_the_first_tiers() {
    let decision = decide(&split([0, 0, 0]), &[DOWN, DOWN, DOWN], Previous::Live, at(0));
    assert_eq!(decision.weights, [1, 0, 0]);
}

#[test]
fn a_failover_of_the_predecessor_is_taken_over_where_it_stands() {
    let intent = split([0, 1, 1]);
    let kept = decide(&intent, &[DOWN, READY, READY], Previous::Live, at(0));
    assert_eq!(
        (&kept.weights, write_need(&intent, Previous::Live, &kept)),
        (&vec![0, 1, 1], WriteNeed::Record)
    );
    let back = decide(&intent, &[READY, READY, READY], Previous::Live, at(0));
    assert_eq!(back.weights, [1, 0, 0]);
    let manual = split_with([0, 1, 1], &[("failback", "manual")]);
    let stays = decide(&manual, &[READY, READY, READY], Previous::Live, at(0));
    assert_eq!(stays.weights, [0, 1, 1]);
}

#[test]
fn without_a_record_the_backends_that_carry_traffic_keep_it() {
    let decision = decide(&split([0, 3, 0]), &[DOWN, DOWN, DOWN], Previous::Live, at(0));
    assert_eq!(decision.weights, [0, 3, 0]);
}

#[test]
fn an_active_backend_gets_its_authored_weight_or_one() {
    let recorded = r#"{"v":1,"sets":{"":{"a":90,"b":10,"c":0}}}"#;
    let intent = split_with([90, 0, 0], &[("authored-weights", recorded)]);
    let decision = decide(&intent, &[DOWN, READY, READY], Previous::Live, at(0));
    assert_eq!(decision.weights, [0, 10, 1]);
}

#[test]
fn since_changes_only_with_the_active_backends() {
    let mut life = Life::of(&[]);
    let began = life.state.since;
    life.step(50, [READY, DOWN, DOWN]);
    assert_eq!(life.state.since, began);
    life.step(60, [DOWN, READY, DOWN]);
    assert_eq!(life.state.since, Timestamp::from_second(60).unwrap());
}

#[test]
fn what_an_object_needs() {
    let intent = split([1, 0, 0]);
    let on = |state: Option<&SetState>, health: [Health; 3]| {
        let previous = state.map_or(Previous::Live, Previous::undelayed);
        write_need(&intent, previous, &decide(&intent, &health, previous, at(5)))
    };
    // Traffic is where its author put it.
    assert_eq!(on(None, [READY, DOWN, DOWN]), WriteNeed::Nothing);
    assert_eq!(on(None, [DOWN, READY, DOWN]), WriteNeed::Traffic);
    let mut state = was(&["a"]);
    state.weights = [("a", 1), ("b", 0), ("c", 0)].map(|(n, w)| (n.to_owned(), w)).into();
    assert_eq!(on(Some(&state), [READY, DOWN, DOWN]), WriteNeed::Nothing);
    assert_eq!(on(Some(&state), [DOWN, READY, DOWN]), WriteNeed::Traffic);
    state.pinned = true;
    assert_eq!(on(Some(&state), [READY, DOWN, DOWN]), WriteNeed::Record);
    // Somebody else has written other weights.
    state.weights.insert("b".into(), 1);
    let elsewhere = split([1, 7, 0]);
    let decision = decide(&elsewhere, &[READY, READY, READY], Previous::undelayed(&state), at(5));
    assert_eq!(write_need(&elsewhere, Previous::undelayed(&state), &decision), WriteNeed::Traffic);
}

#[test]
fn only_leaving_the_dead_without_delay_is_a_rescue() {
    let rescue = |annotations: &[(&str, &str)], before: &[&str], health: [Health; 3]| {
        let intent = split_with([1, 0, 0], annotations);
        decide(&intent, &health, Previous::undelayed(&was(before)), at(5)).rescue
    };
    assert!(rescue(&[], &["a"], [DOWN, READY, DOWN]));
    assert!(rescue(&[], &["b"], [READY, DOWN, DOWN]));
    assert!(rescue(&[], &["a"], [Health::Missing, READY, DOWN]));
    assert!(!rescue(&[], &["b"], [READY, READY, DOWN]), "a failback");
    assert!(!rescue(&[], &["a"], [DOWN, DOWN, DOWN]), "nothing moves");
    assert!(!rescue(&[("failover-delay", "1s")], &["a"], [DOWN, READY, DOWN]), "a delay");
    assert!(!rescue(&[("pin", "c")], &["a"], [DOWN, READY, DOWN]), "a pin");
    let short = Health::Seen { ready: 1, total: 9, peak: 9, announced: None, ports: None };
    assert!(!rescue(&[("min-ready", "2")], &["a"], [short, READY, DOWN]), "one is ready");
}

#[test]
fn the_explanation_names_each_backend_and_its_health() {
    let explained = |annotations: &[(&str, &str)], health: [Health; 3]| {
        let intent = split_with([1, 0, 0], annotations);
        decide(&intent, &health, Previous::undelayed(&was(&["a"])), at(1)).explain(&intent, &health)
    };
    insta::assert_snapshot!(explained(&[], [DOWN, READY, Health::Missing]),
        @"a: 0 of 1 endpoints ready, b: 1 of 1 endpoints ready");
    insta::assert_snapshot!(explained(&[], [DOWN, DOWN, Health::Missing]),
        @"no backend is ready, a: 0 of 1 endpoints ready, b: 0 of 1 endpoints ready, c: no such Service");
    insta::assert_snapshot!(explained(&[], [Health::Missing, DOWN, DOWN]),
        @"no backend is ready, so traffic goes to the first that can have it, a: no such Service, b: 0 of 1 endpoints ready, c: 0 of 1 endpoints ready");
    insta::assert_snapshot!(explained(&[("pin", "b"), ("pin-until", "2026-01-31T14:30:00Z")], [READY, READY, READY]),
        @"pinned until 2026-01-31T14:30:00Z, b: 1 of 1 endpoints ready");
    insta::assert_snapshot!(explained(&[("failover-delay", "90s")], [DOWN, READY, READY]),
        @"traffic stays for the failover-delay of 1m 30s, a: 0 of 1 endpoints ready");
    insta::assert_snapshot!(explained(&[("min-ready", "2")], [READY, DOWN, DOWN]),
        @"no backend has as many ready endpoints as it needs, a: 1 of 1 endpoints ready, b: 0 of 1 endpoints ready, c: 0 of 1 endpoints ready");
}

#[test]
fn what_is_recorded_of_a_decision_is_what_was_decided_and_why() {
    let intent = split_with([3, 0, 0], &[("fallback-order", "c,b")]);
    let health = [DOWN, READY, READY];
    let state = was(&["a"]);
    let decision = decide(&intent, &health, Previous::undelayed(&state), at(1_000));
    let recorded = decision.state(&intent, &health, at(1_000));
    let weights = [("a", 0), ("b", 0), ("c", 1)].map(|(name, weight)| (name.to_owned(), weight));
    assert_eq!(recorded.weights, weights.into());
    assert_eq!(recorded.active, ["c"]);
    assert_eq!(recorded.since, at(1_000).wall);
    assert_eq!(recorded.left, Some(at(1_000).wall));
    assert_eq!(recorded.why, decision.explain(&intent, &health));
    assert_eq!(recorded.primary.as_deref(), Some("a"));
    assert!(!recorded.pinned && !recorded.awaiting_primary);
}

#[test]
fn a_set_is_short_where_a_primary_or_a_backend_with_the_traffic_has_lost_a_port() {
    let intent = split_with([1, 0, 0], &[]);
    let decision = decide(&intent, &[DOWN, READY, DOWN], Previous::Live, at(0));
    assert_eq!(decision.active, [1]);
    for (short, is_short) in [("a", true), ("b", true), ("c", false)] {
        let lost = ShortPorts::from([(short.to_owned(), vec![vec!["web".to_owned()]])]);
        let decision = Decision { short: lost, ..decision.clone() };
        assert_eq!(decision.is_short(&intent), is_short, "{short}");
    }
}
