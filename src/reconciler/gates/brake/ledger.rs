//! The brake's record in the Lease: read past every cache before a move as a standby, written off
//! the hot path.

use crate::clock::backoff::Backoff;
use crate::engine::SteadyTime;
use crate::kinds::ObjectRef;
use crate::leader_election::brake_record::BrakeRecord;
use crate::reconciler::request::{RequestError, within};
use crate::telemetry::report_once::ReportOnce;
use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use kube::api::PostParams;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What was read counts for so long: then it is read again before the next move.
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
    api: Api<Lease>,
    name: String,
    /// Who writes, as the record names it.
    replica: String,
    /// Nobody strives for this Lease: it holds the record alone, and is made for that.
    alone: bool,
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
    pub(crate) fn new(api: Api<Lease>, name: String, replica: String, alone: bool) -> Self {
        Self {
            api,
            name,
            replica,
            alone,
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

    /// Reads it for nobody: a replica that begins.
    pub(crate) fn read(&mut self, now: SteadyTime) {
        let (api, name, alone) = (self.api.clone(), self.name.clone(), self.alone);
        self.tasks.spawn(async move {
            let outcome = within(TIMEOUT, load(&api, &name, alone)).await;
            Answer { began: Some(now), outcome }
        });
    }

    /// Writes it, unless a write is under way or has just failed.
    pub(crate) fn write(&mut self, record: &BrakeRecord) {
        if self.writing || self.not_before.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.writing = true;
        let (api, name, alone) = (self.api.clone(), self.name.clone(), self.alone);
        let record = BrakeRecord { by: self.replica.clone(), ..record.clone() };
        self.tasks.spawn(async move {
            let outcome = within(TIMEOUT, store(&api, &name, record, alone)).await;
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
                lease = self.name,
                "the brake's record in the Lease cannot be read or written: the brake holds here all the same, but another replica may not know, and no standby moves anything"
            );
        }
    }
}

/// What stands there, as it is committed: without a resourceVersion, past every cache.
async fn load(api: &Api<Lease>, name: &str, alone: bool) -> kube::Result<BrakeRecord> {
    match api.get_opt(name).await {
        Ok(lease) => Ok(lease.as_ref().map(BrakeRecord::of).unwrap_or_default()),
        // A replica without a Lease need not have the right to one: then it knows for itself alone.
        Err(kube::Error::Api(status)) if alone && status.code == 403 => Ok(BrakeRecord::default()),
        Err(error) => Err(error),
    }
}

/// Writes a record over one that is no newer, and gives back what stands there then.
async fn store(
    api: &Api<Lease>,
    name: &str,
    record: BrakeRecord,
    alone: bool,
) -> kube::Result<BrakeRecord> {
    let mut tries = 0;
    loop {
        let lease = api.get_opt(name).await?;
        let stands = lease.as_ref().map(BrakeRecord::of).unwrap_or_default();
        if stands.n > record.n || stands.n == record.n && stands.says_the_same(&record) {
            return Ok(stands);
        }
        let next = BrakeRecord { n: record.n.max(stands.n) + 1, ..record.clone() };
        let written = match lease {
            Some(mut lease) => {
                next.put(&mut lease);
                api.replace(name, &PostParams::default(), &lease).await
            }
            // Whoever strives for the Lease makes it, with a holder.
            None if !alone => return api.get(name).await.map(|lease| BrakeRecord::of(&lease)),
            None => {
                let mut lease = Lease { spec: Some(LeaseSpec::default()), ..Lease::default() };
                lease.metadata.name = Some(name.to_owned());
                next.put(&mut lease);
                api.create(&PostParams::default(), &lease).await
            }
        };
        tries += 1;
        match written {
            Ok(_) => return Ok(next),
            Err(kube::Error::Api(status)) if status.code == 409 && tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}
