//! An actor that fails is made again.

use std::time::Duration;

use libactor::{Backoff, Clock, Node, NodeConfig, Time, supervise};
use tokio::sync::mpsc;

use crate::kit::{Event, Order, install, local, make, metric, note, until, witness};

const BACKOFF: Backoff = Backoff {
    min: Duration::from_secs(1),
    max: Duration::from_secs(3),
    reset_after: Duration::from_secs(60),
};

#[tokio::test]
async fn an_actor_that_fails_is_made_again_after_a_while() {
    local(async {
        let clock = Clock::manual(Time::default());
        let config = NodeConfig { clock: clock.clone(), ..NodeConfig::default() };
        let node = Node::bind(config).await.unwrap();
        let (sender, mut events) = mpsc::channel(100);
        let pid = supervise(&node, "a", make(sender), install, BACKOFF).unwrap();
        let (watcher, mut watched) = witness(&node, "watcher");
        // 1 s, 2 s, then 3 s each; a panic and a failure are the same.
        for (lives, pause) in [(1, 1000), (2, 2000), (3, 3000), (4, 3000)] {
            node.tell(&watcher, Order::Link(pid.clone())).unwrap();
            node.tell(&pid, note(lives)).unwrap();
            node.tell(&pid, if lives % 2 == 0 { Order::Fail } else { Order::Panic }).unwrap();
            assert_eq!(events.recv().await, Some(Event::Note(None, lives)));
            assert_eq!(events.recv().await, Some(Event::Stopped));
            assert_eq!(watched.recv().await, Some(Event::Exited(pid.clone())));
            clock.advance(Duration::from_millis(pause - 1));
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert!(!node.has_actor("a"), "too early");
            clock.advance(Duration::from_millis(1));
            until(&node, "actors_restarted", lives as f64).await;
        }
        assert_eq!(metric(&node, "actors_failed"), 4.0);
        // A long life makes up for earlier failures.
        clock.advance(Duration::from_secs(60));
        node.tell(&pid, Order::Fail).unwrap();
        assert_eq!(events.recv().await, Some(Event::Stopped));
        until(&node, "actors", 1.0).await;
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(1));
        until(&node, "actors_restarted", 5.0).await;
        // One that stops is left to rest.
        node.tell(&pid, Order::Stop).unwrap();
        assert_eq!(events.recv().await, Some(Event::Stopped));
        assert_eq!(events.recv().await, None);
        node.shutdown().await;
    })
    .await;
}
