//! What is declared down at a time, and what of it is news.

use crate::index::store::Index;
use crate::kinds::ObjectKey;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What its annotations declare down: itself, or the cluster whose credentials it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Declarer {
    Service(ObjectKey),
    Cluster { name: Box<str>, secret: ObjectKey, uid: Box<str> },
}

impl fmt::Display for Declarer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => write!(f, "Service {service}"),
            Self::Cluster { secret, .. } => write!(f, "Secret {secret}"),
        }
    }
}

/// A declaration that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub until: Timestamp,
    pub why: String,
    pub by_person: bool,
    /// How many managed objects have the Service among their backends.
    pub objects: usize,
}

impl Holding {
    /// Whether a report of this says what there is to say of `other` too: an alert that fires on is no news.
    fn covers(&self, other: &Self) -> bool {
        let is_same = || (self.until, &self.why) == (other.until, &other.why);
        self.by_person == other.by_person && (!self.by_person || is_same())
    }
}

/// Everything that is declared down at a time.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub holding: BTreeMap<Declarer, Holding>,
    /// What cannot be read.
    pub unreadable: BTreeMap<Declarer, String>,
}

impl Snapshot {
    pub(crate) fn of(index: &Index, now: Timestamp) -> Self {
        let mut snapshot = Self::default();
        let services = index.services_declaring().map(|(service, facts)| {
            let objects = index.objects_with_backend(service).count();
            (Declarer::Service(service.clone()), facts, objects)
        });
        let clusters = index.clusters_declaring().map(|(name, declared)| {
            let (secret, uid) = (declared.secret.clone(), declared.uid.clone());
            (Declarer::Cluster { name: name.into(), secret, uid }, &declared.facts, 0)
        });
        for (declarer, facts, objects) in services.chain(clusters) {
            if !facts.problems.is_empty() {
                snapshot.unreadable.insert(declarer.clone(), facts.problems.join("; "));
            }
            if let Some(declared) = facts.holding(now) {
                let (until, why) = (declared.until, declared.why.to_owned());
                let by_person = declared.by_person;
                snapshot.holding.insert(declarer, Holding { until, why, by_person, objects });
            }
        }
        snapshot
    }

    /// When the first of the declarations ends.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        self.holding.values().map(|holding| holding.until).min()
    }

    fn declarers(&self) -> impl Iterator<Item = &Declarer> {
        self.holding.keys().chain(self.unreadable.keys())
    }
}

/// What is to be reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Begins(Declarer, Holding),
    Ends(Declarer),
    Unreadable(Declarer, String),
}

/// What has been reported, by this replica while it leads and by the leader otherwise.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    holding: BTreeMap<Declarer, Holding>,
    unreadable: BTreeMap<Declarer, String>,
    /// What was declared before this replica began, and may not have been reported: while it does not lead.
    before: Option<BTreeSet<Declarer>>,
}

impl Reported {
    /// Observes what is declared. Returns what is to be reported, by the leader alone.
    pub(crate) fn observe(&mut self, now: &Snapshot, leads: bool) -> Vec<News> {
        let news = if leads { self.news(now) } else { vec![] };
        let before = match leads {
            true => BTreeSet::new(),
            false => self.before.take().unwrap_or_else(|| now.declarers().cloned().collect()),
        };
        let is_reported = |declarer: &Declarer| !before.contains(declarer);
        let holding = now.holding.iter().filter(|(declarer, _)| is_reported(declarer));
        self.holding =
            holding.map(|(declarer, holding)| (declarer.clone(), holding.clone())).collect();
        let unreadable = now.unreadable.iter().filter(|(declarer, _)| is_reported(declarer));
        self.unreadable =
            unreadable.map(|(declarer, problem)| (declarer.clone(), problem.clone())).collect();
        let there: BTreeSet<&Declarer> = now.declarers().collect();
        self.before = Some(before.into_iter().filter(|old| there.contains(old)).collect());
        news
    }

    fn news(&self, now: &Snapshot) -> Vec<News> {
        let begin = now.holding.iter().filter(|(declarer, holding)| {
            !self.holding.get(declarer).is_some_and(|reported| reported.covers(holding))
        });
        let begin =
            begin.map(|(declarer, holding)| News::Begins(declarer.clone(), holding.clone()));
        let end = self.holding.keys().filter(|declarer| !now.holding.contains_key(declarer));
        let end = end.map(|declarer| News::Ends(declarer.clone()));
        let is_new = |(declarer, problem): &(&Declarer, &String)| {
            self.unreadable.get(declarer) != Some(*problem)
        };
        let unreadable = now.unreadable.iter().filter(is_new);
        let unreadable = unreadable
            .map(|(declarer, problem)| News::Unreadable(declarer.clone(), problem.clone()));
        begin.chain(end).chain(unreadable).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Declarer {
        Declarer::Service(ObjectKey::new("emojivoto", "emoji-svc"))
    }

    fn holding() -> Holding {
        let (until, why) = (Timestamp::UNIX_EPOCH, "by an alert".to_owned());
        Holding { until, why, by_person: false, objects: 1 }
    }

    fn declared() -> Snapshot {
        Snapshot { holding: [(service(), holding())].into(), ..Snapshot::default() }
    }

    #[test]
    fn the_leader_reports_a_declaration_once_and_its_end() {
        let mut reported = Reported::default();
        assert_eq!(reported.observe(&declared(), true), [News::Begins(service(), holding())]);
        assert!(reported.observe(&declared(), true).is_empty());
        let mut prolonged = declared();
        prolonged.holding.get_mut(&service()).unwrap().until = Timestamp::MAX;
        assert!(reported.observe(&prolonged, true).is_empty(), "an alert that fires on is no news");
        prolonged.holding.get_mut(&service()).unwrap().why = "by 2 alerts".into();
        assert!(reported.observe(&prolonged, true).is_empty());
        assert_eq!(reported.observe(&Snapshot::default(), true), [News::Ends(service())]);
    }

    #[test]
    fn what_a_person_changes_is_reported_with_the_new_time_and_reason() {
        let mut reported = Reported::default();
        let declared = |by_person, second, why: &str| {
            let until = Timestamp::from_second(second).unwrap();
            let holding = Holding { until, why: why.into(), by_person, objects: 1 };
            Snapshot { holding: [(service(), holding)].into(), ..Snapshot::default() }
        };
        for (now, is_news) in [
            (declared(false, 60, "by an alert"), true),
            (declared(true, 600, "by hand"), true),
            (declared(true, 600, "by hand"), false),
            (declared(true, 900, "by hand"), true),
            (declared(true, 900, "by hand: drill"), true),
            (declared(false, 900, "by an alert"), true),
        ] {
            let news = now.holding.iter().map(|(of, it)| News::Begins(of.clone(), it.clone()));
            let expected: Vec<News> = news.filter(|_| is_news).collect();
            assert_eq!(reported.observe(&now, true), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_reported_whenever_it_differs() {
        let unreadable = |problem: &str| Snapshot {
            unreadable: [(service(), problem.to_owned())].into(),
            ..Snapshot::default()
        };
        let mut reported = Reported::default();
        for (problem, news) in [("one", 1), ("one", 0), ("another", 1)] {
            assert_eq!(reported.observe(&unreadable(problem), true).len(), news, "{problem}");
        }
        assert!(reported.observe(&Snapshot::default(), true).is_empty());
    }

    #[test]
    fn a_new_leader_repeats_nothing_that_the_last_one_has_reported_under_its_eyes() {
        let mut reported = Reported::default();
        assert!(reported.observe(&Snapshot::default(), false).is_empty());
        assert!(reported.observe(&declared(), false).is_empty());
        assert!(reported.observe(&declared(), true).is_empty());
        assert_eq!(reported.observe(&Snapshot::default(), true), [News::Ends(service())]);
    }

    #[test]
    fn a_replica_that_leads_after_its_start_reports_what_it_found_there() {
        let mut reported = Reported::default();
        assert!(reported.observe(&declared(), false).is_empty());
        assert!(reported.observe(&declared(), false).is_empty());
        assert_eq!(reported.observe(&declared(), true), [News::Begins(service(), holding())]);
    }
}
