//! Executors that speak through a socket that their process was born with.
//!
//! To the machine such an executor is an actor like any other: it subscribes, is linked, told things, and is gone when the
//! socket closes. Its pid has the name that the executor's actor would have on a node of its own, at the address of the
//! agent's node; where it has to come back it does so through a node of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libactor::Pid;
use libactor::pipe::{self, PipeError, PipeReceiver, PipeSender};
use protocol::ContainerId;
use protocol::messages::{ExecutorCall, ExecutorCallKind, ExecutorEvent};
use tokio::sync::Notify;

use super::view::Feeder;
use crate::core::Input;
use crate::steps;

/// The sockets.
#[derive(Debug)]
pub(crate) struct Pipes {
    feeder: Arc<Feeder>,
    node: SocketAddr,
    open: Mutex<BTreeMap<Pid, Arc<Open>>>,
}

/// One that is open.
#[derive(Debug)]
struct Open {
    sender: Mutex<PipeSender>,
    /// Something is to be done: more waits than the socket took, or it is to be closed.
    wanted: Notify,
    /// It is to be closed now, whatever waits.
    cut: Notify,
}

impl Open {
    fn sender(&self) -> MutexGuard<'_, PipeSender> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipes {
    /// None yet. `node` is where the node listens.
    pub(crate) fn new(feeder: Arc<Feeder>, node: SocketAddr) -> Self {
        Self { feeder, node, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Pid, Arc<Open>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to hear what comes through a socket. Must be called on a tokio runtime.
    pub(crate) fn open(self: &Arc<Self>, container_id: ContainerId, stream: UnixStream) {
        let (sender, receiver) = match pipe::pipe(stream) {
            Ok(both) => both,
            Err(error) => return tracing::error!(%container_id, %error, "an executor can't be heard"),
        };
        let pid = Pid::new(format!("executor-{container_id}"), self.node);
        let open = Arc::new(Open { sender: Mutex::new(sender), wanted: Notify::new(), cut: Notify::new() });
        self.lock().insert(pid.clone(), open.clone());
        tokio::spawn(self.clone().attend(pid, container_id, open, receiver));
    }

    /// Whether an executor is reached through such a socket.
    pub(crate) fn reach(&self, pid: &Pid) -> bool {
        self.found(pid).is_some()
    }

    /// Tells an executor; whether that went through such a socket. What is told to one that is gone is lost: its end is reported.
    pub(crate) fn tell(&self, pid: &Pid, event: &ExecutorEvent) -> bool {
        let Some(open) = self.found(pid) else { return false };
        let mut sender = open.sender();
        let outcome = sender.put(event).and_then(|()| sender.push());
        drop(sender);
        match outcome {
            Ok(true) => {}
            Ok(false) => open.wanted.notify_one(),
            // Whoever reads sees it as well.
            Err(PipeError::Io(_)) => {}
            Err(error) => {
                tracing::warn!(executor = %pid, %error, "an executor is cut off");
                self.lock().remove(pid);
                open.cut.notify_one();
            }
        }
        true
    }

    fn found(&self, pid: &Pid) -> Option<Arc<Open>> {
        if pid.address() != self.node {
            return None;
        }
        self.lock().get(pid).cloned()
    }

    /// The machine has nothing more to tell: the socket is closed after what was told.
    pub(crate) fn close(&self, pid: &Pid) {
        let open = self.lock().remove(pid);
        if let Some(open) = open {
            open.wanted.notify_one();
        }
    }

    /// The actor has ended, and with it the sockets.
    pub(crate) fn close_all(&self) {
        for open in std::mem::take(&mut *self.lock()).into_values() {
            open.wanted.notify_one();
        }
    }

    /// Hands over what an executor says until it, or the machine, is done.
    async fn attend(
        self: Arc<Self>,
        pid: Pid,
        container_id: ContainerId,
        open: Arc<Open>,
        mut receiver: PipeReceiver,
    ) {
        // One for all calls: what it has been asked for must not be forgotten because a call has come.
        let mut serving = pin!(self.serve(&pid, &open));
        loop {
            let call = tokio::select! {
                call = receiver.next::<ExecutorCall>() => call,
                () = &mut serving => break,
                () = open.cut.notified() => break,
            };
            let call = match call {
                Ok(Some(call)) if call.container_id == container_id => call,
                Ok(Some(call)) => {
                    let said = call.container_id;
                    tracing::warn!(executor = %pid, %said, "an executor is cut off: it speaks for another one");
                    break;
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(executor = %pid, %error, "an executor is cut off");
                    break;
                }
            };
            reached(&call);
            if self.feeder.feed(Input::Executor { from: pid.clone(), call }).await.is_err() {
                break;
            }
        }
        self.close(&pid);
        // An error means that the agent has ended.
        let _ = self.feeder.feed(Input::Exited { pid: pid.clone() }).await;
    }

    /// Sends what waits; returns when the socket is to be closed and nothing waits any more, or it takes nothing.
    async fn serve(&self, pid: &Pid, open: &Open) {
        loop {
            open.wanted.notified().await;
            let room = open.sender().room();
            let pushed = room.push_all(|| open.sender().push()).await;
            if pushed.is_err() || !self.reach(pid) {
                return;
            }
        }
    }
}

/// The moment that a call stands for.
pub(crate) fn reached(call: &ExecutorCall) {
    match call.call {
        ExecutorCallKind::Subscribe { .. } => steps::reached("subscribing"),
        ExecutorCallKind::Update(_) => steps::reached("update-received"),
        ExecutorCallKind::Message(_) | ExecutorCallKind::Heartbeat => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(of: &str) -> ExecutorCall {
        ExecutorCall {
            framework_id: "F".into(),
            executor_id: "e".into(),
            container_id: of.into(),
            call: ExecutorCallKind::Heartbeat,
        }
    }

    /// The sockets, the executor's end of one, and its pid.
    fn world() -> (Arc<Pipes>, (PipeSender, PipeReceiver), Pid) {
        let pipes = Arc::new(Pipes::new(Arc::default(), "127.0.0.1:5051".parse().unwrap()));
        let (ours, its) = UnixStream::pair().unwrap();
        pipes.open("c".into(), ours);
        (pipes, pipe::pipe(its).unwrap(), "executor-c@127.0.0.1:5051".parse().unwrap())
    }

    #[tokio::test]
    async fn what_is_told_comes_and_then_the_end() {
        let (pipes, (_sender, mut receiver), pid) = world();
        assert!(pipes.reach(&pid));
        assert!(pipes.tell(&pid, &ExecutorEvent::Heartbeat));
        pipes.close(&pid);
        assert!(!pipes.tell(&pid, &ExecutorEvent::Shutdown), "it is closed");
        assert_eq!(receiver.next().await.unwrap(), Some(ExecutorEvent::Heartbeat));
        assert_eq!(receiver.next::<ExecutorEvent>().await.unwrap(), None);
        let other: Pid = "executor-c@127.0.0.1:6061".parse().unwrap();
        assert!(!pipes.reach(&other) && !pipes.tell(&other, &ExecutorEvent::Shutdown));
    }

    #[tokio::test]
    async fn more_than_the_socket_holds_comes_as_it_is_read() {
        let (pipes, (_sender, mut receiver), pid) = world();
        let long = ExecutorEvent::Message(vec![7; 4 << 20].into());
        assert!(pipes.tell(&pid, &long));
        assert!(pipes.tell(&pid, &ExecutorEvent::Shutdown));
        assert_eq!(receiver.next().await.unwrap(), Some(long));
        assert_eq!(receiver.next().await.unwrap(), Some(ExecutorEvent::Shutdown));
    }

    #[tokio::test]
    async fn one_that_speaks_for_another_or_does_not_read_is_cut_off() {
        let (pipes, (mut sender, mut receiver), pid) = world();
        sender.put(&call("other")).unwrap();
        sender.push().unwrap();
        assert_eq!(receiver.next::<ExecutorEvent>().await.unwrap(), None);
        assert!(!pipes.reach(&pid));

        let (pipes, (_sender, mut receiver), pid) = world();
        let long = ExecutorEvent::Message(vec![7; 8 << 20].into());
        let taken = (0..100).take_while(|_| pipes.tell(&pid, &long)).count();
        assert!(taken < 20, "{taken}");
        assert!(!pipes.reach(&pid));
        // Its socket ends, with what it held: nothing more is waited for.
        let rest = receiver.next::<ExecutorEvent>().await;
        assert!(matches!(rest, Err(PipeError::Truncated)), "it is cut in the middle of a message");
    }
}
