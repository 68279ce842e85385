use super::*;
use proptest::prelude::*;

fn identity(name: &str, engine: &str) -> Identity {
    Identity { replica: name.into(), engine: engine.into() }
}

fn seconds(s: i64) -> SignedDuration {
    SignedDuration::from_secs(s)
}

/// A leader that sees its own last move, long ago.
fn calm(me: &Identity) -> WriteRequest<'_> {
    WriteRequest {
        me,
        leading: true,
        decider: None,
        seen_for: seconds(3_600),
        rescue: true,
        wanted_for: SignedDuration::ZERO,
        others_quiet_for: SignedDuration::MAX,
        confirmed: false,
        reversed: false,
        silent: false,
    }
}

/// The table: the case, and the verdict.
#[test]
fn who_may_move_and_when() {
    let me = identity("me", "1.2.0");
    let by = |engine: &str| Decider { replica: "other".into(), engine: engine.into() };
    let (same, newer, older) = (by("1.2.0"), by("1.10.0"), by("1.1.9"));
    let standby = WriteRequest { leading: false, ..calm(&me) };
    let waited = WriteRequest { wanted_for: seconds(1), ..standby };
    let fresh =
        |decider| WriteRequest { decider: Some(decider), seen_for: seconds(2), ..calm(&me) };
    let ms = SignedDuration::from_millis;
    for (story, case, verdict) in [
        ("the leader acts at once", calm(&me), Permission::Write),
        (
            "on an old move of another too",
            WriteRequest { decider: Some(&same), ..calm(&me) },
            Permission::Write,
        ),
        ("a fresh move of another is confirmed first", fresh(&same), Permission::Confirm),
        ("and then reversed", WriteRequest { confirmed: true, ..fresh(&same) }, Permission::Write),
        (
            "the lower engine yields a rescue for a while",
            fresh(&newer),
            Permission::Wait(seconds(5)),
        ),
        (
            "and then confirms it",
            WriteRequest { wanted_for: seconds(5), ..fresh(&newer) },
            Permission::Confirm,
        ),
        (
            "the lower engine yields everything else for longer",
            WriteRequest { rescue: false, ..fresh(&newer) },
            Permission::Wait(seconds(58)),
        ),
        ("the higher engine does not yield", fresh(&older), Permission::Confirm),
        ("a standby waits a second", standby, Permission::Wait(seconds(1))),
        (
            "and the rest of it",
            WriteRequest { wanted_for: ms(400), ..standby },
            Permission::Wait(ms(600)),
        ),
        ("then asks", waited, Permission::Confirm),
        ("then acts", WriteRequest { confirmed: true, ..waited }, Permission::Write),
        (
            "a leader at work is left in peace",
            WriteRequest { others_quiet_for: ms(100), ..waited },
            Permission::Wait(ms(900)),
        ),
        (
            "but not for ever",
            WriteRequest { others_quiet_for: ms(0), wanted_for: seconds(11), ..standby },
            Permission::Confirm,
        ),
        (
            "a standby does nothing but rescue",
            WriteRequest { rescue: false, ..waited },
            Permission::DeferToLeader,
        ),
        (
            "a silent standby does nothing",
            WriteRequest { silent: true, ..waited },
            Permission::DeferToLeader,
        ),
        (
            "a silent one that leads acts",
            WriteRequest { silent: true, ..calm(&me) },
            Permission::Write,
        ),
        (
            "what was reversed is not done again",
            WriteRequest { reversed: true, ..waited },
            Permission::FallSilent,
        ),
    ] {
        assert_eq!(permission(&case), verdict, "{story}");
    }
}

#[test]
fn versions_are_compared_as_versions() {
    assert!(is_newer("1.10.0", "1.9.9"));
    assert!(is_newer("1.0.0", "1.0.0-rc.1"));
    assert!(!is_newer("1.0.0", "1.0.0"));
    assert!(!is_newer("garbage", "0.0.1"));
    assert!(is_newer("0.0.1", "garbage"));
}

// Two replicas, one object, one primary and one fallback that is always ready: the rules above in
// a world where caches lag, freeze and lie.

const TICK: i64 = 50;
/// A watch delivers this late.
const LAG: i64 = 100;

#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The primary is ready, or not.
    Truth(bool),
    /// A replica's watch of slices delivers nothing any more; where `lists` is false, no LIST either.
    Freeze {
        replica: usize,
        lists: bool,
    },
    Thaw {
        replica: usize,
    },
    Leader(Option<usize>),
    Restart(usize),
}

#[derive(Clone, Debug)]
struct Object {
    on_primary: bool,
    by: usize,
    at: i64,
}

struct Replica {
    me: Identity,
    /// What it believes of the primary; none before its caches are synced.
    believes: Option<bool>,
    frozen: Option<(i64, bool)>,
    wanted: Option<(bool, i64)>,
    /// Where it moved the traffic as a standby.
    rescued: Option<bool>,
    silent: bool,
    confirmed: i64,
}

struct World {
    now: i64,
    /// The primary's readiness, and since when.
    truth: Vec<(i64, bool)>,
    objects: Vec<Object>,
    replicas: Vec<Replica>,
    leader: Option<usize>,
    /// Of each write: when, and whether it was for what was true.
    writes: Vec<(i64, bool)>,
}

impl World {
    fn new(engines: [&str; 2]) -> Self {
        let replica = |(name, engine): (&str, &str)| Replica {
            me: identity(name, engine),
            believes: Some(true),
            frozen: None,
            wanted: None,
            rescued: None,
            silent: false,
            confirmed: i64::MIN,
        };
        Self {
            now: 0,
            truth: vec![(i64::MIN, true)],
            objects: vec![Object { on_primary: true, by: 0, at: i64::MIN / 2 }],
            replicas: ["a", "b"].into_iter().zip(engines).map(replica).collect(),
            leader: Some(0),
            writes: vec![],
        }
    }

    fn truth_at(&self, time: i64) -> bool {
        self.truth.iter().rev().find(|(since, _)| *since <= time).unwrap().1
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Truth(ready) => self.truth.push((self.now, ready)),
            Happening::Freeze { replica, lists } => {
                self.replicas[replica].frozen.get_or_insert((self.now, lists));
            }
            Happening::Thaw { replica } => self.replicas[replica].frozen = None,
            Happening::Leader(leader) => {
                self.leader = leader;
                if let Some(leader) = leader {
                    self.replicas[leader].silent = false;
                }
            }
            Happening::Restart(replica) => {
                let me = self.replicas[replica].me.clone();
                let frozen = self.replicas[replica].frozen;
                let believes = frozen.is_none().then(|| self.truth_at(self.now - LAG));
                self.replicas[replica] = Replica {
                    me,
                    believes,
                    frozen,
                    wanted: None,
                    rescued: None,
                    silent: false,
                    confirmed: i64::MIN,
                };
            }
        }
    }

    fn tick(&mut self) {
        self.now += TICK;
        for i in 0..self.replicas.len() {
            self.hear(i);
            self.act(i);
        }
    }

    /// The watch, and its renewal after 30 s of silence.
    fn hear(&mut self, i: usize) {
        let late = self.truth_at(self.now - LAG);
        let replica = &mut self.replicas[i];
        match replica.frozen {
            None => replica.believes = Some(late),
            Some((since, lists)) if (self.now - since) % 30_000 < TICK && self.now > since => {
                // Restarted: a LIST, or nothing at all.
                replica.believes = lists.then_some(late);
            }
            Some(_) => {}
        }
    }

    fn act(&mut self, i: usize) {
        let object = self.objects.last().unwrap().clone();
        // The splits are live, but late.
        let Some(seen) = self.objects.iter().rev().find(|o| o.at <= self.now - LAG).cloned() else {
            return;
        };
        let leading = self.leader == Some(i);
        let decider = &self.replicas[seen.by].me;
        let decider = Decider {
            replica: decider.replica.as_ref().into(),
            engine: decider.engine.as_ref().into(),
        };
        let me = self.replicas[i].me.clone();
        let replica = &mut self.replicas[i];
        let Some(believes) = replica.believes else { return };
        // Past once its own facts want another.
        replica.rescued = replica.rescued.filter(|rescued| *rescued == believes);
        if seen.on_primary == believes {
            replica.wanted = None;
            return;
        }
        let since = match replica.wanted {
            Some((wanted, since)) if wanted == believes => since,
            _ => self.now,
        };
        replica.wanted = Some((believes, since));
        let ms = SignedDuration::from_millis;
        let verdict = permission(&WriteRequest {
            me: &me,
            leading,
            decider: Some(&decider),
            seen_for: ms((self.now - seen.at).min(1 << 40)),
            rescue: !believes,
            wanted_for: ms(self.now - since),
            others_quiet_for: if seen.by == i {
                ms(1 << 40)
            } else {
                ms((self.now - seen.at).min(1 << 40))
            },
            confirmed: self.now - replica.confirmed.max(i64::MIN / 2) < 2_000,
            reversed: replica.rescued == Some(believes),
            silent: replica.silent,
        });
        match verdict {
            Permission::Write => {
                // On another version it is a conflict.
                if object.at == seen.at {
                    self.writes.push((self.now, believes == self.truth_at(self.now)));
                    self.objects.push(Object { on_primary: believes, by: i, at: self.now });
                    self.replicas[i].rescued = (!leading).then_some(believes);
                }
            }
            Permission::Confirm => {
                if replica.frozen.is_none_or(|(_, lists)| lists) {
                    self.replicas[i].confirmed = self.now;
                    self.replicas[i].believes = Some(self.truth_at(self.now));
                }
            }
            Permission::FallSilent => replica.silent = true,
            Permission::Wait(_) | Permission::DeferToLeader => {}
        }
    }
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<bool>().prop_map(Happening::Truth),
        2 => (0..2_usize, any::<bool>())
            .prop_map(|(replica, lists)| Happening::Freeze { replica, lists }),
        1 => (0..2_usize).prop_map(|replica| Happening::Thaw { replica }),
        1 => proptest::option::of(0..2_usize).prop_map(Happening::Leader),
        1 => (0..2_usize).prop_map(Happening::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn two_replicas_never_fight_and_the_end_is_right(
        story in proptest::collection::vec((1_i64..400, any_happening()), 1..40),
        engines in prop_oneof![Just(["1.0.0", "1.0.0"]), Just(["1.0.0", "2.0.0"]), Just(["2.0.0", "1.0.0"])],
    ) {
        let mut world = World::new(engines);
        for (ticks, happening) in story {
            for _ in 0..ticks {
                world.tick();
            }
            world.happen(happening);
        }
        // Whatever was frozen thaws, somebody leads, and nothing happens any more.
        for replica in 0..2 {
            world.happen(Happening::Thaw { replica });
        }
        world.happen(Happening::Leader(Some(world.leader.unwrap_or(1))));
        for _ in 0..(70_000 / TICK) {
            world.tick();
        }
        let last = world.objects.last().unwrap();
        prop_assert_eq!(last.on_primary, world.truth_at(world.now), "the end");

        // Between two changes of the truth, once it has had time to arrive: how often did
        // somebody write what was not true?
        let mut changes: Vec<i64> = world.truth.iter().map(|(at, _)| *at).collect();
        changes.push(i64::MAX);
        for epoch in changes.windows(2) {
            let arrived = epoch[0].saturating_add(3 * LAG);
            let wrong = world.writes.iter().filter(|(at, right)| {
                (arrived..epoch[1]).contains(at) && !right
            });
            prop_assert!(wrong.count() <= 1, "a fight: {:?}", world.writes);
        }
    }
}

#[test]
fn one_frozen_cache_and_a_live_one_write_once_between_them() {
    for (frozen, leader) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for lists in [true, false] {
            let mut world = World::new(["1.0.0", "1.0.0"]);
            world.happen(Happening::Leader(Some(leader)));
            world.happen(Happening::Freeze { replica: frozen, lists });
            world.tick();
            world.happen(Happening::Truth(false));
            // 20 s, in which two plain loops wrote 23 times against each other.
            for _ in 0..(20_000 / TICK) {
                world.tick();
            }
            assert_eq!(world.writes.len(), 1, "frozen {frozen}, leader {leader}, lists {lists}");
            assert!(world.writes[0].1 && world.writes[0].0 <= 1_500, "{:?}", world.writes);
        }
    }
}
