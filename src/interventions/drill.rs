//! A drill: the traffic of an object goes to a fallback for a while, and comes back.
//!
//! Each [look](Look) at the object, with the time and whether the person has had enough, gives a
//! [step](Step). The pin has an end: where no step is taken any more, it ends by itself.

use crate::engine::Health;
use crate::interventions::checks::sets;
use crate::interventions::refusal::Refusal;
use crate::reconciler::traffic_on::{Stopped, TrafficOn};
use crate::snapshot::row::{BackendRow, ObjectRow, SetRow};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::fmt;

/// A controller moves traffic in a second; without one there is nothing to wait for.
const MOVES_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// The drill that an object can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub fallback: String,
    pub health: Health,
    /// What has the traffic now.
    pub primaries: Vec<String>,
}

/// The drill of an object: to this fallback, or to the first one that is ready. `is_led` says whether a replica leads,
/// where that is known.
pub(crate) fn candidate(
    row: &ObjectRow,
    stopped: Stopped,
    is_led: Option<bool>,
    to: Option<&str>,
) -> Result<Candidate, Refusal> {
    let sets = sets(row)?;
    if stopped.frozen {
        let next = "drill when the freeze has ended, or end it: linkerd-failover unfreeze";
        return Err(Refusal::new("a cluster that is frozen", "one that is not", next));
    }
    if is_led == Some(false) {
        let next = "nobody would move the traffic: linkerd-failover check";
        return Err(Refusal::new("no replica that leads", "one that does", next));
    }
    if row.on != TrafficOn::Primary {
        return Err(Refusal::new(
            format!("an object whose traffic is not as usual ({})", row.on),
            "one whose primary has the traffic",
            "drill when it is back there",
        ));
    }
    if let Some(step) = sets.iter().flat_map(|set| &set.next).find(|step| step.is_under_way()) {
        return Err(Refusal::new(
            format!("an object whose traffic is about to move ({step})"),
            "one whose primary has the traffic and keeps it",
            "drill when it is back there",
        ));
    }
    let names: Vec<&str> = match to {
        Some(name) => vec![name],
        None => in_order(sets),
    };
    if let Some(name) = to.filter(|name| !sets.iter().any(|set| has_fallback(set, name))) {
        let fallbacks = in_order(sets).join(", ");
        let expected = format!("one of its fallbacks, {fallbacks}");
        return Err(Refusal::new(format!("{name:?}"), expected, "name one by --to"));
    }
    let ready = names.iter().find(|name| rows(sets, name).all(is_ready));
    let fallback = ready.ok_or_else(|| none_ready(sets, &names))?;
    let health = rows(sets, fallback).next().map(|row| row.health.clone());
    let primaries: BTreeSet<&str> = sets.iter().flat_map(SetRow::active).collect();
    Ok(Candidate {
        fallback: (*fallback).to_owned(),
        health: health.unwrap_or(Health::Missing),
        primaries: primaries.into_iter().map(str::to_owned).collect(),
    })
}

/// The fallbacks, the preferred first.
fn in_order(sets: &[SetRow]) -> Vec<&str> {
    let mut fallbacks: Vec<&BackendRow> = sets.iter().flat_map(SetRow::fallbacks).collect();
    fallbacks.sort_by_key(|row| row.tier);
    let mut seen = BTreeSet::new();
    fallbacks.into_iter().map(|row| row.name.as_str()).filter(|name| seen.insert(*name)).collect()
}

fn has_fallback(set: &SetRow, name: &str) -> bool {
    set.fallbacks().any(|row| row.name == name)
}

fn rows<'a>(sets: &'a [SetRow], name: &str) -> impl Iterator<Item = &'a BackendRow> {
    sets.iter().flat_map(|set| &set.backends).filter(move |row| row.name == name)
}

fn is_ready(row: &BackendRow) -> bool {
    row.health.is_ready() && row.meets_minimum == Some(true)
}

fn none_ready(sets: &[SetRow], names: &[&str]) -> Refusal {
    let health = |name: &&str| {
        let row = rows(sets, name).find(|row| !is_ready(row));
        format!("{name}: {}", row.map_or("unknown".to_owned(), |row| row.health.to_string()))
    };
    let found: Vec<String> = names.iter().map(health).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join("; ") };
    let next = "a fallback that is not ready now would not be in an outage either";
    Refusal::new(format!("no fallback that is ready ({found})"), "one that is known to be", next)
}

/// What is seen of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Seen(Facts),
    /// The object is there no more, or managed no more.
    Gone,
    /// The API server did not answer.
    Unseen,
}

/// What matters of an object to its drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The annotations `pin` and `pin-until`.
    pub pin: Option<String>,
    pub pin_until: Option<String>,
    /// The fallback alone has the traffic, wherever it is a backend.
    pub on_fallback: bool,
    /// Ready endpoints of the fallback, of so many; none: not known.
    pub endpoints: Option<(u32, u32)>,
    /// The fallback has as many as it needs.
    pub is_ready: bool,
    /// The field managers, beside the controller and this program, that have written the object since.
    pub others: BTreeSet<String>,
}

/// What is known of the fallback and of the traffic.
pub(crate) fn facts(
    row: &ObjectRow,
    fallback: &str,
    pin: [Option<String>; 2],
    others: BTreeSet<String>,
) -> Facts {
    let sets = row.sets.as_deref().unwrap_or_default();
    let mut concerned = sets.iter().filter(|set| has_fallback(set, fallback)).peekable();
    let is_there = concerned.peek().is_some();
    let [pin, pin_until] = pin;
    Facts {
        pin,
        pin_until,
        on_fallback: is_there && concerned.all(|set| set.active().eq([fallback])),
        endpoints: rows(sets, fallback).filter_map(|row| endpoints(&row.health)).min(),
        is_ready: is_there && rows(sets, fallback).all(is_ready),
        others,
    }
}

fn endpoints(health: &Health) -> Option<(u32, u32)> {
    match health.undeclared() {
        Health::Seen { ready, total, .. } => Some((*ready, *total)),
        _ => None,
    }
}

/// Why the traffic is called back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The time is over.
    Over,
    /// The person has ended it.
    Interrupted,
    /// The fallback is not ready any more.
    Weakened,
    /// The traffic did not move.
    NotMoved,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    /// The pin is to be taken off.
    Unpin(Why),
    Done,
}

/// How a drill came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The pin was taken off, and the traffic is back after that, as far as that was seen.
    Returned(Why, Option<SignedDuration>),
    /// Somebody else has changed the pin, and what they wrote stays.
    TakenOver,
    /// The object is there no more.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Moving,
    On,
    Returning(Why, Timestamp),
    Ended(End),
}

/// A drill that has begun: the object is pinned.
#[derive(Clone, Debug)]
pub(crate) struct Drill {
    fallback: String,
    began: Timestamp,
    until: Timestamp,
    phase: Phase,
    moved_after: Option<SignedDuration>,
    fewest: Option<(u32, u32)>,
    others: BTreeSet<String>,
}

impl Drill {
    /// Pinned at `began`, until the time in `pin-until`.
    pub(crate) fn begun(fallback: String, began: Timestamp, until: Timestamp) -> Self {
        let (moved_after, fewest, others) = (None, None, BTreeSet::new());
        Self { fallback, began, until, phase: Phase::Moving, moved_after, fewest, others }
    }

    /// Whether a move is waited for, which is timed.
    pub(crate) fn is_moving(&self) -> bool {
        matches!(self.phase, Phase::Moving | Phase::Returning(..))
    }

    /// Where the traffic goes.
    pub(crate) fn fallback(&self) -> &str {
        &self.fallback
    }

    /// When the pin ends by itself.
    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    /// How long it took until the fallback had the traffic.
    pub(crate) fn moved_after(&self) -> Option<SignedDuration> {
        self.moved_after
    }

    /// How it ended, once it has.
    pub(crate) fn end(&self) -> Option<End> {
        match self.phase {
            Phase::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// The step after a look at the object.
    pub(crate) fn step(&mut self, look: &Look, now: Timestamp, interrupted: bool) -> Step {
        match (look, self.phase) {
            (_, Phase::Ended(_)) => Step::Done,
            (Look::Gone, _) => self.ends(End::Gone),
            (Look::Seen(facts), Phase::Returning(why, since)) => {
                self.note(facts);
                self.returning(facts.on_fallback, why, since, now)
            }
            (Look::Unseen, Phase::Returning(why, since)) => self.returning(true, why, since, now),
            (Look::Seen(facts), _) => {
                self.note(facts);
                self.watching(facts, now, interrupted)
            }
            (Look::Unseen, _) if interrupted => Step::Unpin(Why::Interrupted),
            (Look::Unseen, _) if now >= self.until => Step::Unpin(Why::Over),
            (Look::Unseen, _) => Step::Wait,
        }
    }

    /// The pin has been taken off.
    pub(crate) fn unpinned(&mut self, why: Why, now: Timestamp) {
        self.phase = Phase::Returning(why, now);
    }

    /// Somebody else has changed the pin before it could be taken off.
    pub(crate) fn taken_over(&mut self) {
        self.phase = Phase::Ended(End::TakenOver);
    }

    /// The pin could not be taken off: it ends by itself.
    pub(crate) fn given_up(&mut self, why: Why) {
        self.phase = Phase::Ended(End::Returned(why, None));
    }

    fn note(&mut self, facts: &Facts) {
        self.others.extend(facts.others.iter().cloned());
        let is_watched = !matches!(self.phase, Phase::Returning(..));
        let counts = [self.fewest, facts.endpoints.filter(|_| is_watched)];
        self.fewest = counts.into_iter().flatten().min();
    }

    fn watching(&mut self, facts: &Facts, now: Timestamp, interrupted: bool) -> Step {
        if self.phase == Phase::Moving && facts.on_fallback {
            self.phase = Phase::On;
            self.moved_after = Some(self.began.duration_until(now));
        }
        let is_late = self.phase == Phase::Moving && self.began.duration_until(now) > MOVES_WITHIN;
        match () {
            () if !self.has_our_pin(facts) => self.ends(End::TakenOver),
            () if interrupted => Step::Unpin(Why::Interrupted),
            () if now >= self.until => Step::Unpin(Why::Over),
            () if !facts.is_ready => Step::Unpin(Why::Weakened),
            () if is_late => Step::Unpin(Why::NotMoved),
            () => Step::Wait,
        }
    }

    fn has_our_pin(&self, facts: &Facts) -> bool {
        let until = facts.pin_until.as_deref().and_then(|text| text.parse().ok());
        facts.pin.as_deref() == Some(&self.fallback) && until == Some(self.until)
    }

    fn returning(&mut self, is_there: bool, why: Why, since: Timestamp, now: Timestamp) -> Step {
        let after = since.duration_until(now);
        match is_there {
            false => self.ends(End::Returned(why, Some(after))),
            true if after > MOVES_WITHIN => self.ends(End::Returned(why, None)),
            true => Step::Wait,
        }
    }

    fn ends(&mut self, end: End) -> Step {
        self.phase = Phase::Ended(end);
        Step::Done
    }

    /// What was seen, a line each.
    pub(crate) fn report(&self) -> Vec<String> {
        let fallback = &self.fallback;
        let moved = match self.moved_after {
            Some(after) => format!("traffic was on {fallback} {} after the pin", seconds(after)),
            None => format!("traffic was never seen on {fallback}"),
        };
        let fewest = match self.fewest {
            Some((ready, total)) => {
                format!("{fallback} had at least {ready} ready endpoints, of {total} then")
            }
            None => format!("the endpoints of {fallback} were not seen"),
        };
        let others: Vec<&str> = self.others.iter().map(String::as_str).collect();
        let others = match others.is_empty() {
            true => "nobody else changed the object meanwhile".to_owned(),
            false => format!("the object was changed meanwhile by {}", others.join(", ")),
        };
        let end = self.end().map(|end| self.describe(end));
        [moved, fewest, others].into_iter().chain(end).collect()
    }

    fn describe(&self, end: End) -> String {
        let Self { fallback, until, .. } = self;
        match end {
            End::Returned(_, Some(after)) => {
                format!(
                    "traffic had left {fallback} {} after the pin was taken off",
                    seconds(after)
                )
            }
            End::Returned(..) => format!(
                "traffic was not seen to leave {fallback}: the pin ends by itself at {until}, and after that health decides"
            ),
            End::TakenOver => {
                "somebody else has changed the pin, and what they wrote stays".to_owned()
            }
            End::Gone => "the object is there no more, or is managed no more".to_owned(),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Over => "the time is over",
            Self::Interrupted => "interrupted",
            Self::Weakened => "the fallback is not ready any more",
            Self::NotMoved => "traffic did not move within a minute: does a replica run and lead?",
        })
    }
}

/// `0.4s`.
pub(crate) fn seconds(duration: SignedDuration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

#[cfg(test)]
#[path = "drill_tests.rs"]
mod tests;
