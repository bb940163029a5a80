//! Within one node.

use std::sync::Arc;
use std::time::Duration;

use libactor::{AskError, Clock, Node, NodeConfig, Refusal, SendError, SpawnError, Time, Verdict};

use crate::kit::{
    Double, Event, Never, Note, Order, install, local, make, metric, node, note, until, witness,
};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn messages_come_in_the_order_of_their_sending() {
    local(async {
        let node = node().await;
        let (pid, mut events) = witness(&node, "a");
        for number in 0..1000 {
            node.tell(&pid, note(number)).unwrap();
        }
        for number in 0..1000 {
            assert_eq!(events.recv().await, Some(Event::Note(None, number)));
        }
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn the_sender_is_known_to_the_receiver() {
    local(async {
        let node = node().await;
        let (a, _) = witness(&node, "a");
        let (b, mut events) = witness(&node, "b");
        node.tell(&a, Order::Tell(b, 7)).unwrap();
        assert_eq!(events.recv().await, Some(Event::Note(Some(a), 7)));
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn asks_are_answered_refused_or_time_out() {
    local(async {
        let clock = Clock::manual(Time::default());
        let config = NodeConfig { clock: clock.clone(), ..NodeConfig::default() };
        let node = Node::bind(config).await.unwrap();
        let (pid, _events) = witness(&node, "a");
        assert_eq!(node.ask(&pid, Double(21), LONG).await, Ok(42));

        let ask = tokio::task::spawn_local({
            let (node, pid) = (node.clone(), pid.clone());
            async move { node.ask(&pid, Never, Duration::from_secs(5)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(5));
        assert_eq!(ask.await.unwrap(), Err(AskError::TimedOut(pid.clone())));

        let (answer, _) = tokio::join!(node.ask(&pid, Never, LONG), async { node.tell(&pid, Order::Stop) });
        let refused = AskError::Refused { pid: pid.clone(), refusal: Refusal::NoAnswer };
        assert_eq!(answer, Err(refused));
        let error = node.ask(&pid, Double(1), LONG).await.unwrap_err();
        assert_eq!(error, AskError::Send(SendError::NoSuchActor(pid)));
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn what_can_not_be_sent_is_an_error() {
    local(async {
        let node = node().await;
        assert_eq!(node.tell(&node.pid("nobody"), note(1)), Err(SendError::NoSuchActor(node.pid("nobody"))));
        let (pid, _events) = witness(&node, "a");
        let error = node.tell(&pid, 5u64).unwrap_err();
        assert!(matches!(error, SendError::NotInstalled { .. }), "{error}");
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_mailbox_refuses_a_tell_and_holds_back_a_send() {
    local(async {
        let node = node().await;
        let (sender, mut events) = tokio::sync::mpsc::channel(100);
        let small = |all: &mut libactor::Install<_>| {
            install(all);
            all.mailbox(2);
        };
        let pid = node.spawn("small", make(sender), small).unwrap();
        node.tell(&pid, note(0)).unwrap();
        node.tell(&pid, note(1)).unwrap();
        assert_eq!(node.tell(&pid, note(2)), Err(SendError::Full(pid.clone())));
        assert_eq!(metric(&node, "dropped_mailbox_full"), 1.0);
        node.send(&pid, note(3)).await.unwrap();
        for number in [0, 1, 3] {
            assert_eq!(events.recv().await, Some(Event::Note(None, number)));
        }
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_name_is_one_actor_at_a_time() {
    local(async {
        let node = node().await;
        let (pid, mut events) = witness(&node, "a");
        let again = || node.spawn("a", make(tokio::sync::mpsc::channel(1).0), install);
        assert_eq!(again(), Err(SpawnError::NameTaken("a".into())));
        assert_eq!(
            node.spawn("a/b", make(tokio::sync::mpsc::channel(1).0), install),
            Err(SpawnError::BadName("a/b".into()))
        );
        node.tell(&pid, Order::Stop).unwrap();
        assert_eq!(events.recv().await, Some(Event::Stopped));
        until(&node, "actors", 0.0).await;
        assert_eq!(again(), Ok(pid));
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_an_actor_that_stops_is_dropped_and_counted() {
    local(async {
        let node = node().await;
        let (pid, mut events) = witness(&node, "a");
        node.tell(&pid, Order::Stop).unwrap();
        for number in 0..5 {
            node.tell(&pid, note(number)).unwrap();
        }
        assert_eq!(events.recv().await, Some(Event::Stopped));
        assert_eq!(events.recv().await, None);
        assert_eq!(metric(&node, "dropped_actor_stopped"), 5.0);
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_delayed_message_comes_in_time_and_not_when_cancelled() {
    local(async {
        let clock = Clock::manual(Time::default());
        let config = NodeConfig { clock: clock.clone(), ..NodeConfig::default() };
        let node = Node::bind(config).await.unwrap();
        let (handle, handed) = tokio::sync::oneshot::channel();
        let (sender, mut events) = tokio::sync::mpsc::channel(10);
        let make = make(sender);
        let start = move |me: libactor::Me| {
            let timers = [3, 1, 2].map(|number| me.tell_after(Duration::from_secs(number), note(number)));
            let _ = handle.send(timers);
            make(me)
        };
        let pid = node.spawn("a", start, install).unwrap();
        let timers = handed.await.unwrap();
        tokio::task::yield_now().await;
        assert!(timers[2].cancel() && !timers[2].cancel());
        clock.advance(Duration::from_secs(1));
        assert_eq!(events.recv().await, Some(Event::Note(Some(pid.clone()), 1)));
        assert!(!timers[1].cancel());
        clock.advance(Duration::from_secs(2));
        assert_eq!(events.recv().await, Some(Event::Note(Some(pid), 3)));
        node.shutdown().await;
        assert_eq!(events.recv().await, Some(Event::Stopped));
        assert_eq!(events.recv().await, None);
    })
    .await;
}

#[tokio::test]
async fn an_actor_that_floods_itself_does_not_delay_timers() {
    use actix::{Actor, Context};

    struct Flood {
        me: libactor::Me,
        handled: Arc<std::sync::atomic::AtomicU64>,
    }
    impl Actor for Flood {
        type Context = Context<Self>;
    }
    impl libactor::Receive<Note> for Flood {
        fn receive(&mut self, note: Note, _: Option<libactor::Pid>, _: &mut Context<Self>) {
            self.handled.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.me.tell(self.me.pid(), note).unwrap();
        }
    }
    local(async {
        let node = node().await;
        let handled = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counts = handled.clone();
        let pid = node
            .spawn(
                "flood",
                |me| Flood { me, handled: counts },
                |install| {
                    install.message::<Note>();
                },
            )
            .unwrap();
        for number in 0..1000 {
            node.tell(&pid, note(number)).unwrap();
        }
        // Each of these ends only if the timer gets its turn; so little is handled meanwhile that it was not late.
        let mut handled_by_then = Vec::new();
        for _ in 0..20 {
            let before = handled.load(std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
            handled_by_then.push(handled.load(std::sync::atomic::Ordering::Relaxed) - before);
        }
        assert!(handled_by_then.iter().all(|count| *count > 0), "{handled_by_then:?}");
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_filter_watches_and_drops() {
    local(async {
        let node = node().await;
        let (pid, mut events) = witness(&node, "a");
        let names = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = names.clone();
        node.set_filter(Some(Arc::new(move |delivery| {
            seen.lock().unwrap().push((delivery.to.name().to_owned(), delivery.message.to_owned()));
            if delivery.message == "test.Order" { Verdict::Drop } else { Verdict::Pass }
        })));
        node.tell(&pid, Order::Stop).unwrap();
        node.tell(&pid, note(1)).unwrap();
        assert_eq!(events.recv().await, Some(Event::Note(None, 1)));
        assert_eq!(
            *names.lock().unwrap(),
            [("a".to_owned(), "test.Order".to_owned()), ("a".to_owned(), "test.Note".to_owned())]
        );
        assert_eq!(metric(&node, "dropped_by_filter"), 1.0);
        node.set_filter(None);
        node.tell(&pid, Order::Stop).unwrap();
        assert_eq!(events.recv().await, Some(Event::Stopped));
        node.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn shutting_down_stops_actors_and_refuses_new_ones() {
    local(async {
        let node = node().await;
        let (pid, mut events) = witness(&node, "a");
        node.shutdown().await;
        assert_eq!(events.recv().await, Some(Event::Stopped));
        assert_eq!(node.tell(&pid, note(1)), Err(SendError::NoSuchActor(pid)));
        let again = node.spawn("a", make(tokio::sync::mpsc::channel(1).0), install);
        assert_eq!(again, Err(SpawnError::ShutDown));
        assert!(tokio::net::TcpStream::connect(node.address()).await.is_err());
    })
    .await;
}
