use super::*;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

#[test]
fn a_list_that_begins_a_watch_replaces_whatever_its_numbers() {
    let (mut order, one) = (Order::default(), key("one"));
    order.begin(None);
    order.enter(&one, 1_000, &one, Arrival::Listed);
    order.complete(None);
    order.begin(None);
    assert_eq!(order.enter(&one, 800, &one, Arrival::Listed), Freshness::Newest);
    order.complete(None);
    assert_eq!(order.enter(&one, 801, &one, Arrival::Watched), Freshness::Newest);
    assert_eq!(order.enter(&one, 800, &one, Arrival::Watched), Freshness::Stale);
}

#[test]
fn an_answer_that_was_asked_for_before_the_watch_was_listed_anew_does_not_enter() {
    let (mut order, one) = (Order::default(), key("one"));
    let before = order.ticket(&one);
    order.begin(None);
    let meanwhile = order.ticket(&one);
    for ticket in [&before, &meanwhile] {
        assert_eq!(order.check_answer(ticket, &one, 900), Err(Superseded::ListedSince));
    }
    order.complete(None);
    for ticket in [&before, &meanwhile] {
        assert_eq!(order.enter(&one, 900, &one, Arrival::Answered(ticket)), Freshness::Stale);
    }
    let after = order.ticket(&one);
    assert_eq!(order.enter(&one, 900, &one, Arrival::Answered(&after)), Freshness::Newest);
}

#[test]
fn a_list_that_is_older_than_what_was_known_when_it_was_asked_for_says_that_numbers_went_back() {
    let (mut order, one) = (Order::default(), key("one"));
    order.enter(&one, 1_000, &one, Arrival::Watched);
    let ticket = order.ticket(&one);
    assert_eq!(order.check_answer(&ticket, &one, 999), Err(Superseded::WentBack));
    assert_eq!(order.check_answer(&ticket, &one, 1_000), Ok(()));
}

#[test]
fn the_watch_of_one_namespace_voids_no_answer_of_another() {
    let mut order = Order::default();
    let (a, b) = (ObjectKey::new("a", "one"), ObjectKey::new("b", "one"));
    for namespace in ["a", "b"] {
        order.begin(Some(namespace));
        order.complete(Some(namespace));
    }
    let (of_a, of_b) = (order.ticket(&a), order.ticket(&b));
    order.begin(Some("a"));
    assert_eq!(order.enter(&a, 5, &a, Arrival::Answered(&of_a)), Freshness::Stale);
    assert_eq!(order.enter(&b, 5, &b, Arrival::Answered(&of_b)), Freshness::Newest);
}

#[test]
fn deletions_are_remembered_for_requests_under_way_alone_and_never_without_bound() {
    let mut order = Order::default();
    let keys: Vec<ObjectKey> = (0..=MOST_DELETED).map(|i| key(&format!("k{i}"))).collect();
    order.delete(&keys[0], 1);
    assert!(order.cluster.deleted.is_empty());
    let ticket = order.ticket(&keys[0]);
    for (version, key) in (2..).zip(&keys) {
        order.delete(key, version);
    }
    assert!(order.cluster.deleted.len() <= MOST_DELETED);
    // What would have to be remembered for it is not: it does not enter at all.
    let first = order.enter(&keys[0], 1, &keys[0], Arrival::Answered(&ticket));
    assert_eq!(first, Freshness::Stale);
}

#[test]
fn what_one_list_has_shown_to_be_gone_the_answer_to_another_does_not_bring_back() {
    let (mut order, slice) = (Order::default(), key("slice"));
    let (first, second) = (key("first"), key("second"));
    let of_first = order.ticket(&first);
    let of_second = order.ticket(&second);
    order.enter(&slice, 1, &first, Arrival::Watched);
    order.answer_covers(&of_second, &second, 3);
    // It has moved to the second Service, whose LIST does not have it any more.
    let moved = order.enter(&slice, 2, &second, Arrival::Watched);
    assert_eq!(moved, Freshness::Deleted);
    let past = order.enter(&slice, 1, &first, Arrival::Answered(&of_first));
    assert_eq!(past, Freshness::Stale);
}

#[test]
fn a_slice_that_a_list_lacks_is_not_brought_back_by_an_older_list_of_the_service_it_had_before() {
    let (mut order, slice) = (Order::default(), key("slice"));
    let (first, second) = (key("first"), key("second"));
    let of_first = order.ticket(&first);
    let of_second = order.ticket(&second);
    order.enter(&slice, 2, &second, Arrival::Watched);
    assert!(order.answer_lacks(&of_second, &slice, 5));
    order.answer_covers(&of_second, &second, 5);
    let past = order.enter(&slice, 1, &first, Arrival::Answered(&of_first));
    assert_eq!(past, Freshness::Stale);
    // A third Service may have had it before that LIST.
    let third = key("third");
    let moved = order.enter(&slice, 4, &third, Arrival::Watched);
    assert_eq!(moved, Freshness::Newest);
}
