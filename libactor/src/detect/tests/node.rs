//! The detector and the announcer on nodes.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::LocalSet;

use super::*;
use crate::{AskError, Node, NodeConfig, Request};

/// Something that a detector does not answer.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "test.Anything")]
struct Anything;

impl Request for Anything {
    type Reply = ();
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test ends");
    });
}

async fn node(listen: &str) -> Node {
    let listen = listen.parse().unwrap();
    Node::bind(NodeConfig { listen, check_machines: true, ..NodeConfig::default() }).await.unwrap()
}

fn leads(epoch: u64, leader: Option<&Node>, members: &[&Node]) -> Leads {
    Leads {
        epoch,
        leader: leader.map(|node| node.pid("master")),
        members: members.iter().map(|node| node.address().to_string()).collect(),
    }
}

async fn detects(leader: &mut watch::Receiver<Option<Leader>>, expected: Option<(&Node, u64)>) {
    let expected = expected.map(|(node, epoch)| Leader { pid: node.pid("master"), epoch });
    leader.wait_for(|leader| *leader == expected).await.unwrap();
}

#[test]
fn a_leader_is_followed_from_node_to_node() {
    run(async {
        let (first, second, own) =
            (node("127.0.0.1:0").await, node("127.0.0.1:0").await, node("127.0.0.1:0").await);
        let both = [&first, &second];
        let group = [
            announce(&first, "masters", leads(4, Some(&first), &both)).unwrap(),
            announce(&second, "masters", leads(4, Some(&first), &both)).unwrap(),
        ];
        // One node is known, by a name; the other is told of.
        let named = format!("localhost:{}", first.address().port());
        let mut leader = spawn(&own, "detector", "masters", Address::list(&named).unwrap()).unwrap();
        assert!(spawn(&own, "detector", "masters", Vec::new()).is_err(), "the name is taken");
        detects(&mut leader, Some((&first, 4))).await;
        group[1].announce(leads(5, Some(&second), &both)).await.unwrap();
        detects(&mut leader, Some((&second, 5))).await;
        group[0].announce(leads(6, None, &both)).await.unwrap();
        detects(&mut leader, None).await;
        group[1].announce(leads(6, Some(&second), &both)).await.unwrap();
        detects(&mut leader, Some((&second, 6))).await;
        // Its process is gone, and back on its port.
        let port = second.address();
        second.shutdown().await;
        detects(&mut leader, None).await;
        let again = node(&port.to_string()).await;
        let returned = std::time::Duration::from_secs(3);
        announce(&again, "masters", leads(7, Some(&again), &[])).unwrap();
        tokio::time::timeout(returned, detects(&mut leader, Some((&again, 7))))
            .await
            .expect("it is found soon");
        // Nobody wants to know any more.
        drop(leader);
        while own.stop("detector") {
            tokio::task::yield_now().await;
        }
        for node in [first, again, own] {
            node.shutdown().await;
        }
    });
}

#[test]
fn an_actor_that_comes_later_is_found_and_a_detector_ends_with_its_node() {
    run(async {
        let (other, own) = (node("127.0.0.1:0").await, node("127.0.0.1:0").await);
        let (name, nodes) = ("detector", vec![other.address().into()]);
        let mut leader = spawn(&own, name, "masters", nodes).unwrap();
        // It answers after the detector has asked: there was nobody yet.
        let nobody = other.ask(&own.pid(name), Anything, Duration::from_secs(5)).await;
        assert!(matches!(nobody, Err(AskError::Refused { .. })));
        announce(&other, "masters", leads(1, Some(&other), &[])).unwrap();
        detects(&mut leader, Some((&other, 1))).await;
        own.shutdown().await;
        assert!(leader.changed().await.is_err());
        other.shutdown().await;
    });
}
