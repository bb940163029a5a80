//! Three masters on real nodes: who answers what, and what outlives a leader.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use libactor::Node;
use master::core::MasterConfig;
use master::disk::Memory;
use master::group::{Answer, Call, GroupHandle, MasterStart, MembersAnswer, Start};
use master::registry::{DiskId, MemberId};
use master::replication::{
    self, Disposition, MasterRole, MembersRequest, Recovered, ReplicaAnswer, ReplicaConfig,
};
use protocol::Uuid;
use protocol::messages::{AgentCall, AgentEvent};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::client::{Exchange, get, records};
use crate::shell::{Person, agent_info, node};

struct Group {
    nodes: Vec<Node>,
    masters: Vec<GroupHandle>,
}

impl Group {
    async fn start(size: usize) -> Self {
        let mut nodes = Vec::new();
        for _ in 0..size {
            let node = node().await;
            node.set_delegate(master::NAME);
            nodes.push(node);
        }
        let ids = (1..).map(MemberId);
        let founders: BTreeMap<_, _> =
            ids.zip(&nodes).map(|(id, node)| (id, node.address().to_string())).collect();
        let start = |(id, node): (&MemberId, &Node)| {
            let (report, events) = mpsc::channel(1000);
            let tick = Duration::from_millis(5);
            let pids = (node.pid(replication::NAME), node.pid(master::NAME));
            let start = Start {
                replica: ReplicaConfig { tick, ..ReplicaConfig::new(pids.0, pids.1) },
                recovered: Recovered::founders(*id, DiskId(Uuid([id.0 as u8; 16])), &founders),
                storage: Box::new(Memory::new(report)),
                events,
                master: MasterStart::new(MasterConfig::default()),
                seed: id.0,
            };
            master::start(node, start).expect("it starts")
        };
        let masters = founders.keys().zip(&nodes).map(start).collect();
        Self { nodes, masters }
    }

    /// Waits until one leads of those whose node runs, and all of those know.
    async fn leader(&self) -> usize {
        let running: Vec<_> = (0..self.nodes.len()).filter(|at| !self.nodes[*at].is_shut_down()).collect();
        loop {
            for at in &running {
                if *self.masters[*at].standing().borrow() != Disposition::Leading {
                    continue;
                }
                let leader = self.masters[*at].pid();
                let knows = |other: &&usize| match &*self.masters[**other].standing().borrow() {
                    Disposition::Leading => **other == *at,
                    Disposition::Following { leader: known } => *known == leader,
                    Disposition::Leaderless => false,
                };
                if running.iter().filter(knows).count() == running.len() {
                    return *at;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn address(&self, at: usize) -> SocketAddr {
        self.nodes[at].address()
    }

    fn metric(&self, at: usize, name: &str) -> f64 {
        self.nodes[at].metrics().snapshot()[name]
    }
}

fn run(size: usize, test: impl AsyncFnOnce(Group)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let group = Group::start(size).await;
        let nodes = group.nodes.clone();
        tokio::time::timeout(Duration::from_secs(90), test(group)).await.expect("the test ends");
        for node in nodes {
            node.shutdown().await;
        }
    });
}

async fn head(node: SocketAddr, path: &str) -> (u16, Option<String>) {
    let exchange = Exchange::begin(node, path, &[], "").await;
    (exchange.status, exchange.header("location").map(str::to_owned))
}

#[test]
fn what_is_for_the_leader_is_sent_on_to_it_and_the_rest_is_answered_by_all() {
    run(3, async |mut group| {
        let leader = group.leader().await;
        let port = group.address(leader).port();
        for at in 0..3 {
            let node = group.address(at);
            for path in
                ["/health", "/version", "/flags", "/metrics/snapshot", "/files/debug", "/logging/toggle"]
            {
                assert_eq!(head(node, path).await.0, 200, "{path}");
            }
            let base = format!("//127.0.0.1:{port}");
            for path in ["/redirect", "/master/redirect"] {
                assert_eq!(head(node, path).await, (307, Some(base.clone())), "{path}");
            }
            assert_eq!(head(node, "/redirect/redirect").await.0, 404);
            let elected = f64::from(u8::from(at == leader));
            assert_eq!(group.metric(at, "master/elected"), elected);
            assert_eq!(group.metric(at, "registrar/log/recovered"), 1.0);
            for path in ["/state", "/master/state.json?jsonp=x%2ey", "/tasks?limit=7&order=asc", "/weights"] {
                let answer = head(node, path).await;
                if at == leader {
                    assert_eq!(answer, (200, None), "{path}");
                } else {
                    assert_eq!(answer, (307, Some(format!("{base}{path}"))), "{path}");
                }
            }
            for path in ["/api/v1", "/master/api/v1/scheduler", "/teardown", "/machine/down"] {
                let status = Exchange::begin(node, path, &[], "x").await.status;
                assert_eq!(status == 307, at != leader, "{path}: {status}");
            }
        }
        let state = get(group.address(leader), "/state").await;
        let pid = group.masters[leader].pid().to_string();
        assert_eq!((&state["leader"], &state["leader_info"]["pid"]), (&json!(pid), &json!(pid)));
        assert!(state["elected_time"].as_f64() >= state["start_time"].as_f64());
        // Agents and schedulers speak to the leader alone.
        let standby = (leader + 1) % 3;
        let mut agent = Person::<AgentEvent>::new(&group.nodes[standby], "slave(1)");
        let register = || AgentCall::Register { agent: agent_info(), version: "1".to_owned() };
        agent.me.tell(&group.masters[standby].pid(), register()).expect("it is sent");
        agent.me.tell(&group.masters[leader].pid(), register()).expect("it is sent");
        assert!(matches!(agent.next().await, AgentEvent::Registered { .. }));
        assert_eq!(group.metric(standby, "master/dropped_messages"), 1.0);
        // The last one of three has nobody to send on to.
        let last = 3 - leader - standby;
        group.nodes[leader].shutdown().await;
        group.nodes[standby].shutdown().await;
        let mut standing = group.masters.remove(last).standing();
        standing.wait_for(|standing| *standing == Disposition::Leaderless).await.expect("it runs");
        for path in ["/state", "/redirect", "/api/v1"] {
            let exchange = Exchange::begin(group.address(last), path, &[], "").await;
            assert_eq!((exchange.status, exchange.body().await), (503, "No leader elected".to_owned()));
        }
        assert_eq!(head(group.address(last), "/health").await.0, 200);
    });
}

#[test]
fn what_the_registry_took_outlives_leaders_and_streams_do_not() {
    run(3, async |group| {
        let first = group.leader().await;
        let mut agent = Person::<AgentEvent>::new(&group.nodes[first], "slave(1)");
        let register = AgentCall::Register { agent: agent_info(), version: "1".to_owned() };
        agent.me.tell(&group.masters[first].pid(), register).expect("it is sent");
        let AgentEvent::Registered { agent_id, .. } = agent.next().await else { panic!("registered first") };
        let snapshot = group.masters[first].snapshot().await.expect("it leads");
        assert!(snapshot.agents.get(&agent_id).is_some());
        let mut watching = records(group.address(first), "/api/v1", &json!({ "type": "SUBSCRIBE" })).await;
        watching.next_of("SUBSCRIBED").await;
        // Another one is to lead, and it is asked by a tool elsewhere.
        let second = (first + 1) % 3;
        let mut operator = Person::<Answer>::new(&group.nodes[second], "operator");
        let request = MembersRequest::Transfer { to: Some(MemberId(second as u64 + 1)) };
        let replica = group.masters[first].replica();
        operator.me.tell(&replica, Call { number: 7, request }).expect("it is sent");
        let Answer { number: 7, answer: MembersAnswer::Done } = operator.next().await else {
            panic!("it is done")
        };
        assert!(group.masters[second].leads().await);
        while watching.next().await.is_some() {}
        assert!(group.masters[first].snapshot().await.is_none(), "it leads no more");
        assert_eq!(group.metric(first, "master/elected"), 0.0);
        assert_eq!(group.metric(first, "master/slaves_active"), 0.0);
        assert_eq!(group.metric(second, "master/elected"), 1.0);
        let state = get(group.address(second), "/state").await;
        assert_eq!(state["recovered_slaves"][0]["id"]["value"], json!(agent_id));
        // One that is gone for good.
        group.leader().await;
        group.nodes[second].shutdown().await;
        let third = group.leader().await;
        assert_ne!(third, second);
        let state = get(group.address(third), "/state").await;
        assert_eq!(state["recovered_slaves"][0]["id"]["value"], json!(agent_id));
        let ReplicaAnswer::Status(status) = group.masters[third].ask(MembersRequest::Status).await else {
            panic!("a status")
        };
        assert_eq!(status.leader, Some(MemberId(third as u64 + 1)));
        assert_eq!(status.masters.iter().filter(|master| master.role == MasterRole::Leader).count(), 1);
        let registry = get(group.address(first), "/registrar(1)/registry").await;
        assert_eq!(registry["slaves"]["slaves"][0]["info"]["id"]["value"], json!(agent_id), "{registry}");
    });
}

#[test]
fn one_that_is_alone_leads_at_once_and_says_when_it_has_ended() {
    run(1, async |group| {
        let master = &group.masters[0];
        assert!(master.leads().await);
        assert!(group.metric(0, "masters/term") > 0.0);
        let ended = master.clone();
        let ended = tokio::task::spawn_local(async move { ended.ended().await });
        master.stop();
        let ended = ended.await.expect("it ends");
        assert!(!ended.failed, "{ended:?}");
        while group.nodes[0].has_actor(master::NAME) {
            tokio::task::yield_now().await;
        }
        assert!(master.snapshot().await.is_none());
    });
}
