//! The brake's record in the Lease: read past every cache before a move as a standby, written off
//! the hot path.

use crate::clock::backoff::Backoff;
use crate::engine::SteadyTime;
use crate::kinds::ObjectRef;
use crate::leader_election::lease_annotation::LeaseAnnotation;
use crate::reconciler::gates::brake::record::BrakeRecord;
use crate::reconciler::request::{RequestError, within};
use crate::telemetry::report_once::ReportOnce;
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// For how long a read counts: then it is read again before the next move.
const VALID: SignedDuration = SignedDuration::from_secs(1);
/// A request that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A read that failed is made again after this.
const READ_AGAIN: Duration = Duration::from_millis(500);
const WRITE_RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(32));
/// Of two writers one gets 409: the leader renews the Lease beside us.
const TRIES: usize = 10;

/// Where the record is.
pub(crate) struct Ledger {
    annotation: LeaseAnnotation,
    /// The replica that writes, as the record names it.
    replica: String,
    tasks: JoinSet<Answer>,
    /// The objects that wait for what is being read.
    asked: BTreeSet<ObjectRef>,
    /// When the read began that was answered last, by the steady clock.
    read: Option<SteadyTime>,
    writing: bool,
    /// When a write may be tried again.
    not_before: Option<Instant>,
    /// How many writes have failed, one after the other.
    failures: u32,
    /// That it cannot be read or written.
    unavailable: ReportOnce<()>,
}

/// What a request has brought.
struct Answer {
    /// Of a read: when it began.
    began: Option<SteadyTime>,
    outcome: Result<BrakeRecord, RequestError>,
}

/// What to do now that a request was answered.
#[derive(Debug, Default)]
pub(crate) struct LedgerAnswer {
    pub record: Option<BrakeRecord>,
    /// The objects that waited, and when to look at them again where nothing could be read.
    pub objects: Vec<(ObjectRef, Option<Duration>)>,
}

impl Ledger {
    pub(crate) fn new(annotation: LeaseAnnotation, replica: String) -> Self {
        Self {
            annotation,
            replica,
            tasks: JoinSet::new(),
            asked: BTreeSet::new(),
            read: None,
            writing: false,
            not_before: None,
            failures: 0,
            unavailable: ReportOnce::default(),
        }
    }

    /// Whether it has been read since an object's move is wanted, and just now.
    pub(crate) fn covers(&self, since: SteadyTime, now: SteadyTime) -> bool {
        self.read.is_some_and(|began| began >= since && began.duration_until(now) < VALID)
    }

    /// Reads it, for an object that wants to know; one read serves all that ask meanwhile.
    pub(crate) fn ask(&mut self, object: &ObjectRef, now: SteadyTime) {
        let first = self.asked.is_empty();
        self.asked.insert(object.clone());
        if first {
            self.read(now);
        }
    }

    /// Reads it when a replica starts, before any object asks.
    pub(crate) fn read(&mut self, now: SteadyTime) {
        let annotation = self.annotation.clone();
        self.tasks.spawn(async move {
            let outcome = within(TIMEOUT, load(&annotation)).await;
            Answer { began: Some(now), outcome }
        });
    }

    /// Writes it, unless a write is under way or has just failed.
    pub(crate) fn write(&mut self, record: &BrakeRecord) {
        if self.writing || self.not_before.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.writing = true;
        let annotation = self.annotation.clone();
        let record = BrakeRecord { by: self.replica.clone(), ..record.clone() };
        self.tasks.spawn(async move {
            let outcome = within(TIMEOUT, store(&annotation, record)).await;
            Answer { began: None, outcome }
        });
    }

    /// The next answer; none while nothing is asked.
    pub(crate) async fn next(&mut self) -> Option<LedgerAnswer> {
        let answer = match self.tasks.join_next().await? {
            Ok(answer) => answer,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let retry = answer.outcome.is_err().then_some(READ_AGAIN);
        match answer.began {
            Some(began) if answer.outcome.is_ok() => self.read = Some(began),
            Some(_) => {}
            None => {
                self.writing = false;
                self.failures = if retry.is_some() { self.failures.saturating_add(1) } else { 0 };
                let wait = WRITE_RETRY.after(self.failures);
                self.not_before = retry.map(|_| Instant::now() + wait);
            }
        }
        let waited = match answer.began {
            Some(_) => std::mem::take(&mut self.asked),
            None => BTreeSet::new(),
        };
        let record = answer.outcome.map_err(|error| self.report_unavailable(error)).ok();
        if record.is_some() {
            self.unavailable.ends();
        }
        let objects = waited.into_iter().map(|object| (object, retry)).collect();
        Some(LedgerAnswer { record, objects })
    }

    fn report_unavailable(&mut self, error: RequestError) {
        if self.unavailable.begins(()) {
            tracing::warn!(
                %error,
                lease = self.annotation.lease(),
                "the brake's record in the Lease cannot be read or written: the brake holds here all the same, but another replica may not know, and no standby moves anything"
            );
        }
    }
}

/// The record as it is committed.
async fn load(annotation: &LeaseAnnotation) -> kube::Result<BrakeRecord> {
    match annotation.read().await {
        Ok(value) => Ok(BrakeRecord::parse(value.as_deref())),
        // A replica without a Lease need not have the right to one: then it knows for itself alone.
        Err(kube::Error::Api(status)) if annotation.is_without_election() && status.code == 403 => {
            Ok(BrakeRecord::default())
        }
        Err(error) => Err(error),
    }
}

/// Writes a record over one that is no newer, and returns the one that stands afterwards.
async fn store(annotation: &LeaseAnnotation, record: BrakeRecord) -> kube::Result<BrakeRecord> {
    let newer = |present: Option<&str>| {
        let present = BrakeRecord::parse(present);
        let is_ours =
            present.n < record.n || present.n == record.n && !present.has_same_content_as(&record);
        is_ours.then(|| BrakeRecord { n: present.n.max(record.n) + 1, ..record.clone() }.to_json())
    };
    let stands = annotation.update(TRIES, newer).await?;
    Ok(BrakeRecord::parse(stands.as_deref()))
}
