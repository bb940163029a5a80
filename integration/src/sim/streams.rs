//! HTTP in a simulated cluster, as far as machines notice it: what the master's edge knows of its clients, and a client of
//! its stream.

use std::collections::BTreeMap;

use libactor::sim::Context;
use libactor::{Pid, Random};
use master::core::{Answer, Ask, Input, OperatorRequest};
use protocol::messages::{Call, Event, SchedulerCall};

use super::Message;

/// The streams that a master's process holds open.
#[derive(Debug)]
pub struct Streams {
    master: Pid,
    /// Which actor reads a stream.
    clients: BTreeMap<Pid, Pid>,
    /// Who waits for an answer: a client, or the operator who asked for something.
    asks: BTreeMap<Ask, Asker>,
    next_ask: u64,
}

#[derive(Debug)]
enum Asker {
    Client(Pid),
    Operator(OperatorRequest),
}

impl Streams {
    /// None yet.
    pub fn new(master: Pid) -> Self {
        Self { master, clients: BTreeMap::new(), asks: BTreeMap::new(), next_ask: 0 }
    }

    /// What the machine is told of a call. A client that subscribes closes the stream that it had, before or after.
    pub fn call(
        &mut self,
        from: Pid,
        stream_id: Option<String>,
        (request, call): (u64, SchedulerCall),
        random: &mut Random,
        cx: &mut Context<Message>,
    ) -> Vec<Input> {
        if !matches!(call.call, Call::Subscribe { .. }) {
            let ask = self.ask(Asker::Client(from));
            let framework_id = call.framework_id.expect("only a first subscription is nobody's");
            return vec![Input::Call { ask, framework_id, stream_id, call: call.call }];
        }
        let mut closed = self.closed(&from);
        let id = format!("{:032x}", random.next_u128());
        let stream = Pid::stream(&id, self.master.address());
        self.clients.insert(stream.clone(), from.clone());
        cx.send(&from, Message::StreamBegins { id, request });
        let subscribe = Input::Scheduler { from: stream, call };
        closed.insert(if random.chance(500) { 0 } else { closed.len() }, subscribe);
        closed
    }

    /// Somebody asks.
    fn ask(&mut self, from: Asker) -> Ask {
        let ask = Ask(self.next_ask);
        self.next_ask += 1;
        self.asks.insert(ask, from);
        ask
    }

    /// What the machine is told of an operator's request.
    pub fn operator(&mut self, request: OperatorRequest) -> Input {
        Input::Operator { ask: self.ask(Asker::Operator(request.clone())), request }
    }

    /// A client has gone: what the machine is told of its streams.
    pub fn closed(&mut self, client: &Pid) -> Vec<Input> {
        let theirs = self.clients.iter().filter(|(_, reader)| *reader == client);
        let streams: Vec<Pid> = theirs.map(|(stream, _)| stream.clone()).collect();
        self.clients.retain(|_, reader| reader != client);
        streams.into_iter().map(|pid| Input::Exited { pid }).collect()
    }

    /// Tells a scheduler, on a stream or not. What is told on a stream that is closed is lost; an error ends one.
    pub fn tell(&mut self, to: &Pid, event: Event, cx: &mut Context<Message>) {
        let Some(id) = to.stream_id() else { return cx.send(to, Message::Event(event)) };
        let Some(client) = self.clients.get(to) else { return };
        let over = matches!(event, Event::Error(_));
        cx.send(client, Message::StreamEvent { stream_id: id.to_owned(), event });
        if over {
            self.end(to, cx);
        }
    }

    /// Watches an actor, or the client that reads a stream.
    pub fn link(&self, pid: &Pid, cx: &mut Context<Message>) {
        match self.clients.get(pid) {
            Some(client) => cx.link(client),
            None => cx.link(pid),
        }
    }

    /// Watches it no more; a stream ends with it.
    pub fn unlink(&mut self, pid: &Pid, cx: &mut Context<Message>) {
        if pid.stream_id().is_some() { self.end(pid, cx) } else { cx.unlink(pid) }
    }

    fn end(&mut self, stream: &Pid, cx: &mut Context<Message>) {
        let Some(client) = self.clients.remove(stream) else { return };
        if let Some(id) = stream.stream_id() {
            cx.send(&client, Message::StreamEnds(id.to_owned()));
        }
        if !self.clients.values().any(|other| *other == client) {
            cx.unlink(&client);
        }
    }

    /// Answers a call.
    ///
    /// # Panics
    /// If it was answered already.
    pub fn answer(&mut self, ask: Ask, answer: Answer, cx: &mut Context<Message>) {
        match self.asks.remove(&ask).expect("a call is answered once") {
            Asker::Client(client) => cx.send(&client, Message::HttpAnswer(answer)),
            Asker::Operator(request) => {
                cx.send(&super::operator::address(), Message::Operated { request, answer });
            }
        }
    }

    /// What operators wait for.
    pub fn open(&self) -> usize {
        self.asks.len()
    }

    /// # Panics
    /// If a call was not answered in its turn.
    pub fn check(&self) {
        let operators = self.asks.values().all(|asker| matches!(asker, Asker::Operator(_)));
        assert!(operators, "every call is answered: {:?}", self.asks);
    }
}

/// A client's end: which stream it reads.
#[derive(Debug, Default)]
pub struct Stream {
    id: Option<String>,
    /// The connection of the last subscription.
    request: Option<u64>,
}

impl Stream {
    /// A call, as it is sent, on a connection of its own. A subscription gives the stream up.
    pub fn send(&mut self, call: SchedulerCall, request: u64) -> Message {
        if matches!(call.call, Call::Subscribe { .. }) {
            self.id = None;
            self.request = Some(request);
        }
        Message::HttpCall { stream_id: self.id.clone(), request, call }
    }

    /// A subscription has got a stream: from now on it is this one. What was asked for on a connection that was given up, or
    /// by an earlier life, reaches nobody.
    pub fn begins(&mut self, id: String, request: u64) {
        if self.request == Some(request) {
            self.id = Some(id);
        }
    }

    /// Whether it reads this stream.
    pub fn is(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    /// Whether the stream that it reads has ended.
    pub fn ends(&mut self, id: &str) -> bool {
        let mine = self.is(id);
        if mine {
            self.id = None;
        }
        mine
    }
}
