use super::*;
use crate::notifications::Notifier;
use crate::notifications::notification::tests::failover;
use crate::notifications::test_server::{Answer, TestServer};
use crate::telemetry::NotificationType;
use std::ops::ControlFlow;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);
const TAKEN: Answer = Answer::Head("204 No Content");
const DOWN: Answer = Answer::Head("503 Service Unavailable");

/// A delivery that runs, and what hands over to it.
struct Running {
    notifier: Notifier,
    metrics: Arc<Metrics>,
    leading: watch::Sender<bool>,
    stop: CancellationToken,
    run: JoinHandle<()>,
    _quiet: watch::Sender<Option<Instant>>,
}

impl Running {
    fn start(receiver: Receiver) -> Self {
        let metrics = Arc::new(Metrics::default());
        let (notifier, handed_over) = Notifier::new(NotificationType::ALL, metrics.clone());
        let (leading, leads) = watch::channel(true);
        let (quiet, quiet_since) = watch::channel(Some(Instant::now()));
        let (recorder, _) = Recorder::new(metrics.clone());
        let delivery = Delivery {
            receiver: Arc::new(receiver),
            handed_over,
            leading: leads,
            quiet_since,
            deployment: ObjectKey::new("ns", "name"),
            recorder,
            metrics: metrics.clone(),
        };
        let stop = CancellationToken::new();
        let run = tokio::spawn(delivery.run(stop.clone()));
        Self { notifier, metrics, leading, stop, run, _quiet: quiet }
    }

    fn notify(&self, name: &str, second: i64) {
        self.notifier.notify(failover(name, second));
    }

    /// Waits until so many have come to this end.
    async fn counted(&self, result: &str, number: usize) {
        let line = format!(
            "linkerd_failover_notifications_total{{type=\"failover\",result=\"{result}\"}} {number}"
        );
        self.until(&line, |running| running.metrics.encode().contains(&line)).await;
    }

    async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let polled = async {
            let mut state = ControlFlow::Continue(());
            while state.is_continue() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                state = if is(self) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            }
        };
        let waited = tokio::time::timeout(PATIENCE, polled).await;
        assert!(waited.is_ok(), "{what}: {}", self.metrics.encode());
    }

    /// Stops it. Returns how long that takes.
    async fn stop(&mut self) -> Duration {
        let began = Instant::now();
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, &mut self.run).await.unwrap().unwrap();
        began.elapsed()
    }
}

fn bodies(server: &TestServer) -> Vec<serde_json::Value> {
    let requests = server.requests();
    let body =
        |request: &String| serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    requests.iter().map(body).collect()
}

#[tokio::test]
async fn what_a_receiver_fails_to_take_is_sent_again_with_the_same_id_and_before_what_came_later() {
    let server = TestServer::start(&[DOWN, TAKEN]).await;
    let mut running = Running::start(server.receiver());
    running.notify("web", 1);
    running.counted("retried", 1).await;
    assert_eq!(running.metrics.notifications.failing.get(), 1);
    running.notify("web", 2);
    running.counted("delivered", 2).await;
    let sent = bodies(&server);
    let ids = [failover("web", 1).id(), failover("web", 1).id(), failover("web", 2).id()];
    assert_eq!(sent.iter().map(|event| event["id"].clone()).collect::<Vec<_>>(), ids);
    let metrics = &running.metrics.notifications;
    running.until("the queue is empty", |_| metrics.queued.get() == 0).await;
    assert_eq!((metrics.failing.get(), metrics.oldest.get()), (0, 0));
    running.stop().await;
}

#[tokio::test]
async fn one_that_is_refused_is_not_sent_again_and_the_next_is_sent() {
    let server = TestServer::start(&[Answer::Head("400 Bad Request"), TAKEN]).await;
    let mut running = Running::start(server.receiver());
    running.notify("web", 1);
    running.notify("web", 2);
    running.counted("refused", 1).await;
    running.counted("delivered", 1).await;
    assert_eq!(server.requests().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_replica_that_leads_no_more_leaves_its_queue_to_the_leader() {
    let server = TestServer::start(&[DOWN]).await;
    let mut running = Running::start(server.receiver());
    for second in 0..3 {
        running.notify("web", second);
    }
    running.counted("retried", 1).await;
    running.leading.send_replace(false);
    running.counted("left", 3).await;
    running.until("it shows no failure", |r| r.metrics.notifications.failing.get() == 0).await;
    assert_eq!(running.stop().await.as_secs(), 0, "nothing is left to be sent");
}

#[tokio::test]
async fn a_stop_delivers_what_the_receiver_takes() {
    let server = TestServer::start(&[TAKEN]).await;
    let mut running = Running::start(server.receiver());
    for second in 0..20 {
        running.notify("web", second);
    }
    running.stop().await;
    running.counted("delivered", 20).await;
}

/// Whatever the receiver does: the Lease is released after this.
#[tokio::test]
async fn a_stop_is_bounded_and_counts_what_is_left() {
    for (answer, receives) in [(DOWN, "retried"), (Answer::Hang, "")] {
        let server = TestServer::start(&[answer]).await;
        let mut running = Running::start(server.receiver());
        running.notify("web", 1);
        running.notify("web", 2);
        match receives {
            "" => running.until("it is sent", |_| !server.requests().is_empty()).await,
            result => running.counted(result, 1).await,
        }
        let took = running.stop().await;
        assert!(took < STOPPING * 3, "{answer:?}: {took:?}");
        running.counted("left", 2).await;
    }
}
