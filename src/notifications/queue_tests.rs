use super::*;
use crate::notifications::capacity::{Capacity, MOST};
use crate::notifications::notification::tests::failover;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const FAILED: Outcome = Outcome::Failed { why: String::new(), retry_after: None };

fn handed_over(name: &str, second: i64) -> HandedOver {
    HandedOver { notification: failover(name, second), place: Place::unbounded() }
}

fn failed(retry_after: u64) -> Outcome {
    let retry_after = Some(Duration::from_secs(retry_after));
    Outcome::Failed { why: String::new(), retry_after }
}

fn sent(next: Next) -> Queued {
    match next {
        Next::Send(queued) => *queued,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_delay_doubles_up_to_a_minute_and_a_success_ends_it() {
    let (mut queue, mut now) = (DeliveryQueue::default(), Instant::now());
    queue.push(handed_over("web", 1), now);
    let mut waits = vec![];
    for _ in 0..9 {
        let number = sent(queue.next(now)).number;
        assert_eq!(queue.finish(number, &FAILED, now, 1.0), None);
        let Next::Wait(wait) = queue.next(now) else { panic!("it is sent at once again") };
        waits.push(wait.as_secs());
        now += wait;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    let number = sent(queue.next(now)).number;
    assert!(queue.finish(number, &Outcome::Delivered, now, 1.0).is_some());
    assert_eq!((queue.len(), queue.failing()), (0, None));
    queue.push(handed_over("web", 2), now);
    assert!(matches!(queue.next(now), Next::Send(_)));
}

/// Otherwise an alert about it would fire for as long as a replica lives that does not lead any more.
#[test]
fn a_receiver_fails_nobody_for_whom_nothing_is_queued() {
    let (mut queue, now) = (DeliveryQueue::default(), Instant::now());
    queue.push(handed_over("web", 1), now);
    assert!(!queue.is_failing());
    let number = sent(queue.next(now)).number;
    queue.finish(number, &FAILED, now, 1.0);
    assert!(queue.is_failing());
    queue.expire(now + EXPIRES);
    assert!(!queue.is_failing());
}

#[test]
fn a_receiver_that_asks_for_more_time_gets_it_and_one_that_asks_for_less_does_not() {
    for (asked, expected) in [(30, 30), (0, 1)] {
        let (mut queue, now) = (DeliveryQueue::default(), Instant::now());
        queue.push(handed_over("web", 1), now);
        let number = sent(queue.next(now)).number;
        queue.finish(number, &failed(asked), now, 1.0);
        assert_eq!(queue.next(now), Next::Wait(Duration::from_secs(expected)));
    }
}

#[test]
fn what_fails_together_counts_once_and_is_tried_one_at_a_time() {
    let (mut queue, now) = (DeliveryQueue::default(), Instant::now());
    for name in ["a", "b", "c", "d", "e"] {
        queue.push(handed_over(name, 1), now);
    }
    let numbers: Vec<u64> = (0..AT_ONCE).map(|_| sent(queue.next(now)).number).collect();
    assert_eq!(queue.next(now), Next::Idle);
    for number in numbers {
        queue.finish(number, &FAILED, now, 1.0);
    }
    assert_eq!(queue.next(now), Next::Wait(Duration::from_secs(1)));
    let later = now + Duration::from_secs(1);
    assert_eq!(sent(queue.next(later)).notification.about.key().name.as_ref(), "a");
    assert_eq!(queue.next(later), Next::Idle, "one shows whether the receiver is back");
}

#[test]
fn a_notification_expires_and_one_that_is_being_sent_does_not() {
    let (mut queue, now) = (DeliveryQueue::default(), Instant::now());
    queue.push(handed_over("a", 1), now);
    queue.push(handed_over("b", 1), now);
    sent(queue.next(now));
    assert!(queue.expire(now + EXPIRES - Duration::from_secs(1)).is_empty());
    let expired = queue.expire(now + EXPIRES);
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].notification.about.key().name.as_ref(), "b");
    assert!(queue.stand_by().is_empty() && queue.len() == 1);
}

#[test]
fn a_place_is_taken_until_the_delivery_and_given_back_when_another_replica_sends() {
    let (capacity, now) = (Capacity::default(), Instant::now());
    let taken = |second: i64| {
        let notification = failover("web", second);
        let place = capacity.take(&notification)?;
        Some(HandedOver { notification, place })
    };
    let mut queue = DeliveryQueue::default();
    for second in 0..MOST as i64 {
        queue.push(taken(second).unwrap(), now);
    }
    let first = sent(queue.next(now));
    assert!(taken(-1).is_none(), "one that is being sent still has its place");
    queue.finish(first.number, &Outcome::Delivered, now, 0.5);
    queue.push(taken(-1).unwrap(), now);
    assert!(taken(-2).is_none());
    assert_eq!(queue.stand_by().len(), MOST);
    assert!(taken(-2).is_some());
}

/// What another replica learns of the receiver is not known here.
#[test]
fn a_replica_that_leads_no_more_forgets_the_receiver() {
    let (mut queue, now) = (DeliveryQueue::default(), Instant::now());
    queue.push(handed_over("a", 1), now);
    queue.push(handed_over("b", 1), now);
    let [first, second] = [sent(queue.next(now)), sent(queue.next(now))].map(|sent| sent.number);
    queue.finish(first, &FAILED, now, 1.0);
    assert_eq!(queue.failing().map(|failing| failing.since), Some(now));
    assert_eq!(queue.stand_by().len(), 1);
    assert_eq!(queue.failing(), None);
    // The attempt that was under way then.
    queue.finish(second, &FAILED, now, 1.0);
    assert_eq!(queue.stand_by().len(), 1);
    assert_eq!((queue.failing(), queue.len()), (None, 0));
    queue.push(handed_over("a", 2), now);
    assert!(matches!(queue.next(now), Next::Send(_)), "it waits for no earlier failure");
}

#[test]
fn a_refusal_is_known_until_something_is_delivered_and_ends_the_backoff() {
    let (mut queue, now) = (DeliveryQueue::default(), Instant::now());
    for second in 0..3 {
        queue.push(handed_over("web", second), now);
    }
    let first = sent(queue.next(now)).number;
    queue.finish(first, &FAILED, now, 1.0);
    let later = now + Duration::from_secs(1);
    assert_eq!(sent(queue.next(later)).number, first);
    let refused = Outcome::Refused("it answers 400".into());
    assert!(queue.finish(first, &refused, later, 1.0).is_some());
    assert_eq!((queue.refused(), queue.failing()), (Some("it answers 400"), None));
    let second = sent(queue.next(later)).number;
    queue.finish(second, &Outcome::Delivered, later, 1.0);
    assert_eq!((queue.refused(), queue.len()), (None, 1));
}

/// What happens to the queue.
#[derive(Clone, Debug)]
enum Step {
    /// A notification about one of a few objects.
    Push(u8),
    /// Begins an attempt, if one may begin.
    Next,
    /// One of the attempts that are under way ends so.
    End(usize, Outcome),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4u8).prop_map(Step::Push),
        4 => Just(Step::Next),
        3 => (0..8usize).prop_map(|i| Step::End(i, Outcome::Delivered)),
        2 => (0..8usize, 0..90u64).prop_map(|(i, after)| Step::End(i, failed(after))),
        2 => (0..8usize).prop_map(|i| Step::End(i, FAILED)),
        2 => (0..90u64).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever fails, in whatever order attempts end: nothing below the bound is lost or delivered twice, an
    /// object's notifications are delivered in their order, and an id is the same in every attempt.
    #[test]
    fn nothing_is_lost_order_is_kept_and_ids_are_stable(steps in vec(step(), 0..200), random in 0.0..1.0f64) {
        let (mut queue, mut now) = (DeliveryQueue::default(), Instant::now());
        let (mut pushed, mut delivered) = (BTreeMap::<String, Vec<i64>>::new(), BTreeMap::<String, Vec<i64>>::new());
        let (mut under_way, mut ids) = (Vec::<Queued>::new(), BTreeMap::new());
        let mut second = 0;
        // In the end the receiver takes everything.
        let rest = (0..2_000).map(|i| match i % 3 { 0 => Step::Pass(60), 1 => Step::Next, _ => Step::End(0, Outcome::Delivered) });
        for step in steps.into_iter().chain(rest) {
            match step {
                Step::Push(object) => {
                    second += 1;
                    let name = format!("web-{object}");
                    queue.push(handed_over(&name, second), now);
                    pushed.entry(name).or_default().push(second);
                }
                Step::Next => if let Next::Send(queued) = queue.next(now) {
                    let name = queued.notification.about.key().name.to_string();
                    prop_assert!(under_way.iter().all(|other| *other.notification.about.key().name != *name));
                    let id = ids.entry(queued.number).or_insert_with(|| queued.id.clone());
                    prop_assert_eq!(&queued.id, &*id);
                    prop_assert_eq!(&queued.notification.id(), &*id);
                    under_way.push(*queued);
                    prop_assert!(under_way.len() <= AT_ONCE);
                },
                Step::End(at, outcome) => if at < under_way.len() {
                    let queued = under_way.remove(at);
                    let done = queue.finish(queued.number, &outcome, now, random);
                    prop_assert_eq!(done.is_some(), outcome == Outcome::Delivered);
                    if let Some(done) = done {
                        let name = done.notification.about.key().name.to_string();
                        delivered.entry(name).or_default().push(done.notification.at.as_second());
                    }
                },
                Step::Pass(seconds) => now += Duration::from_secs(seconds),
            }
        }
        prop_assert_eq!(queue.len(), 0);
        prop_assert_eq!(delivered, pushed);
        prop_assert!(ids.values().collect::<std::collections::BTreeSet<_>>().len() == ids.len());
    }
}
