//! Between two nodes.

use std::time::Duration;

use libactor::{AskError, Refusal, SendError};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::kit::{Double, Event, Never, Order, local, metric, node, note, until, witness};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn messages_keep_their_order_between_nodes() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (pid, mut events) = witness(&there, "a");
        for number in 0..5000 {
            here.send(&pid, note(number)).await.unwrap();
        }
        for number in 0..5000 {
            assert_eq!(events.recv().await, Some(Event::Note(None, number)));
        }
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn the_sender_is_known_between_nodes_and_can_be_told() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (a, mut a_events) = witness(&here, "a");
        let (b, mut b_events) = witness(&there, "b");
        here.tell(&a, Order::Tell(b.clone(), 1)).unwrap();
        assert_eq!(b_events.recv().await, Some(Event::Note(Some(a.clone()), 1)));
        there.tell(&b, Order::Tell(a, 2)).unwrap();
        assert_eq!(a_events.recv().await, Some(Event::Note(Some(b), 2)));
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn asks_between_nodes_are_answered_refused_or_lost() {
    #[derive(Serialize, Deserialize)]
    struct Foreign;
    impl libactor::Request for Foreign {
        type Reply = ();
    }
    local(async {
        let (here, there) = (node().await, node().await);
        let (pid, _events) = witness(&there, "a");
        assert_eq!(here.ask(&pid, Double(21), LONG).await, Ok(42));
        let refused = |pid: &libactor::Pid, refusal| AskError::Refused { pid: pid.clone(), refusal };
        let nobody = there.pid("nobody");
        assert_eq!(here.ask(&nobody, Double(1), LONG).await, Err(refused(&nobody, Refusal::NoSuchActor)));
        assert_eq!(here.ask(&pid, Foreign, LONG).await, Err(refused(&pid, Refusal::UnknownMessage)));
        let late = here.ask(&pid, Never, Duration::from_millis(20)).await;
        assert_eq!(late, Err(AskError::TimedOut(pid.clone())));
        let (answer, ()) = tokio::join!(here.ask(&pid, Never, LONG), async {
            until(&here, "asks_pending", 1.0).await;
            here.tell(&pid, Order::Stop).unwrap();
        });
        assert_eq!(answer, Err(refused(&pid, Refusal::NoAnswer)));
        let (other, _events) = witness(&there, "b");
        let (answer, ()) = tokio::join!(here.ask(&other, Never, LONG), async {
            here.ask(&other, Double(1), LONG).await.unwrap();
            there.shutdown().await;
        });
        assert!(matches!(answer, Err(AskError::Lost(_) | AskError::Refused { .. })), "{answer:?}");
        here.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_a_peer_that_can_not_be_reached_is_dropped_and_counted() {
    local(async {
        let here = node().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = libactor::Pid::new("a", listener.local_addr().unwrap());
        drop(listener);
        for number in 0..3 {
            here.tell(&gone, note(number)).unwrap();
        }
        until(&here, "dropped_unreachable", 3.0).await;
        let asked = here.ask(&gone, Double(1), LONG).await;
        assert_eq!(asked, Err(AskError::Lost(gone)));
        here.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_comes_back_is_reached_again() {
    local(async {
        let here = node().await;
        let there = node().await;
        let address = there.address();
        let (pid, mut events) = witness(&there, "a");
        here.tell(&pid, note(1)).unwrap();
        assert_eq!(events.recv().await, Some(Event::Note(None, 1)));
        there.shutdown().await;
        let config = libactor::NodeConfig { listen: address, ..libactor::NodeConfig::default() };
        let there = libactor::Node::bind(config).await.unwrap();
        let (pid, mut events) = witness(&there, "a");
        // What is told before the loss is noticed is lost: delivery is at most once.
        loop {
            here.tell(&pid, note(2)).unwrap();
            let event = tokio::time::timeout(Duration::from_millis(50), events.recv()).await;
            if event == Ok(Some(Event::Note(None, 2))) {
                break;
            }
        }
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_queue_to_a_peer_is_bounded() {
    local(async {
        let here = node().await;
        // Takes connections, as the kernel does, and says nothing.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = libactor::Pid::new("a", listener.local_addr().unwrap());
        let mut taken = 0;
        // What the connection's task has in hand makes room once.
        for _ in 0..10 {
            while here.tell(&silent, note(0)).is_ok() {
                taken += 1;
            }
            tokio::task::yield_now().await;
        }
        let bound = libactor::limits::PEER_QUEUE_MESSAGES;
        assert!((bound..bound + 1000).contains(&taken), "{taken}");
        assert_eq!(here.tell(&silent, note(0)), Err(SendError::Full(silent.clone())));
        assert_eq!(metric(&here, "dropped_peer_queue_full"), 11.0);
        let full = tokio::time::timeout(Duration::from_millis(20), here.send(&silent, note(0))).await;
        assert!(full.is_err(), "a send waits for room");
        here.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn more_names_than_a_connection_holds_are_no_obstacle() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (pid, mut events) = witness(&there, "a");
        let names = 2 * libactor::limits::MAX_CONNECTION_NAMES as u64;
        for number in 0..names {
            here.send(&there.pid(&format!("nobody-{number}")), note(number)).await.unwrap();
        }
        here.send(&pid, note(1)).await.unwrap();
        assert_eq!(events.recv().await, Some(Event::Note(None, 1)));
        assert_eq!(metric(&there, "dropped_unknown_actor"), names as f64);
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_message_may_be_large_but_not_larger_than_a_frame() {
    #[derive(Serialize, Deserialize)]
    struct Large(bytes::Bytes);
    local(async {
        let (here, there) = (node().await, node().await);
        let pid = there.pid("a");
        let limit = libactor::limits::MAX_BODY_BYTES;
        let error = here.tell(&pid, Large(vec![0; limit].into())).unwrap_err();
        assert_eq!(error, SendError::TooLarge { to: pid.clone(), limit });
        here.tell(&pid, Large(vec![0; limit - 100].into())).unwrap();
        until(&there, "dropped_unknown_actor", 1.0).await;
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_queued_at_shutdown_is_written() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (pid, mut events) = witness(&there, "a");
        for number in 0..1000 {
            here.tell(&pid, note(number)).unwrap();
        }
        here.shutdown().await;
        for number in 0..1000 {
            assert_eq!(events.recv().await, Some(Event::Note(None, number)));
        }
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_mailbox_holds_the_connection_back_for_a_while() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (sender, mut events) = tokio::sync::mpsc::channel(10_000);
        let small = |all: &mut libactor::Install<_>| {
            crate::kit::install(all);
            all.mailbox(4);
        };
        let pid = there.spawn("small", crate::kit::make(sender), small).unwrap();
        for number in 0..2000 {
            here.send(&pid, note(number)).await.unwrap();
        }
        for number in 0..2000 {
            assert_eq!(events.recv().await, Some(Event::Note(None, number)));
        }
        assert_eq!(metric(&there, "dropped_mailbox_full"), 0.0);
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_mailbox_that_stays_full_drops_and_counts() {
    use actix::fut::WrapFuture;
    use actix::{Actor, AsyncContext, Context};

    struct Stuck;
    impl Actor for Stuck {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.wait(std::future::pending::<()>().into_actor(self));
        }
    }
    impl libactor::Receive<crate::kit::Note> for Stuck {
        fn receive(&mut self, _: crate::kit::Note, _: Option<libactor::Pid>, _: &mut Context<Self>) {}
    }
    local(async {
        let (here, there) = (node().await, node().await);
        let stuck = there
            .spawn(
                "stuck",
                |_| Stuck,
                |install| {
                    install.message::<crate::kit::Note>().mailbox(2);
                },
            )
            .unwrap();
        let (pid, mut events) = witness(&there, "a");
        for number in 0..10 {
            here.send(&stuck, note(number)).await.unwrap();
        }
        here.send(&pid, note(1)).await.unwrap();
        // Others behind the same connection wait once, not for each message.
        assert_eq!(events.recv().await, Some(Event::Note(None, 1)));
        assert_eq!(metric(&there, "dropped_mailbox_full"), 8.0);
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}
