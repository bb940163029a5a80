//! Leads that follow one another at once.

use std::time::Duration;

use actix::{Actor, Context};
use libactor::shell::{self as machines, Edge};
use libactor::{Machine, Me, Node, NodeConfig, OnExited, Pid, Receive, Time};
use protocol::messages::{AgentCall, AgentEvent};
use protocol::wire::common::VersionInfo;
use protocol::{AgentInfo, Attributes};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::*;
use crate::edge::about::About;
use crate::edge::leader::Leader;
use crate::replication::Input;

/// In place of a replica: shows what is proposed.
struct Ears(mpsc::Sender<(u64, Vec<Operation>)>);

impl Machine for Ears {
    type Input = Input;
    type Output = ();

    fn handle(&mut self, _: Time, input: Input, _: &mut Vec<()>) {
        if let Input::Propose { term, operations } = input {
            self.0.try_send((term, operations)).expect("a test reads what is proposed");
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn tick(&mut self, _: Time, _: &mut Vec<()>) {}
}

struct Nothing;

impl Edge<Ears> for Nothing {
    fn carry_out(&mut self, (): (), _: &Me) {}

    fn exited(&mut self, _: Pid) -> Option<Input> {
        None
    }
}

/// An agent that keeps what it is told; `None`: the master is gone.
struct Agent(mpsc::Sender<Option<AgentEvent>>);

impl Actor for Agent {
    type Context = Context<Self>;
}

impl Receive<AgentEvent> for Agent {
    fn receive(&mut self, event: AgentEvent, _: Option<Pid>, _: &mut Context<Self>) {
        self.0.try_send(Some(event)).expect("a test reads what it is told");
    }
}

impl OnExited for Agent {
    fn exited(&mut self, _: Pid, _: &mut Context<Self>) {
        self.0.try_send(None).expect("a test reads what it is told");
    }
}

struct World {
    node: Node,
    seat: Seat,
    leading: watch::Receiver<Option<Arc<Api>>>,
    replica: ShellHandle<Input>,
    proposed: mpsc::Receiver<(u64, Vec<Operation>)>,
    agent: Me,
    told: mpsc::Receiver<Option<AgentEvent>>,
}

impl World {
    async fn new() -> Self {
        let node = Node::bind(NodeConfig { check_machines: true, ..NodeConfig::default() }).await.unwrap();
        let about = About {
            version: VersionInfo::new("1"),
            flags: Default::default(),
            started_at: node.clock().now(),
            log_file: None,
        };
        let (_, known) = watch::channel(Leader::Nobody);
        let (lead, leading) = watch::channel(None);
        let (site, store) = (Site::new(&node, about, known), Store::new(node.metrics()));
        let (end, _) = watch::channel(None);
        let seat = Seat::new(site, MasterConfig::default(), 10, 7, store, lead, end).unwrap();
        let (ears, proposed) = mpsc::channel(100);
        let (_, replica) = machines::spawn(&node, replication::NAME, Ears(ears), Nothing, |_| {}).unwrap();
        let (tell, told) = mpsc::channel(100);
        let mut agent = None;
        let make = |me: Me| {
            agent = Some(me);
            Agent(tell)
        };
        node.spawn("slave(1)", make, |install| {
            install.message::<AgentEvent>().exited();
        })
        .unwrap();
        Self { agent: agent.unwrap(), node, seat, leading, replica, proposed, told }
    }

    fn lead(&mut self, term: u64, state: &State) {
        self.seat.lead(term, state, &self.replica);
    }

    fn register(&self) {
        let agent = AgentInfo {
            hostname: "h".to_owned(),
            port: 5051,
            resources: "cpus:1".parse().unwrap(),
            attributes: Attributes::default(),
            id: None,
        };
        let call = AgentCall::Register { agent, version: "1".to_owned() };
        self.agent.tell(&self.node.pid(NAME), call).unwrap();
    }

    fn metric(&self, name: &str) -> f64 {
        self.node.metrics().snapshot()[name]
    }
}

fn run(test: impl AsyncFnOnce(World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let world = World::new().await;
        let node = world.node.clone();
        tokio::time::timeout(Duration::from_secs(60), test(world)).await.unwrap();
        node.shutdown().await;
    });
}

#[test]
fn leads_in_quick_succession_have_nothing_of_one_another() {
    run(async |mut world| {
        let mut later = State::default();
        later.gone.insert("gone".into(), protocol::UnixTime(1));
        world.lead(2, &State::default());
        world.register();
        let (2, first) = world.proposed.recv().await.unwrap() else { panic!("the lead of term 2 proposes") };
        assert_eq!(world.metric("registrar/queued_operations"), 1.0);
        // The agent is linked to the machine of that lead; within one step there are three more.
        world.agent.link(&world.node.pid(NAME));
        world.seat.deposed(2);
        world.lead(3, &State::default());
        world.seat.deposed(3);
        world.lead(4, &later);
        assert!(world.node.has_actor(NAME));
        assert_eq!(world.metric("registrar/queued_operations"), 0.0);
        world.seat.deposed(2);
        // What was on its way to those that are over: dropped.
        world.seat.committed(2, first.clone());
        world.seat.committed(3, first.clone());
        assert_eq!(world.told.recv().await, Some(None), "the link has ended");
        world.register();
        let (term, second) = world.proposed.recv().await.unwrap();
        assert_eq!(term, 4);
        let id = |operations: &[Operation]| match operations {
            [Operation::AdmitAgent { agent }] => agent.id.clone().unwrap(),
            other => panic!("an agent is admitted: {other:?}"),
        };
        assert_ne!(id(&first), id(&second), "each lead has an identity of its own");
        world.seat.committed(4, second.clone());
        let Some(Some(AgentEvent::Registered { agent_id, .. })) = world.told.recv().await else {
            panic!("it is registered next, and only once")
        };
        assert_eq!(agent_id, id(&second));
        let api = world.leading.borrow().clone().expect("one leads");
        let snapshot = api.view.ask().await.expect("it runs");
        assert_eq!(snapshot.agents.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&agent_id]);
        assert_eq!(world.metric("master/elected"), 1.0);
        // The last one is deposed for good.
        world.seat.deposed(4);
        assert!(world.leading.borrow().is_none() && api.view.ask().await.is_none());
        assert_eq!(world.metric("master/elected"), 0.0);
        let dropped = world.metric("master/dropped_messages");
        world.register();
        while world.metric("master/dropped_messages") == dropped {
            tokio::task::yield_now().await;
        }
        assert!(world.proposed.try_recv().is_err());
    });
}

#[test]
fn operations_of_a_turn_go_on_together_and_come_back_in_order() {
    run(async |mut world| {
        world.lead(2, &State::default());
        let api = world.leading.borrow().clone().expect("one leads");
        let asks: Vec<_> = ["a", "b", "c"]
            .map(|role| {
                let api = api.clone();
                tokio::task::spawn_local(async move {
                    let weights = [(role.into(), 2000)].into();
                    let request = crate::core::OperatorRequest::UpdateWeights { weights };
                    api.asks.ask(|ask| crate::core::Input::Operator { ask, request }).await
                })
            })
            .into();
        let (2, mut operations) = world.proposed.recv().await.unwrap() else { panic!("of this lead") };
        let roles = operations.iter().map(|operation| match operation {
            Operation::UpdateWeights { weights } => weights.keys().next().unwrap().to_string(),
            other => panic!("{other:?}"),
        });
        assert_eq!(roles.collect::<Vec<_>>(), ["a", "b", "c"], "one turn, one proposal");
        // The machine answers in the order of asking: another order would be the wrong answer.
        world.seat.committed(2, operations.drain(..2).collect());
        world.seat.committed(2, operations);
        for ask in asks {
            assert_eq!(ask.await.unwrap(), crate::core::Answer::Done);
        }
    });
}
