//! What the tests share: an actor that reports all that happens to it.

use std::future::Future;
use std::time::Duration;

use actix::{Actor, Context};
use libactor::{Answer, Install, Me, Node, NodeConfig, OnExited, Pid, Receive, Reply, Request};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// Runs a test where actors can live. One that hangs fails.
pub(crate) async fn local<F: Future>(test: F) -> F::Output {
    let actors = LocalSet::new();
    tokio::time::timeout(Duration::from_secs(90), actors.run_until(test)).await.expect("the test ends")
}

pub(crate) async fn node() -> Node {
    Node::bind(NodeConfig::default()).await.unwrap()
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "test.Note")]
pub(crate) struct Note {
    pub(crate) number: u64,
    pub(crate) text: String,
}

pub(crate) fn note(number: u64) -> Note {
    Note { number, text: format!("note {number}") }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "test.Double")]
pub(crate) struct Double(pub u64);

impl Request for Double {
    type Reply = u64;
}

/// Asks for an answer that never comes, or not before the actor ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename = "test.Never")]
pub(crate) struct Never;

impl Request for Never {
    type Reply = ();
}

/// Makes the actor do something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "test.Order")]
pub(crate) enum Order {
    Stop,
    Panic,
    Fail,
    Link(Pid),
    Unlink(Pid),
    Tell(Pid, u64),
    After { millis: u64, number: u64 },
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Note(Option<Pid>, u64),
    Exited(Pid),
    Stopped,
}

pub(crate) type Events = mpsc::Receiver<Event>;

/// Reports all that happens to it.
pub(crate) struct Witness {
    me: Me,
    events: mpsc::Sender<Event>,
    kept: Vec<Reply<()>>,
}

impl Witness {
    fn report(&self, event: Event) {
        // A test that has seen enough drops its end.
        let _ = self.events.try_send(event);
    }
}

impl Actor for Witness {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.report(Event::Stopped);
    }
}

impl Receive<Note> for Witness {
    fn receive(&mut self, note: Note, from: Option<Pid>, _: &mut Context<Self>) {
        assert_eq!(note.text, format!("note {}", note.number));
        self.report(Event::Note(from, note.number));
    }
}

impl Receive<Order> for Witness {
    fn receive(&mut self, order: Order, _: Option<Pid>, _: &mut Context<Self>) {
        match order {
            Order::Stop => self.me.stop(),
            Order::Panic => panic!("as ordered"),
            Order::Fail => self.me.fail("as ordered"),
            Order::Link(pid) => self.me.link(&pid),
            Order::Unlink(pid) => self.me.unlink(&pid),
            Order::Tell(pid, number) => self.me.tell(&pid, note(number)).unwrap(),
            Order::After { millis, number } => {
                self.me.tell_after(Duration::from_millis(millis), note(number));
            }
        }
    }
}

impl Answer<Double> for Witness {
    fn answer(&mut self, Double(number): Double, _: Option<Pid>, reply: Reply<u64>, _: &mut Context<Self>) {
        reply.send(number * 2);
    }
}

impl Answer<Never> for Witness {
    fn answer(&mut self, _: Never, _: Option<Pid>, reply: Reply<()>, _: &mut Context<Self>) {
        self.kept.push(reply);
    }
}

impl OnExited for Witness {
    fn exited(&mut self, pid: Pid, _: &mut Context<Self>) {
        self.report(Event::Exited(pid));
    }
}

pub(crate) fn make(events: mpsc::Sender<Event>) -> impl Fn(Me) -> Witness {
    move |me| Witness { me, events: events.clone(), kept: Vec::new() }
}

pub(crate) fn install(install: &mut Install<Witness>) {
    install.message::<Note>().message::<Order>().request::<Double>().request::<Never>().exited();
}

pub(crate) fn witness(node: &Node, name: &str) -> (Pid, Events) {
    let (events, seen) = mpsc::channel(100_000);
    (node.spawn(name, make(events), install).unwrap(), seen)
}

/// What a counter or gauge of the runtime shows.
pub(crate) fn metric(node: &Node, name: &str) -> f64 {
    node.metrics().snapshot().get(&format!("libactor/{name}")).copied().unwrap_or(-1.0)
}

/// Waits until a counter or gauge shows a value.
pub(crate) async fn until(node: &Node, name: &str, value: f64) {
    while metric(node, name) != value {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
