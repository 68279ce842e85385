//! Follows one etcd for as long as it is asked for, over its ends and restarts.

use crate::truth::gateway::{self, Answer, Lines};
use crate::truth::record::Change;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const RETRY: Duration = Duration::from_millis(100);

/// What is learnt of one etcd.
#[derive(Debug)]
pub enum TruthEvent {
    /// One change; of one etcd each has a higher revision than the one before it.
    Changed(Change),
    /// Changes were compacted before they were read: what lies between is not known, and all that is stored
    /// comes next. What is not among it is gone.
    Gap {
        /// The revision of all that comes next.
        revision: u64,
        /// All that is stored.
        stored: Vec<Change>,
    },
}

/// Follows an etcd until the receiver is dropped. It begins with a [`TruthEvent::Gap`]: nothing was known before.
pub fn follow(etcd: SocketAddr) -> (mpsc::UnboundedReceiver<TruthEvent>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        let mut follower = Follower { etcd, next: None, lines: None };
        loop {
            let events = tokio::select! {
                events = follower.step() => events,
                () = sender.closed() => return,
            };
            match events {
                Ok(events) => {
                    for event in events {
                        if sender.send(event).is_err() {
                            return;
                        }
                    }
                }
                // It is killed on purpose, and comes back.
                Err(_) => {
                    follower.lines = None;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    });
    (receiver, task)
}

struct Follower {
    etcd: SocketAddr,
    /// The revision to go on from; none where all is to be read first.
    next: Option<u64>,
    lines: Option<Lines>,
}

impl Follower {
    async fn step(&mut self) -> anyhow::Result<Vec<TruthEvent>> {
        let Some(next) = self.next else {
            let (revision, stored) = gateway::range(self.etcd).await?;
            self.next = Some(revision + 1);
            return Ok(vec![TruthEvent::Gap { revision, stored }]);
        };
        if self.lines.is_none() {
            self.lines = Some(gateway::watch(self.etcd, next).await?);
        }
        let Some(lines) = &mut self.lines else { return Ok(vec![]) };
        match lines.next().await? {
            Some(Answer::Changes(changes)) => {
                let events: Vec<_> = newer(changes, &mut self.next).collect();
                Ok(events.into_iter().map(TruthEvent::Changed).collect())
            }
            Some(Answer::Compacted) => {
                (self.next, self.lines) = (None, None);
                Ok(vec![])
            }
            None => anyhow::bail!("the watch ended"),
        }
    }
}

/// The changes that are not known yet. One revision may change several keys.
fn newer(changes: Vec<Change>, next: &mut Option<u64>) -> impl Iterator<Item = Change> {
    let known = next.unwrap_or_default();
    if let Some(last) = changes.last() {
        *next = Some((last.revision + 1).max(known));
    }
    changes.into_iter().filter(move |change| change.revision >= known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::record::{Resource, StoredKey};

    #[test]
    fn after_a_restart_of_etcd_no_change_comes_a_second_time() {
        let change = |revision| Change {
            revision,
            key: StoredKey::new(Resource::Pod, "ns", "a"),
            value: None,
        };
        let mut next = Some(5);
        let seen: Vec<_> = newer(vec![change(3), change(5), change(5)], &mut next).collect();
        assert_eq!((seen.len(), next), (2, Some(6)));
        assert_eq!(newer(vec![change(5)], &mut next).count(), 0);
        assert_eq!(next, Some(6));
    }
}
