//! The agent's HTTP edge, simulated: calls that are answered, streams that end.

use std::collections::BTreeMap;

use agent::core::{Ask, Input, Refusal};
use libactor::Pid;
use libactor::sim::Context;
use protocol::messages::{ExecutorCall, ExecutorEvent};

use super::Message;

/// Calls that are not answered and streams that are open.
#[derive(Debug, Default)]
pub(super) struct Streams {
    asked: u64,
    /// Who waits, and the number of the stream that it would open.
    waiting: BTreeMap<Ask, (Pid, Option<u64>)>,
    /// The machine's name of a stream, and whose it is.
    open: BTreeMap<Pid, (Pid, u64)>,
}

impl Streams {
    /// A call as the machine takes it.
    pub(super) fn call(&mut self, me: &Pid, from: Pid, call: ExecutorCall, number: Option<u64>) -> Input {
        self.asked += 1;
        let ask = Ask(self.asked);
        let stream = number.map(|number| Pid::stream(&format!("{from}#{number}"), me.address()));
        self.waiting.insert(ask, (from, number));
        let ExecutorCall { framework_id, executor_id, container_id: _, call } = call;
        Input::Call { ask, framework_id, executor_id, stream, call }
    }

    /// Carries an answer out.
    pub(super) fn answer(
        &mut self,
        ask: Ask,
        answer: Result<(), (Refusal, String)>,
        cx: &mut Context<Message>,
    ) {
        let (to, number) = self.waiting.remove(&ask).expect("each call is answered once");
        match (answer, number) {
            (Ok(()), Some(number)) => {
                let stream = Pid::stream(&format!("{to}#{number}"), cx.me().address());
                self.open.insert(stream, (to, number));
            }
            // It asks again.
            (Ok(()), None) | (Err((Refusal::Unavailable, _)), _) => {}
            (Err((_, why)), _) => cx.send(&to, Message::Refused(why)),
        }
    }

    /// Tells a stream; nobody hears it where that has ended.
    pub(super) fn tell(&self, stream: &Pid, event: ExecutorEvent, cx: &mut Context<Message>) {
        if let Some((to, number)) = self.open.get(stream) {
            cx.send(to, Message::Stream { number: *number, event: Some(event) });
        }
    }

    /// Watches over a stream: it ends with its process, if not before.
    pub(super) fn link(&self, stream: &Pid, cx: &mut Context<Message>) {
        let (process, _) = self.open.get(stream).expect("a stream is linked when it begins");
        cx.link(process);
    }

    /// Closes a stream.
    pub(super) fn close(&mut self, stream: &Pid, cx: &mut Context<Message>) {
        if let Some((to, number)) = self.open.remove(stream) {
            cx.send(&to, Message::Stream { number, event: None });
        }
    }

    /// Streams that end because their process does, or closes that one.
    pub(super) fn ended(&mut self, process: &Pid, only: Option<u64>) -> Vec<Pid> {
        let is_it = |whose: &(Pid, u64)| whose.0 == *process && only.is_none_or(|number| number == whose.1);
        let ended: Vec<Pid> =
            self.open.iter().filter(|(_, whose)| is_it(whose)).map(|(pid, _)| pid.clone()).collect();
        ended.iter().for_each(|stream| drop(self.open.remove(stream)));
        ended
    }
}
