//! What the API proxy lets pass, what it holds, and what it answers itself.

use futures::stream::{self, Stream, StreamExt};
use http::{Method, Uri};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

/// Open until something is frozen.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    frozen: Vec<Rule>,
    answered: Vec<(Rule, Answer)>,
    delayed: Vec<(Rule, Duration)>,
    /// To so many bytes a second.
    limited: Vec<(Rule, u32)>,
    /// Writes whose answers are lost.
    lost: Vec<Rule>,
    /// How often each path was asked for.
    requests: BTreeMap<String, usize>,
    /// In the order in which they came.
    waiting: Vec<Waker>,
}

#[derive(Debug)]
struct Rule {
    pattern: String,
    watches_only: bool,
    /// What is asked gets through, its answer does not.
    answers_only: bool,
}

/// What is answered in place of the API server.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
    /// In how many seconds to ask again.
    pub(crate) retry_after: Option<u32>,
}

/// What the rules look at in a request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    path: String,
    watch: bool,
    write: bool,
}

impl Asked {
    pub(crate) fn of(method: &Method, uri: &Uri) -> Self {
        let mut parameters = uri.query().unwrap_or_default().split('&');
        let watch = parameters.any(|parameter| matches!(parameter, "watch=true" | "watch=1"));
        Self { path: uri.path().to_string(), watch, write: !method.is_safe() }
    }

    pub(crate) fn is_about(&self, pattern: &str) -> bool {
        self.path.contains(pattern)
    }
}

impl Gate {
    pub(crate) fn freeze(&self, pattern: String, watches_only: bool) {
        self.lock().frozen.push(Rule { pattern, watches_only, answers_only: false });
    }

    pub(crate) fn freeze_answers(&self, pattern: String) {
        let rule = Rule { pattern, watches_only: false, answers_only: true };
        self.lock().frozen.push(rule);
    }

    pub(crate) fn answer(&self, pattern: String, answer: Answer) {
        self.lock()
            .answered
            .push((Rule { pattern, watches_only: false, answers_only: false }, answer));
    }

    pub(crate) fn delay(&self, pattern: String, by: Duration) {
        let rule = Rule { pattern, watches_only: false, answers_only: false };
        self.lock().delayed.push((rule, by));
    }

    pub(crate) fn limit(&self, pattern: String, bytes_a_second: u32) {
        let rule = Rule { pattern, watches_only: false, answers_only: true };
        self.lock().limited.push((rule, bytes_a_second));
    }

    /// By how much so many bytes of what was asked for are delayed now.
    pub(crate) fn delay_of(&self, asked: &Asked, bytes: usize) -> Option<Duration> {
        let state = self.lock();
        let delays = state.delayed.iter().filter(|(rule, _)| rule.covers(asked));
        let longest = delays.map(|(_, by)| *by).max();
        let limits = state.limited.iter().filter(|(rule, _)| rule.covers(asked));
        let slowest = limits.map(|(_, rate)| *rate).min();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let limited =
            slowest.map(|rate| Duration::from_secs_f64(f64::from(bytes) / f64::from(rate.max(1))));
        longest.into_iter().chain(limited).max()
    }

    pub(crate) fn lose(&self, pattern: String) {
        let rule = Rule { pattern, watches_only: false, answers_only: true };
        self.lock().lost.push(rule);
    }

    /// Whether it is a write whose answer is lost.
    pub(crate) fn loses(&self, asked: &Asked) -> bool {
        asked.write && self.lock().lost.iter().any(|rule| rule.covers(asked))
    }

    pub(crate) fn count(&self, asked: &Asked) {
        *self.lock().requests.entry(asked.path.clone()).or_default() += 1;
    }

    /// How many requests there were whose path contains `pattern`.
    pub(crate) fn requests(&self, pattern: &str) -> usize {
        let state = self.lock();
        let matching = state.requests.iter().filter(|(path, _)| path.contains(pattern));
        matching.map(|(_, count)| count).sum()
    }

    /// The newest answer to what was asked for.
    pub(crate) fn answer_to(&self, asked: &Asked) -> Option<Answer> {
        let state = self.lock();
        let answered = state.answered.iter().rev().find(|(rule, _)| rule.covers(asked));
        answered.map(|(_, answer)| answer.clone())
    }

    pub(crate) fn thaw(&self) {
        let waiting = {
            let mut state = self.lock();
            state.frozen.clear();
            state.answered.clear();
            state.delayed.clear();
            state.limited.clear();
            state.lost.clear();
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits while what was asked for is frozen.
    pub(crate) async fn pass(&self, asked: &Asked) {
        poll_fn(|context| self.poll_pass(asked, false, context)).await;
    }

    /// Waits while the answer to it is frozen.
    pub(crate) async fn pass_answer(&self, asked: &Asked) {
        poll_fn(|context| self.poll_pass(asked, true, context)).await;
    }

    /// Passes a body on. While it is frozen, what arrives is taken in and kept:
    /// the sender notices nothing.
    pub(crate) fn pass_body<T, E>(
        self: Arc<Self>,
        asked: Asked,
        mut body: impl Stream<Item = Result<T, E>> + Unpin,
    ) -> impl Stream<Item = Result<T, E>> {
        let mut delayed = VecDeque::new();
        let mut ended = false;
        stream::poll_fn(move |context| {
            loop {
                // Only after the chunk has arrived: one that is sent after a
                // freeze must not slip through.
                if !delayed.is_empty() && self.poll_pass(&asked, true, context).is_ready() {
                    return Poll::Ready(delayed.pop_front().flatten());
                }
                if ended {
                    return if delayed.is_empty() { Poll::Ready(None) } else { Poll::Pending };
                }
                let next = ready!(body.poll_next_unpin(context));
                ended = !matches!(next, Some(Ok(_)));
                delayed.push_back(next);
            }
        })
    }

    fn poll_pass(&self, asked: &Asked, answer: bool, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let holds = |rule: &Rule| rule.covers(asked) && (answer || !rule.answers_only);
        if !state.frozen.iter().any(holds) {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waiting| waiting.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn covers(&self, asked: &Asked) -> bool {
        asked.is_about(&self.pattern) && (asked.watch || !self.watches_only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn asked(uri: &'static str) -> Asked {
        Asked::of(&Method::GET, &Uri::from_static(uri))
    }

    fn passes(gate: &Gate, uri: &'static str) -> bool {
        gate.pass(&asked(uri)).now_or_never().is_some()
    }

    #[test]
    fn only_what_a_rule_names_is_delayed() {
        let gate = Gate::default();
        gate.freeze("/endpointslices".into(), true);
        gate.freeze("/leases".into(), false);
        assert!(!passes(&gate, "/apis/x/v1/endpointslices?limit=5&watch=true"));
        assert!(!passes(&gate, "/apis/x/v1/endpointslices?watch=1"));
        assert!(passes(&gate, "/apis/x/v1/endpointslices?limit=5"));
        assert!(passes(&gate, "/apis/x/v1/endpointslices?watch=false"));
        assert!(passes(&gate, "/api/v1/services?watch=true&x=/endpointslices"));
        assert!(!passes(&gate, "/apis/y/v1/leases/z"));
        gate.freeze_answers("/services/".into());
        assert!(passes(&gate, "/api/v1/services/z"));
        let answer = asked("/api/v1/services/z");
        assert!(gate.pass_answer(&answer).now_or_never().is_none());
        gate.thaw();
        assert!(passes(&gate, "/apis/y/v1/leases/z"));
    }

    #[test]
    fn the_newest_answer_counts_until_the_thaw() {
        let gate = Gate::default();
        let answer = |status| Answer {
            status,
            content_type: String::new(),
            body: String::new(),
            retry_after: None,
        };
        gate.answer("/endpointslices".into(), answer(503));
        gate.answer("/v1/".into(), answer(429));
        let status = |uri| gate.answer_to(&asked(uri)).map(|answer| answer.status);
        assert_eq!(status("/apis/x/v1/endpointslices?watch=1"), Some(429));
        assert_eq!(status("/apis/x/v2/endpointslices"), Some(503));
        assert_eq!(status("/healthz"), None);
        gate.thaw();
        assert_eq!(status("/apis/x/v2/endpointslices"), None);
    }

    #[test]
    fn only_the_answers_to_writes_are_lost() {
        let gate = Gate::default();
        gate.lose("/trafficsplits".into());
        let write = |uri| Asked::of(&Method::PATCH, &Uri::from_static(uri));
        assert!(gate.loses(&write("/apis/x/v1/trafficsplits/emoji")));
        assert!(!gate.loses(&write("/apis/x/v1/leases/one")));
        assert!(!gate.loses(&asked("/apis/x/v1/trafficsplits/emoji")));
        gate.thaw();
        assert!(!gate.loses(&write("/apis/x/v1/trafficsplits/emoji")));
    }

    #[test]
    fn the_longest_delay_counts() {
        let gate = Gate::default();
        gate.delay("/leases".into(), Duration::from_millis(50));
        gate.delay("/".into(), Duration::from_millis(20));
        assert_eq!(gate.delay_of(&asked("/leases/one"), 0), Some(Duration::from_millis(50)));
        assert_eq!(gate.delay_of(&asked("/services"), 0), Some(Duration::from_millis(20)));
        gate.limit("/services".into(), 1000);
        assert_eq!(gate.delay_of(&asked("/services"), 500), Some(Duration::from_millis(500)));
        gate.thaw();
        assert_eq!(gate.delay_of(&asked("/services"), 0), None);
    }

    #[tokio::test]
    async fn a_body_is_delayed_in_order_and_its_end_last() {
        let gate = Arc::new(Gate::default());
        let chunks = stream::iter([Ok(1), Ok(2), Err("cut")]);
        let mut body = gate.clone().pass_body(asked("/leases"), chunks);
        assert_eq!(body.next().await, Some(Ok(1)));
        gate.freeze("/leases".into(), false);
        assert_eq!(body.next().now_or_never(), None);
        let rest = tokio::spawn(body.collect::<Vec<_>>());
        tokio::task::yield_now().await;
        assert!(!rest.is_finished());
        gate.thaw();
        assert_eq!(rest.await.expect("no panic"), [Ok(2), Err("cut")]);
    }
}
