//! The failovers that the brake counts: those that are wanted, and those that were made lately.

use crate::engine::SteadyTime;
use crate::kinds::ObjectRef;
use crate::reconciler::gates::brake::WINDOW;
use crate::reconciler::gates::brake::groups::Groups;
use jiff::SignedDuration;
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Count {
    failovers: HashMap<ObjectRef, Failover>,
    /// How many of them wait.
    waiting: usize,
    /// The same by what they share; none where an object has left it and it has to be rebuilt.
    groups: Option<Groups>,
    /// When those that are past were forgotten last.
    forgotten: Option<SteadyTime>,
}

#[derive(Debug)]
struct Failover {
    endpoints: Vec<u64>,
    request: MoveRequest,
    /// When it was observed.
    left: Option<SteadyTime>,
    /// A person has released it: it does not count.
    released: bool,
    /// This replica moves it.
    ours: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MoveRequest {
    None,
    /// The brake holds it.
    Waiting,
    /// Its write is under way, or may begin at any time.
    Granted,
}

impl Count {
    /// An object wants to leave its primary.
    pub(super) fn request_move(&mut self, key: &ObjectRef, endpoints: &[u64], released: bool) {
        match self.failovers.get_mut(key) {
            Some(entry) if entry.request != MoveRequest::None => return,
            Some(entry) => {
                entry.request = MoveRequest::Waiting;
                if std::mem::replace(&mut entry.released, released) != released {
                    self.groups = None;
                }
            }
            None => {
                let entry = Failover::new(endpoints.to_vec(), released);
                self.add(key, Failover { request: MoveRequest::Waiting, ..entry });
            }
        }
        self.waiting += 1;
    }

    /// An object does not want to leave, or not any more; it has left at `left`, where that was not known.
    pub(super) fn observe_position(
        &mut self,
        key: &ObjectRef,
        left: Option<SteadyTime>,
        endpoints: impl FnOnce() -> Vec<u64>,
        released: bool,
        now: SteadyTime,
    ) {
        match self.failovers.get_mut(key) {
            Some(entry) => {
                // What was under way may have landed.
                let moved = (entry.request == MoveRequest::Granted).then_some(now);
                self.waiting -= usize::from(entry.request == MoveRequest::Waiting);
                entry.request = MoveRequest::None;
                entry.left = entry.left.max(moved).max(left);
                if entry.left.is_none() {
                    self.failovers.remove(key);
                    self.groups = None;
                }
            }
            None if left.is_some() => {
                self.add(key, Failover { left, ..Failover::new(endpoints(), released) });
            }
            None => {}
        }
    }

    /// An object that waits may go.
    pub(super) fn grant(&mut self, key: &ObjectRef) {
        if let Some(entry) = self.failovers.get_mut(key)
            && std::mem::replace(&mut entry.request, MoveRequest::Granted) == MoveRequest::Waiting
        {
            self.waiting -= 1;
        }
    }

    /// The same, and it is this replica that moves it.
    pub(super) fn begin_move(&mut self, key: &ObjectRef) {
        self.grant(key);
        if let Some(entry) = self.failovers.get_mut(key) {
            entry.ours = true;
        }
    }

    /// A person has released everything: what waits may go, and nothing of it counts any more.
    pub(super) fn release(&mut self) {
        for failover in self.failovers.values_mut() {
            failover.released = true;
            failover.request = if failover.request == MoveRequest::Waiting {
                MoveRequest::Granted
            } else {
                failover.request
            };
        }
        (self.waiting, self.groups) = (0, None);
    }

    /// What has left counts as if it had just now.
    pub(super) fn restart_window(&mut self, now: SteadyTime) {
        for failover in self.failovers.values_mut() {
            failover.left = failover.left.map(|_| now);
        }
    }

    /// Forgets what is past.
    pub(super) fn forget(&mut self, now: SteadyTime) {
        let second = SignedDuration::from_secs(1);
        if self.forgotten.is_some_and(|at| at.duration_until(now) < second) {
            return;
        }
        self.forgotten = Some(now);
        let before = self.failovers.len();
        let recent = |left: SteadyTime| left.duration_until(now) < WINDOW;
        self.failovers.retain(|_, l| l.request != MoveRequest::None || l.left.is_some_and(recent));
        if self.failovers.len() < before {
            self.groups = None;
        }
    }

    pub(super) fn is_granted(&self, key: &ObjectRef) -> bool {
        self.failovers.get(key).is_some_and(|failover| failover.request == MoveRequest::Granted)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether this replica has moved any of it.
    pub(super) fn has_ours(&self) -> bool {
        self.failovers.values().any(|failover| failover.ours)
    }

    /// How many count.
    pub(super) fn counted(&mut self) -> usize {
        self.groups().objects()
    }

    /// More than this share of all objects, in percent, the largest group of those whose primaries
    /// share endpoints set aside: that is one loss, however many objects it concerns.
    pub(super) fn exceeds(&mut self, share: u32, managed: usize) -> bool {
        let groups = self.groups();
        let unexplained = (groups.objects() - groups.largest()) as u64;
        let others = managed.saturating_sub(groups.largest()).max(1) as u64;
        unexplained * 100 > others * u64::from(share)
    }

    fn add(&mut self, key: &ObjectRef, failover: Failover) {
        if let Some(groups) = self.groups.as_mut().filter(|_| !failover.released) {
            groups.add(&failover.endpoints);
        }
        self.failovers.insert(key.clone(), failover);
    }

    fn groups(&mut self) -> &Groups {
        self.groups.get_or_insert_with(|| {
            let mut groups = Groups::default();
            let counted = self.failovers.values().filter(|failover| !failover.released);
            counted.for_each(|failover| groups.add(&failover.endpoints));
            groups
        })
    }
}

impl Failover {
    fn new(endpoints: Vec<u64>, released: bool) -> Self {
        Self { endpoints, request: MoveRequest::None, left: None, released, ours: false }
    }
}
