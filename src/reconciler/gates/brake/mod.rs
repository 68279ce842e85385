//! The brake: when too much of the cluster would leave its primary at once, it holds the moves until a
//! person releases them.
//!
//! Every replica counts what all of them have moved, by the live weights as they are watched. What
//! must outlive a replica, since when the brake holds and which release was taken, is a [`BrakeRecord`]
//! in the Lease.

mod count;
mod groups;
mod ledger;
mod record;

pub(crate) use ledger::{Ledger, LedgerAnswer};
pub(crate) use record::BrakeRecord;

use crate::engine::{Now, SteadyTime};
use crate::kinds::ObjectRef;
use count::Count;
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;
use std::collections::HashMap;

/// Losses within this time are taken together.
const WINDOW: SignedDuration = SignedDuration::from_secs(10);

/// A person's clock and ours differ by this much at most.
const CLOCKS: SignedDuration = SignedDuration::from_mins(10);
/// A release that is not due yet, or that a wall clock has yet to catch up with, is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// No cache is older (`list_watch::READ_TIMEOUT`): a replica that has seen nothing wait for this long sees
/// correctly.
const CACHES: SignedDuration = SignedDuration::from_secs(30);

/// How often objects are looked for that went unnoticed.
const SWEEP: SignedDuration = SignedDuration::from_secs(1);

/// Off unless a share is set.
#[derive(Debug)]
pub(crate) struct Brake {
    /// In percent of all managed objects.
    share: u32,
    /// Every object that has been looked at, and where its traffic was.
    positions: HashMap<ObjectRef, LastPosition>,
    count: Count,
    /// The record in the Lease, or what has yet to be written to it.
    record: BrakeRecord,
    unwritten: bool,
    /// Whether the Lease has been read.
    read: bool,
    /// When those that are gone were looked for last.
    swept: Option<SteadyTime>,
    /// Since when it holds here, by the steady clock, and whether anything has waited since.
    began: SteadyTime,
    has_held: bool,
    /// The hold that ended here last: an older record may still have it.
    last_ended: Option<Timestamp>,
    /// When a person's release was taken, by the steady clock: what they saw coming may go too.
    released: Option<SteadyTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastPosition {
    Unknown,
    /// On its primary.
    OnPrimary,
    OffPrimary,
}

/// Where the traffic of an object is that does not ask to leave its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrafficPosition {
    /// Its live weights are off its primary, whoever moved them: since then by its record.
    Left(Option<Timestamp>),
    /// It is on its primary, which is known to be ready.
    Recovered,
    /// It is not ours to move now: a person has paused or pinned it, or it cannot be read.
    Withdrawn,
    /// Nothing is known now: its kind is being listed, its primary cannot be seen, or there
    /// is nowhere to go. What it wanted before still holds.
    Undecided,
    /// It is not there any more.
    Gone,
}

/// Whether an object may leave its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrakeDecision {
    Go,
    /// The brake holds. Look again after this.
    Hold(SignedDuration),
}

/// How a record that was read relates to the one that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadRecord {
    Older,
    Same,
    /// Another replica wrote it at the same time.
    Conflicting,
    /// It has a hold that ended here, or lacks one that has yet to be written.
    Overruled,
    Newer,
}

impl Brake {
    pub(crate) fn new(share: u32) -> Self {
        Self {
            share,
            positions: HashMap::new(),
            count: Count::default(),
            record: BrakeRecord::default(),
            unwritten: false,
            read: false,
            swept: None,
            began: SteadyTime::MIN,
            has_held: false,
            last_ended: None,
            released: None,
        }
    }

    /// An object wants to leave its primary, of which these were the endpoints. `managed` is how
    /// many objects there are, `released` the time at which a person released the brake.
    ///
    /// A replica that defers the move to another asks too, so that it knows how much moves.
    pub(crate) fn request_move(
        &mut self,
        key: &ObjectRef,
        endpoints: &[u64],
        managed: usize,
        released: Option<Timestamp>,
        now: Now,
    ) -> BrakeDecision {
        self.forget(now.steady);
        self.observe_release(released, now);
        self.positions.insert(key.clone(), LastPosition::OnPrimary);
        let just_released = self.just_released(now.steady);
        self.count.request_move(key, endpoints, just_released);
        if just_released {
            self.count.grant(key);
        } else if !self.holds() && self.count.exceeds(self.share, managed) {
            self.engage(managed, released, now);
        }
        let free = self.count.is_granted(key);
        self.has_held |= self.holds() && !free;
        if free || !self.holds() { BrakeDecision::Go } else { BrakeDecision::Hold(LOOK_AGAIN) }
    }

    /// Its write is under way: it may be tried again, whatever comes.
    pub(crate) fn begin_move(&mut self, key: &ObjectRef) {
        self.count.begin_move(key);
    }

    /// Observes where an object's traffic is that does not ask to leave; `endpoints` are those of its
    /// primary.
    pub(crate) fn observe(
        &mut self,
        key: &ObjectRef,
        seen: TrafficPosition,
        endpoints: impl FnOnce() -> Vec<u64>,
        now: Now,
    ) {
        self.forget(now.steady);
        let place = match seen {
            TrafficPosition::Undecided => {
                self.positions.entry(key.clone()).or_insert(LastPosition::Unknown);
                return;
            }
            TrafficPosition::Left(_) => LastPosition::OffPrimary,
            TrafficPosition::Recovered | TrafficPosition::Gone => LastPosition::OnPrimary,
            // Afterwards its record decides where it is.
            TrafficPosition::Withdrawn => LastPosition::Unknown,
        };
        let before = match seen {
            TrafficPosition::Gone => self.positions.remove(key),
            _ => self.positions.insert(key.clone(), place),
        };
        let left = match (seen, before) {
            (TrafficPosition::Left(_), Some(LastPosition::OnPrimary)) => Some(now.steady),
            (TrafficPosition::Left(recorded), None | Some(LastPosition::Unknown)) => {
                self.lately(recorded, now)
            }
            _ => None,
        };
        self.count.observe_position(
            key,
            left,
            endpoints,
            self.just_released(now.steady),
            now.steady,
        );
    }

    /// Observes the record in the Lease. Returns whether every object has to be reconciled again.
    pub(crate) fn take_in(&mut self, stands: BrakeRecord, leads: bool, now: Now) -> bool {
        let first = !std::mem::replace(&mut self.read, true);
        if first {
            // Since when moves count is known only now.
            self.positions.values_mut().for_each(|place| *place = LastPosition::Unknown);
        }
        let ended = match self.compare(&stands) {
            // The store went back in time, or the answer is late: the next write finds out.
            ReadRecord::Older => {
                self.unwritten |= leads;
                false
            }
            ReadRecord::Same => {
                (self.record, self.unwritten) = (stands, false);
                false
            }
            ReadRecord::Conflicting => false,
            ReadRecord::Overruled => {
                self.record.n = stands.n;
                false
            }
            ReadRecord::Newer => self.adopt(stands, first, now),
        };
        first || ended
    }

    fn compare(&self, stands: &BrakeRecord) -> ReadRecord {
        let over = stands.holds_since().is_some() && stands.since == self.last_ended;
        let holds_on = self.unwritten && self.holds() && stands.holds_since().is_none();
        match stands.n.cmp(&self.record.n) {
            Ordering::Less => ReadRecord::Older,
            _ if stands.has_same_content_as(&self.record) => ReadRecord::Same,
            Ordering::Equal => ReadRecord::Conflicting,
            Ordering::Greater if over || holds_on => ReadRecord::Overruled,
            Ordering::Greater => ReadRecord::Newer,
        }
    }

    /// Adopts a newer record. Returns whether it ends a hold.
    fn adopt(&mut self, stands: BrakeRecord, first: bool, now: Now) -> bool {
        let was = std::mem::replace(&mut self.record, stands).holds_since();
        self.unwritten = false;
        let holds = self.record.holds_since();
        match (was, holds) {
            (None, Some(since)) => {
                (self.began, self.has_held) = (now.steady, false);
                tracing::warn!(
                    %since,
                    by = self.record.by,
                    "the brake holds, as the Lease says: nothing leaves a primary until a person says so, or the primaries are back"
                );
            }
            (Some(_), None) => {
                tracing::warn!(by = self.record.by, "the brake is off again, as the Lease says");
                self.end_hold(now);
            }
            (None, None) if first => self.released = self.released_lately(now),
            _ => {}
        }
        was.is_some() && holds.is_none()
    }

    /// The record that has yet to be written to the Lease, where this replica may write it: it leads, or
    /// has itself moved some of what counts.
    pub(crate) fn unwritten_record(&self, leads: bool) -> Option<&BrakeRecord> {
        (self.unwritten && (leads || self.count.has_ours())).then_some(&self.record)
    }

    /// A person's release: about now, and not what stood there when the brake began to hold.
    pub(crate) fn observe_release(&mut self, released: Option<Timestamp>, now: Now) {
        let (Some(since), Some(released)) = (self.engaged(), released) else { return };
        let early = since.duration_until(released) < -CLOCKS;
        let late = now.wall.duration_until(released).is_positive();
        if self.record.standing == Some(released) || early || late {
            return;
        }
        tracing::warn!(%since, "the brake was released by a person");
        self.end(Some(released), now);
    }

    /// Forgets objects whose deletion went unnoticed, by how many objects there are.
    pub(crate) fn forget_gone(
        &mut self,
        objects: usize,
        is_there: impl Fn(&ObjectRef) -> bool,
        now: Now,
    ) {
        let swept = self.swept.is_some_and(|at| at.duration_until(now.steady) < SWEEP);
        if self.positions.len() <= objects || swept {
            return;
        }
        self.swept = Some(now.steady);
        let gone: Vec<_> = self.positions.keys().filter(|key| !is_there(key)).cloned().collect();
        for key in gone {
            self.observe(&key, TrafficPosition::Gone, Vec::new, now);
        }
    }

    /// Everything that was queued is decided, of this many objects: where none of them wants to
    /// leave its primary, the hold is over. One that others began is ended only by a replica that
    /// has seen what waited, or whose caches have been renewed since.
    pub(crate) fn finish_round(&mut self, objects: usize, leads: bool, now: Now) {
        if !self.holds() || self.count.waiting() > 0 || self.positions.len() < objects {
            return;
        }
        let sees = self.has_held || self.began.duration_until(now.steady) >= CACHES;
        if sees && (leads || self.unwritten) {
            tracing::warn!("the brake is off again: no object wants to leave its primary");
            self.end(None, now);
        }
    }

    /// Whether it knows the record in the Lease.
    pub(crate) fn has_read(&self) -> bool {
        self.read
    }

    /// When it began to hold, by the wall clock.
    pub(crate) fn engaged(&self) -> Option<Timestamp> {
        self.record.holds_since()
    }

    /// How many objects it holds.
    pub(crate) fn held(&self) -> usize {
        if self.holds() { self.count.waiting() } else { 0 }
    }

    fn holds(&self) -> bool {
        self.engaged().is_some()
    }

    fn just_released(&self, now: SteadyTime) -> bool {
        self.released.is_some_and(|at| at.duration_until(now) < WINDOW)
    }

    fn engage(&mut self, managed: usize, released: Option<Timestamp>, now: Now) {
        self.record = self.record.engaged(now.wall, released);
        (self.unwritten, self.began, self.has_held) = (true, now.steady, true);
        tracing::error!(
            leaving = self.count.counted(),
            managed,
            share = self.share,
            "BRAKE: more objects would leave their primaries at once than is allowed, and they share no endpoints; nothing leaves a primary until a person says so, or the primaries are back"
        );
    }

    fn end(&mut self, released: Option<Timestamp>, now: Now) {
        self.record = self.record.ended(now.wall, released);
        self.unwritten = true;
        self.end_hold(now);
    }

    /// The hold is over: by a person, or else the primaries are back. Then what has left goes on to
    /// count, so that primaries that flap give no new share.
    fn end_hold(&mut self, now: Now) {
        self.last_ended = self.record.since;
        if self.record.released.is_some() {
            self.count.release();
            self.released = Some(now.steady);
        } else {
            self.count.restart_window(now.steady);
        }
    }

    /// When a release was taken that others took a moment ago.
    fn released_lately(&self, now: Now) -> Option<SteadyTime> {
        let ended = self.record.ended.filter(|_| self.record.released.is_some())?;
        let ago = ended.duration_until(now.wall).max(SignedDuration::ZERO);
        now.steady.checked_sub(ago).filter(|_| ago < WINDOW)
    }

    /// When an object that is seen for the first time has left its primary, where that counts.
    fn lately(&self, recorded: Option<Timestamp>, now: Now) -> Option<SteadyTime> {
        let recorded = recorded?;
        let ended = self.record.ended.filter(|_| self.record.released.is_none());
        let lingers = ended.is_some_and(|ended| ended.duration_until(now.wall) < WINDOW);
        let since = self.record.since.filter(|_| self.holds() || lingers).unwrap_or(now.wall);
        // Records are to the second, downwards.
        let earliest = WINDOW + SignedDuration::from_secs(1);
        let ago = recorded.duration_until(now.wall).max(SignedDuration::ZERO);
        let ago = if lingers { SignedDuration::ZERO } else { ago };
        let left = now.steady.checked_sub(ago)?;
        (recorded.duration_until(since) <= earliest).then_some(left)
    }

    /// While it holds nothing is forgotten: all of it counts.
    fn forget(&mut self, now: SteadyTime) {
        if !self.holds() {
            self.count.forget(now);
        }
    }
}

#[cfg(test)]
#[path = "brake_tests.rs"]
mod tests;

#[cfg(test)]
mod replicas_tests;
