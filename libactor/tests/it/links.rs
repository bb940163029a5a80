//! Exactly one `Exited` for each link.

use std::time::Duration;

use libactor::{Node, NodeConfig, Pid};
use tokio::net::TcpListener;

use crate::kit::{Event, Events, Order, local, node, note, until, witness};

/// Nothing but this note comes before it: what else there was would have come first.
async fn nothing_before(node: &Node, watcher: &Pid, events: &mut Events) {
    node.tell(watcher, note(99)).unwrap();
    assert_eq!(events.recv().await, Some(Event::Note(None, 99)));
}

#[tokio::test]
async fn an_actor_that_stops_exits_once_here_and_there() {
    local(async {
        let (here, there) = (node().await, node().await);
        for home in [&here, &there] {
            let (watcher, mut events) = witness(&here, "watcher");
            let (target, _) = witness(home, "target");
            here.tell(&watcher, Order::Link(target.clone())).unwrap();
            here.tell(&watcher, Order::Link(target.clone())).unwrap();
            here.send(&target, Order::Stop).await.unwrap();
            assert_eq!(events.recv().await, Some(Event::Exited(target.clone())));
            // A new link after the end is a new link.
            until(home, "actors", if home.address() == here.address() { 1.0 } else { 0.0 }).await;
            here.tell(&watcher, Order::Link(target.clone())).unwrap();
            assert_eq!(events.recv().await, Some(Event::Exited(target)));
            nothing_before(&here, &watcher, &mut events).await;
            here.tell(&watcher, Order::Stop).unwrap();
            until(&here, "actors", 0.0).await;
            until(&here, "links_out", 0.0).await;
        }
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_panic_ends_only_its_actor_and_its_links() {
    local(async {
        let here = node().await;
        let (watcher, mut events) = witness(&here, "watcher");
        let (target, mut target_events) = witness(&here, "target");
        here.tell(&watcher, Order::Link(target.clone())).unwrap();
        here.tell(&target, Order::Panic).unwrap();
        assert_eq!(events.recv().await, Some(Event::Exited(target)));
        assert_eq!(target_events.recv().await, Some(Event::Stopped));
        nothing_before(&here, &watcher, &mut events).await;
        here.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn an_actor_that_is_not_there_exits_at_once() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (watcher, mut events) = witness(&here, "watcher");
        for target in [here.pid("nobody"), there.pid("nobody")] {
            here.tell(&watcher, Order::Link(target.clone())).unwrap();
            assert_eq!(events.recv().await, Some(Event::Exited(target)));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = Pid::new("a", listener.local_addr().unwrap());
        drop(listener);
        here.tell(&watcher, Order::Link(gone.clone())).unwrap();
        assert_eq!(events.recv().await, Some(Event::Exited(gone)));
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn an_unlinked_actor_exits_unheard() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (watcher, mut events) = witness(&here, "watcher");
        for home in [&here, &there] {
            let (target, mut target_events) = witness(home, "target");
            here.tell(&watcher, Order::Link(target.clone())).unwrap();
            here.tell(&watcher, Order::Unlink(target.clone())).unwrap();
            nothing_before(&here, &watcher, &mut events).await;
            here.send(&target, Order::Stop).await.unwrap();
            assert_eq!(target_events.recv().await, Some(Event::Stopped));
            until(home, "links_in", 0.0).await;
            nothing_before(&here, &watcher, &mut events).await;
        }
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_process_that_dies_and_comes_back_on_its_port_has_exited() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (watcher, mut events) = witness(&here, "watcher");
        let targets = ["a", "b"].map(|name| witness(&there, name).0);
        for target in &targets {
            here.tell(&watcher, Order::Link(target.clone())).unwrap();
        }
        until(&there, "links_in", 2.0).await;
        there.shutdown().await;
        let config = NodeConfig { listen: there.address(), ..NodeConfig::default() };
        let again = Node::bind(config).await.unwrap();
        let (target, _) = witness(&again, "a");
        assert_eq!(target, targets[0]);
        let mut exited = Vec::new();
        for _ in 0..2 {
            let Some(Event::Exited(pid)) = events.recv().await else { panic!("an exit") };
            exited.push(pid);
        }
        exited.sort();
        assert_eq!(exited, targets);
        // A link to the new life is a new one.
        here.tell(&watcher, Order::Link(target.clone())).unwrap();
        until(&again, "links_in", 1.0).await;
        nothing_before(&here, &watcher, &mut events).await;
        again.shutdown().await;
        assert_eq!(events.recv().await, Some(Event::Exited(target)));
        here.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_host_that_falls_silent_has_exited() {
    local(async {
        let config = NodeConfig {
            heartbeat: Duration::from_millis(20),
            silence: Duration::from_millis(100),
            ..NodeConfig::default()
        };
        let here = Node::bind(config).await.unwrap();
        let there = node().await;
        // A wire between the two that can be cut without closing anything.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = listener.local_addr().unwrap();
        let cut = tokio_util::sync::CancellationToken::new();
        let cutting = cut.clone();
        let destination = there.address();
        tokio::task::spawn_local(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(destination).await.unwrap();
            let copy = tokio::io::copy_bidirectional(&mut near, &mut far);
            cutting.run_until_cancelled(copy).await;
            std::future::pending::<()>().await;
        });
        let (_, _events) = witness(&there, "a");
        let (watcher, mut events) = witness(&here, "watcher");
        let target = Pid::new("a", wire);
        here.tell(&watcher, Order::Link(target.clone())).unwrap();
        until(&there, "links_in", 1.0).await;
        // While the other side answers nothing happens, for longer than the silence that would end it.
        tokio::time::sleep(Duration::from_millis(250)).await;
        nothing_before(&here, &watcher, &mut events).await;
        let start = tokio::time::Instant::now();
        cut.cancel();
        assert_eq!(events.recv().await, Some(Event::Exited(target)));
        assert!(start.elapsed() >= Duration::from_millis(50), "{:?}", start.elapsed());
        assert_eq!(crate::kit::metric(&here, "closed_silent_peer"), 1.0);
        nothing_before(&here, &watcher, &mut events).await;
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_mailbox_loses_no_exit() {
    local(async {
        let here = node().await;
        let (sender, mut events) = tokio::sync::mpsc::channel(1000);
        let small = |all: &mut libactor::Install<_>| {
            crate::kit::install(all);
            all.mailbox(1);
        };
        let watcher = here.spawn("watcher", crate::kit::make(sender), small).unwrap();
        let targets: Vec<Pid> =
            (0..50).map(|number| witness(&here, &format!("target-{number:02}")).0).collect();
        for target in &targets {
            here.send(&watcher, Order::Link(target.clone())).await.unwrap();
        }
        until(&here, "links_out", 50.0).await;
        // All at once, and a message takes the one place in the mailbox.
        targets.iter().for_each(|target| here.tell(target, Order::Stop).unwrap());
        here.tell(&watcher, note(1)).unwrap();
        let mut exited = Vec::new();
        while exited.len() < 50 {
            if let Some(Event::Exited(pid)) = events.recv().await {
                exited.push(pid);
            }
        }
        exited.sort();
        assert_eq!(exited, targets);
        nothing_before(&here, &watcher, &mut events).await;
        here.shutdown().await;
    })
    .await;
}

/// An actor that takes its time.
struct Slow;

impl actix::Actor for Slow {
    type Context = actix::Context<Self>;
}

impl libactor::Receive<crate::kit::Note> for Slow {
    fn receive(&mut self, _: crate::kit::Note, _: Option<Pid>, ctx: &mut actix::Context<Self>) {
        use actix::AsyncContext;
        use actix::fut::WrapFuture;
        ctx.wait(tokio::time::sleep(Duration::from_millis(5)).into_actor(self));
    }
}

#[tokio::test]
async fn a_host_whose_actors_are_slow_has_not_fallen_silent() {
    local(async {
        let config = NodeConfig {
            heartbeat: Duration::from_millis(20),
            silence: Duration::from_millis(100),
            ..NodeConfig::default()
        };
        let (here, there) = (Node::bind(config).await.unwrap(), node().await);
        let slow = there
            .spawn(
                "slow",
                |_| Slow,
                |install| {
                    install.message::<crate::kit::Note>().mailbox(1);
                },
            )
            .unwrap();
        let (watcher, mut events) = witness(&here, "watcher");
        here.tell(&watcher, Order::Link(slow.clone())).unwrap();
        until(&there, "links_in", 1.0).await;
        // The connection is held back for half a second, and every ping with it.
        for number in 0..100 {
            here.send(&slow, note(number)).await.unwrap();
        }
        while crate::kit::metric(&there, "frames_received") < 100.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        nothing_before(&here, &watcher, &mut events).await;
        assert_eq!(crate::kit::metric(&here, "closed_silent_peer"), 0.0);
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn links_that_have_ended_do_not_count_towards_the_bound() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (watcher, mut events) = witness(&here, "watcher");
        for _ in 0..=libactor::limits::MAX_CONNECTION_LINKS / 256 {
            for number in 0..256 {
                let nobody = there.pid(&format!("nobody-{number}"));
                here.tell(&watcher, Order::Link(nobody)).unwrap();
            }
            for _ in 0..256 {
                assert!(matches!(events.recv().await, Some(Event::Exited(_))));
            }
        }
        nothing_before(&here, &watcher, &mut events).await;
        assert_eq!(crate::kit::metric(&there, "closed_too_many_links"), 0.0);
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn who_counts_as_gone_hears_of_it() {
    local(async {
        let quick = NodeConfig {
            heartbeat: Duration::from_millis(20),
            silence: Duration::from_millis(100),
            ..NodeConfig::default()
        };
        let here = Node::bind(quick).await.unwrap();
        // The way to the other node, and not the way from it, can be cut without closing anything.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = listener.local_addr().unwrap();
        let slow = NodeConfig { advertise: Some(wire), ..NodeConfig::default() };
        let there = Node::bind(slow).await.unwrap();
        let bound = there.bound_address();
        let cut = tokio_util::sync::CancellationToken::new();
        let cutting = cut.clone();
        tokio::task::spawn_local(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(bound).await.unwrap();
            let copy = tokio::io::copy_bidirectional(&mut near, &mut far);
            cutting.run_until_cancelled(copy).await;
            std::future::pending::<()>().await;
        });
        let (near, mut near_events) = witness(&here, "near");
        let (far, mut far_events) = witness(&there, "far");
        here.tell(&near, Order::Link(far.clone())).unwrap();
        there.tell(&far, Order::Link(near.clone())).unwrap();
        until(&there, "links_in", 1.0).await;
        until(&here, "links_in", 1.0).await;
        cut.cancel();
        assert_eq!(near_events.recv().await, Some(Event::Exited(far)));
        // Its own silence would take 15 s more, and its own connection is sound.
        assert_eq!(far_events.recv().await, Some(Event::Exited(near)));
        here.shutdown().await;
        there.shutdown().await;
    })
    .await;
}
