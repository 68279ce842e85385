//! A world for histories: replicas whose reads and writes interleave, a Secret, two bundles, and API
//! servers that hear late of them.

use super::*;
use std::sync::Arc;

pub(super) const MINUTE: i64 = 60;
pub(super) const REPLICAS: usize = 3;
/// A replica hangs, and time passes unseen, for so long at most: what is left of a leaf's life when
/// it is renewed is more than both and a jump of the clock.
pub(super) const LONGEST: i64 = 30 * MINUTE;
/// The longest time until an API server sees a bundle.
const LAG: i64 = 5 * MINUTE;

fn short() -> Lifetimes {
    let (ca, leaf) = (SignedDuration::from_hours(30), SignedDuration::from_hours(6));
    Lifetimes { ca, leaf, propagation: SignedDuration::from_mins(10) }.checked().unwrap()
}

#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// One replica does its next read or write.
    Act(usize),
    /// An API server sees the newest bundle of a configuration.
    Hear(usize),
    /// Time passes, and whoever does not hang does its work.
    Pass(i64),
    /// The clock on the wall is set.
    Jump(i64),
    /// A replica does nothing for a while, and then goes on with what it had read.
    Stall(usize, i64),
    Crash(usize),
    Start(usize),
    /// Somebody damages the Secret, or empties the bundles.
    Damage(Damage),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Damage {
    Empty,
    Garbage(&'static str),
    Remove(&'static str),
    Bundles,
}

/// A stored object, with every version that it had.
struct Stored<T> {
    versions: Vec<(i64, Arc<T>)>,
}

impl<T> Stored<T> {
    fn new(value: T) -> Self {
        Self { versions: vec![(0, Arc::new(value))] }
    }

    fn version(&self) -> usize {
        self.versions.len() - 1
    }

    fn live(&self) -> Arc<T> {
        self.versions[self.version()].1.clone()
    }

    /// As the API server does it: on the version that was read, or not at all.
    fn write(&mut self, on: usize, value: T, at: i64) -> bool {
        let first = on == self.version();
        if first {
            self.versions.push((at, Arc::new(value)));
        }
        first
    }
}

/// How far a replica is in one reconciliation.
enum Round {
    Idle,
    ReadBundles([usize; 2], Vec<Bundles>),
    WriteSecret(usize, Data, Change),
    WriteBundles(usize, [usize; 2], String),
}

struct Replica {
    skew: i64,
    alive: bool,
    stalled_until: i64,
    round: Round,
    propagation: Propagation,
    leaf: Option<(Leaf, String, Timestamp)>,
    /// It has been believed since it started: it is called from now on.
    ready: bool,
}

pub(super) struct World {
    /// Seconds that have passed, and by how much the clock on the wall was set.
    passed: i64,
    jumped: i64,
    furthest: i64,
    secret: Stored<Data>,
    bundles: [Stored<String>; 2],
    /// Which version of each bundle the API servers know.
    known: [usize; 2],
    replicas: Vec<Replica>,
    retired: Vec<Vec<u8>>,
    pub(super) changes: Vec<Change>,
    damaged: bool,
    excused_until: i64,
}

impl World {
    pub(super) fn new(skews: &[i64]) -> Self {
        let replica = |skew: &i64| Replica {
            skew: *skew,
            alive: true,
            stalled_until: 0,
            round: Round::Idle,
            propagation: Propagation::default(),
            leaf: None,
            ready: false,
        };
        Self {
            passed: 0,
            jumped: 0,
            furthest: 0,
            secret: Stored::new(Data::new()),
            bundles: [Stored::new(String::new()), Stored::new(String::new())],
            known: [0, 0],
            replicas: skews.iter().map(replica).collect(),
            retired: vec![],
            changes: vec![],
            damaged: false,
            excused_until: 0,
        }
    }

    fn wall(&self, skew: i64) -> Timestamp {
        let start: Timestamp = "2026-11-01T12:00:00Z".parse().unwrap();
        start + SignedDuration::from_secs(self.passed + self.jumped + skew)
    }

    fn steady(&self) -> SignedDuration {
        SignedDuration::from_secs(self.passed)
    }

    /// One read or write of one replica.
    pub(super) fn act(&mut self, r: usize) {
        let (now, steady) = (self.wall(self.replicas[r].skew), self.steady());
        if !self.goes_on(r) {
            return;
        }
        let replica = &mut self.replicas[r];
        let round = match std::mem::replace(&mut replica.round, Round::Idle) {
            Round::Idle => {
                let read =
                    |b: &Stored<String>| Bundles::Present(vec![b.live().as_bytes().to_vec()]);
                let versions = [self.bundles[0].version(), self.bundles[1].version()];
                Round::ReadBundles(versions, self.bundles.iter().map(read).collect())
            }
            Round::ReadBundles(versions, bundles) => {
                let (data, version) = (self.secret.live(), self.secret.version());
                let trusted_for = replica.propagation.observe(&data, &bundles, steady);
                let observed = Observed { data: &data, trusted_for };
                match next_step(observed, &names(), &short(), now).unwrap() {
                    Step::Write { data, change } => Round::WriteSecret(version, data, change),
                    Step::Use(used) => {
                        replica.serve(&used, now);
                        Round::WriteBundles(0, versions, used.bundle)
                    }
                }
            }
            Round::WriteSecret(version, data, change) => {
                let before = self.secret.live();
                if self.secret.write(version, data, self.passed) {
                    self.secret_written(&before, change);
                }
                Round::Idle
            }
            Round::WriteBundles(2, ..) => Round::Idle,
            Round::WriteBundles(i, versions, bundle) => {
                if *self.bundles[i].live() != bundle {
                    self.bundles[i].write(versions[i], bundle.clone(), self.passed);
                }
                Round::WriteBundles(i + 1, versions, bundle)
            }
        };
        self.replicas[r].round = round;
        // Only a new leaf or a new bundle can change who is believed: API servers hear by themselves.
        if matches!(self.replicas[r].round, Round::WriteBundles(..)) {
            self.check();
        }
    }

    fn secret_written(&mut self, before: &Data, change: Change) {
        let live = self.secret.live();
        let before = before.get(CA_KEY).filter(|key| is_key(key) && live.get(CA_KEY) != Some(key));
        self.retired.extend(before.cloned());
        for value in live.values() {
            assert!(!self.retired.contains(value), "the key of a former CA is kept");
        }
        let expected = matches!(
            change,
            Change::Created | Change::NextCreated | Change::Promoted | Change::FormerDropped
        );
        assert!(expected || self.damaged, "{change:?} of a Secret that nobody damaged");
        self.changes.push(change);
    }

    /// Everybody who is called is believed.
    fn check(&mut self) {
        let now = self.wall(0);
        for (r, replica) in self.replicas.iter_mut().enumerate().filter(|(_, r)| r.alive) {
            let Some((leaf, ..)) = &replica.leaf else { continue };
            if !replica.ready {
                let live = self
                    .bundles
                    .iter()
                    .all(|bundle| verifies(bundle.live().as_bytes(), leaf, NAME, now).is_ok());
                replica.ready = live;
                continue;
            }
            if self.damaged || self.passed < self.excused_until {
                continue;
            }
            // An API server may have seen any version since the one it must know. It has to see
            // the first CA at all.
            for (bundle, known) in self.bundles.iter().zip(self.known) {
                let seen = bundle.versions[known..].iter().filter(|(_, bundle)| !bundle.is_empty());
                for (at, version) in seen {
                    if let Err(error) = verifies(version.as_bytes(), leaf, NAME, now) {
                        let passed = self.passed;
                        panic!("{r} is not believed at {passed} by the bundle of {at}: {error}");
                    }
                }
            }
        }
    }

    /// Whoever does not hang comes to an end with what it does, and sees what that led to.
    fn work(&mut self) {
        loop {
            let before = self.versions();
            for r in 0..self.replicas.len() {
                self.act(r);
                while !matches!(self.replicas[r].round, Round::Idle) && self.goes_on(r) {
                    self.act(r);
                }
            }
            if self.versions() == before {
                return;
            }
        }
    }

    fn goes_on(&self, r: usize) -> bool {
        self.replicas[r].alive && self.replicas[r].stalled_until <= self.passed
    }

    fn versions(&self) -> [usize; 3] {
        [self.secret.version(), self.bundles[0].version(), self.bundles[1].version()]
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.work();
        self.passed += seconds;
        for (known, bundle) in self.known.iter_mut().zip(&self.bundles) {
            let seen = bundle.versions.iter().rposition(|(at, _)| at + LAG <= self.passed);
            *known = seen.unwrap_or(0).max(*known);
        }
        self.check();
        self.work();
    }

    pub(super) fn happens(&mut self, what: Happening) {
        match what {
            Happening::Act(r) => self.act(r),
            Happening::Hear(configuration) => {
                self.known[configuration] = self.bundles[configuration].version();
            }
            Happening::Pass(seconds) => self.pass(seconds),
            Happening::Jump(seconds) => {
                self.replicas.iter_mut().for_each(|r| r.stalled_until = 0);
                self.work();
                // Further back than certificates are backdated nobody is believed.
                self.jumped = (self.jumped + seconds).max(self.furthest - 40 * MINUTE);
                self.furthest = self.furthest.max(self.jumped);
                self.check();
                self.work();
            }
            Happening::Stall(r, seconds) => self.replicas[r].stalled_until = self.passed + seconds,
            Happening::Crash(r) => {
                let others = self.replicas.iter().enumerate().filter(|(i, x)| *i != r && x.alive);
                if others.count() > 0 {
                    self.replicas[r].alive = false;
                }
            }
            Happening::Start(r) if !self.replicas[r].alive => {
                let skew = self.replicas[r].skew;
                self.replicas[r] = Self::new(&[skew]).replicas.remove(0);
            }
            Happening::Start(_) => {}
            Happening::Damage(damage) => self.damage(damage),
        }
    }

    fn damage(&mut self, damage: Damage) {
        self.damaged = true;
        let mut data = Data::clone(&self.secret.live());
        match damage {
            Damage::Empty => data.clear(),
            Damage::Garbage(key) => _ = data.insert(key.into(), b"garbage".to_vec()),
            Damage::Remove(key) => _ = data.remove(key),
            Damage::Bundles => {
                for bundle in &mut self.bundles {
                    bundle.write(bundle.version(), String::new(), self.passed);
                }
            }
        }
        self.secret.write(self.secret.version(), data, self.passed);
    }

    /// Nothing fails any more: what has begun ends, and so does a complete rotation.
    pub(super) fn comes_to_rest(&mut self) {
        for r in 0..self.replicas.len() {
            self.replicas[r].stalled_until = 0;
            self.happens(Happening::Start(r));
        }
        self.work();
        // The traces of a fast clock, or of damage, take a leaf's life at most.
        self.damaged = false;
        self.excused_until = self.passed + LAG;
        let before = self.changes.len();
        for _ in 0..(3 * short().ca.as_secs() / 2 / LONGEST) {
            self.pass(LONGEST);
        }
        let changes = &self.changes[before..];
        let count = |change| changes.iter().filter(|c| **c == change).count();
        assert!((1..=4).contains(&count(Change::Promoted)), "{changes:?}");
        assert!(changes.len() <= 12, "they fight: {changes:?}");
        let mut waited = 0;
        while self.secret.live().contains_key(OLD_CERTS)
            || self.secret.live().contains_key(NEXT_CERT)
        {
            self.pass(LONGEST);
            waited += LONGEST;
            assert!(waited <= 2 * short().leaf.as_secs(), "no end: {:?}", self.changes);
        }
        let live = self.secret.live();
        assert!(self.replicas.iter().all(|r| r.ready));
        assert!(self.bundles.iter().all(|b| b.live().as_bytes() == live[CA_CERT]));
        let keys = live.values().filter(|value| is_key(value)).count();
        assert_eq!(keys, 1, "{:?}", live.keys());
    }
}

impl Replica {
    fn serve(&mut self, used: &InUse, now: Timestamp) {
        let ca = used.authority.cert_pem();
        let fresh = self.leaf.as_ref().is_some_and(|(leaf, from, renew)| {
            *from == ca && leaf.not_before <= now && now < *renew
        });
        if !fresh {
            let leaf = used.authority.issue(&names(), &short(), now).unwrap();
            let renew = leaf.renew_at(0.0);
            self.leaf = Some((leaf, ca, renew));
        }
    }
}

fn is_key(value: &[u8]) -> bool {
    value.starts_with(b"-----BEGIN PRIVATE KEY")
}
