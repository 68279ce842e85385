//! The observer at work: it follows both etcds, hears the other half, looks at processes and their logs, and feeds
//! the [`Keeper`].

mod known;
mod processes;

use crate::facts::{At, Broken, Clock, Fact, Side, Worst};
use crate::keeper::Keeper;
use crate::model::key_of;
use crate::truth::{self, TruthEvent};
use crate::world::objects::{Backend, Declarations};
use known::Known;
use processes::Processes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

const TICK: Duration = Duration::from_millis(100);
const SAMPLE: Duration = Duration::from_secs(1);
/// What is said of objects after an answer comes this late: etcd's own changes may come a little later than answers.
const LATE: Duration = Duration::from_secs(1);

/// What is observed of a run: an installation whose selector has this value in this namespace, and what authors
/// declare.
pub fn keeper(selector: &str, own_namespace: &str, declarations: &Declarations) -> Keeper {
    let mut keeper = Keeper::new(selector, own_namespace);
    for declared in &declarations.objects {
        let set = |set: &Vec<Backend>| {
            set.iter().map(|b| (b.service.clone(), u64::from(b.weight))).collect()
        };
        keeper.author(key_of(&declared.id), declared.sets.iter().map(set).collect());
    }
    keeper
}

/// An observer that runs.
pub struct Observer {
    /// Each invariant that is broken, when it is.
    pub broken: mpsc::UnboundedReceiver<Broken>,
    task: JoinHandle<anyhow::Result<Vec<Worst>>>,
}

impl Observer {
    /// Begins. It ends when `facts` does.
    pub fn start(
        keeper: Keeper,
        clock: Clock,
        east: SocketAddr,
        west: SocketAddr,
        facts: mpsc::UnboundedReceiver<Fact>,
    ) -> Self {
        let (sender, broken) = mpsc::unbounded_channel();
        let task = tokio::spawn(observe(keeper, clock, east, west, facts, sender));
        Self { broken, task }
    }

    /// Waits for its end. Returns the worst value of each bound, and what has not been taken of what is broken.
    pub async fn end(mut self) -> anyhow::Result<(Vec<Worst>, Vec<Broken>)> {
        let worst = self.task.await??;
        let mut broken = vec![];
        while let Ok(one) = self.broken.try_recv() {
            broken.push(one);
        }
        Ok((worst, broken))
    }
}

async fn observe(
    mut keeper: Keeper,
    clock: Clock,
    east: SocketAddr,
    west: SocketAddr,
    mut facts: mpsc::UnboundedReceiver<Fact>,
    broken: mpsc::UnboundedSender<Broken>,
) -> anyhow::Result<Vec<Worst>> {
    let (mut of_east, _east) = truth::follow(east);
    let (mut of_west, _west) = truth::follow(west);
    let (mut known_east, mut known_west) = (Known::default(), Known::default());
    let mut processes = Processes::default();
    let mut late: VecDeque<(At, Fact)> = VecDeque::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sampled = clock.now();
    let mut is_over = false;
    while !(is_over && late.is_empty()) {
        let seen = tokio::select! {
            // What is true comes before what is said of it.
            biased;
            Some(event) = of_east.recv() => enter(&mut keeper, &mut known_east, Side::East, event, clock.now()),
            Some(event) = of_west.recv() => enter(&mut keeper, &mut known_west, Side::West, event, clock.now()),
            fact = facts.recv(), if !is_over => match fact {
                Some(fact) if comes_late(&fact) => {
                    late.push_back((clock.now(), fact));
                    vec![]
                }
                Some(fact) => {
                    processes.hear(&fact);
                    keeper.fact(&fact, clock.now())
                }
                None => {
                    is_over = true;
                    vec![]
                }
            },
            _ = ticks.tick() => {
                let now = clock.now();
                let mut seen = vec![];
                while let Some((_, fact)) = late.pop_front_if(|(since, _)| since.0 + LATE <= now.0) {
                    seen.extend(keeper.fact(&fact, now));
                }
                seen.extend(keeper.tick(now, jiff::Timestamp::now()));
                if sampled.0 + SAMPLE <= now.0 {
                    sampled = now;
                    processes.look(&mut |sample| seen.extend(keeper.sample(sample, now)));
                    for (replica, line) in processes.panics() {
                        seen.extend(keeper.panic(&replica, &line, now));
                    }
                }
                seen
            }
        };
        for one in seen {
            // Nobody may listen any more.
            let _ = broken.send(one);
        }
    }
    Ok(keeper.worst())
}

/// Whether a fact is of answers, which may be earlier than the changes that they tell of.
fn comes_late(fact: &Fact) -> bool {
    matches!(fact, Fact::Restored { .. } | Fact::WorldQuiet { .. } | Fact::LabelsOff { .. })
}

fn enter(
    keeper: &mut Keeper,
    known: &mut Known,
    side: Side,
    event: TruthEvent,
    at: At,
) -> Vec<Broken> {
    match event {
        TruthEvent::Changed(change) => {
            known.changed(&change);
            keeper.change(side, &change, at)
        }
        TruthEvent::Gap { revision, stored } => {
            let changes = known.after_gap(revision, stored);
            changes.iter().flat_map(|change| keeper.change_unseen(side, change, at)).collect()
        }
    }
}
