//! Work that would delay reviews: in a thread of its own, which yields to all others.

use std::thread;
use tokio::sync::oneshot;

/// How far below the others its priority is, as `nice` has it. On few cores, two such threads would take turns
/// of milliseconds with the one that answers reviews; at 10 they have a tenth of its share.
const NICE: i32 = 10;

/// Starts work in a thread of its own. The receiver fails where the work panics, or where there is no
/// thread for it, which is logged.
pub(crate) fn start<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (done, receiver) = oneshot::channel();
    let work = move || {
        yield_to_others();
        // Nobody receives it where the client has given up.
        let _ = done.send(work());
    };
    if let Err(error) = thread::Builder::new().name("heavy-review".into()).spawn(work) {
        tracing::error!(%error, "no thread can be started for a large review");
    }
    receiver
}

/// On Linux alone the priority is the thread's, and not of the whole process. Not tokio's pool: without a
/// capability, a thread cannot take its priority back.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "the priority of a thread cannot be lowered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_in_another_thread() {
        let here = thread::current().id();
        let there = start(|| thread::current().id()).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn the_receiver_of_work_that_panics_fails() {
        assert!(start(|| panic!("as the test wants it")).await.is_err());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_priority_of_that_thread_alone_is_lower() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        assert_eq!(start(priority).await.unwrap(), (before + NICE).min(19));
        assert_eq!(priority(), before);
    }
}
