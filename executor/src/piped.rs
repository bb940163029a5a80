//! A session that speaks with its agent through the socket that its process was born with: no node, no connection, until the
//! agent is gone.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;

use libactor::pipe::{self, PipeError, PipeReceiver, PipeSender};
use libactor::{Clock, Machine, Time};
use protocol::messages::ExecutorEvent;
use tokio::sync::mpsc;

use crate::core::{Input, Output, Session};
use crate::host::{End, Hands};

/// How it ended with the socket.
pub(crate) enum Parted {
    /// The session is over, and so.
    Ended(End),
    /// The agent is gone, or has cut the executor off: the session goes on in another way, beginning with
    /// [`Input::Exited`].
    Alone(Box<Session>),
}

/// The session and what it holds.
struct Piped<'a> {
    session: Session,
    hands: &'a Hands,
    clock: &'a Clock,
    sender: PipeSender,
}

/// Runs a session until it is over or the socket is.
///
/// # Errors
/// The socket can't be watched.
pub(crate) async fn attend(
    stream: UnixStream,
    session: Session,
    hands: &Hands,
    clock: &Clock,
    calls: &mut mpsc::Receiver<Input>,
) -> io::Result<Parted> {
    let (sender, mut receiver) = pipe::pipe(stream)?;
    let mut piped = Piped { session, hands, clock, sender };
    let mut next = Some(Input::Start);
    loop {
        if let Some(end) = piped.turn(next.take()) {
            return Ok(Parted::Ended(end));
        }
        next = match piped.wait(&mut receiver, calls).await {
            Ok(input) => input,
            Err(error) => {
                if let Some(error) = error {
                    tracing::warn!(%error, "the agent's socket is of no use any more");
                }
                return Ok(Parted::Alone(Box::new(piped.session)));
            }
        };
    }
}

impl Piped<'_> {
    /// Feeds an input, or what time has brought, and all that follows from it at once; the end, if that was it.
    fn turn(&mut self, input: Option<Input>) -> Option<End> {
        let mut inputs: VecDeque<Input> = input.into_iter().collect();
        let mut out = Vec::new();
        loop {
            let now = self.clock.now();
            match inputs.pop_front() {
                Some(input) => self.session.handle(now, input, &mut out),
                None if self.session.deadline().is_some_and(|due| due <= now) => {
                    self.session.tick(now, &mut out);
                }
                None if self.hands.take_overflow() => inputs.push_back(Input::CallsOverflowed),
                None => return None,
            }
            for output in out.drain(..) {
                match output {
                    // Its end is that of the socket.
                    Output::Link { .. } | Output::Unlink { .. } => {}
                    Output::Send { call, .. } => {
                        if let Err(error) = self.sender.put(&call) {
                            tracing::warn!(%error, "a message to the agent was not sent");
                            inputs.push_back(Input::NotSent);
                        }
                    }
                    Output::Callback(callback) => inputs.extend(self.hands.call_back(callback)),
                    Output::Watchdog { after } => self.hands.watch(after),
                    Output::Terminate { status, error } => {
                        // An agent that is gone needs nothing.
                        let _ = self.sender.push();
                        return Some((status, error));
                    }
                }
            }
        }
    }

    /// The next input; nothing where only time has passed. An error where the agent is gone, and why if it is worth a word.
    async fn wait(
        &mut self,
        receiver: &mut PipeReceiver,
        calls: &mut mpsc::Receiver<Input>,
    ) -> Result<Option<Input>, Option<PipeError>> {
        // What the executor says at once goes in one write.
        if let Ok(input) = calls.try_recv() {
            return Ok(Some(input));
        }
        let all = self.sender.push()?;
        let room = self.sender.room();
        let due = self.session.deadline();
        tokio::select! {
            biased;
            // The driver is held by whoever runs the session.
            Some(input) = calls.recv() => Ok(Some(input)),
            event = receiver.next::<ExecutorEvent>() => match event? {
                Some(event) => {
                    let from = self.session.config().agent.clone();
                    Ok(Some(Input::Agent { from, event }))
                }
                None => Err(None),
            },
            pushed = room.push_all(|| self.sender.push()), if !all => { pushed?; Ok(None) }
            () = sleep_until(self.clock, due) => Ok(None),
        }
    }
}

async fn sleep_until(clock: &Clock, due: Option<Time>) {
    match due {
        Some(due) => clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}
