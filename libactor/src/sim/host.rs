//! What runs in a world: hosts, and what they can ask of it.

use std::any::Any;
use std::fmt::Debug;
use std::net::SocketAddr;

use crate::{Pid, Time};

/// An actor in a simulated world: mostly a [`crate::Machine`] with the edges that it needs, simulated.
///
/// All calls return at once; what is asked for through the [`Context`] is carried out after the call, in order.
pub trait Host: Any {
    /// What travels in this world; one type for all hosts of a world.
    type Message: Clone + Debug + 'static;

    /// The first call of a life.
    fn start(&mut self, now: Time, me: &Pid, cx: &mut Context<Self::Message>);

    /// A message has come.
    fn message(&mut self, now: Time, from: Pid, message: Self::Message, cx: &mut Context<Self::Message>);

    /// A linked actor is gone; once a link.
    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Self::Message>);

    /// When [`Host::tick`] is to be called next; asked after every call. `None`: not before another call.
    fn deadline(&self) -> Option<Time>;

    /// Does what is due.
    fn tick(&mut self, now: Time, cx: &mut Context<Self::Message>);

    /// A process that this host has spawned has ended: its exit status, or 128 + signal. What `waitpid` is to a
    /// parent: it is told at once, whatever the network does.
    fn child_ended(&mut self, _now: Time, _pid: Pid, _status: i32, _cx: &mut Context<Self::Message>) {}

    /// Panics if an invariant does not hold; run after every call.
    fn check(&self) {}
}

/// What is told of a process whose end nobody has waited for.
pub const UNKNOWN_STATUS: i32 = -1;

/// Which life of a host a factory is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// 0 for the first.
    pub number: u64,
    /// For this life's generators; another one for each life and host.
    pub seed: u64,
    /// When it begins, by its own clock.
    pub began: Time,
    /// How often its machine was started anew before.
    pub boot: u64,
}

/// Makes the lives of a host. What it keeps (a disk) is what survives a crash.
pub type Factory<M> = Box<dyn FnMut(Life) -> Box<dyn Host<Message = M>>>;

/// How a host speaks to its world.
#[derive(Debug)]
pub struct Context<M> {
    pub(super) me: Pid,
    pub(super) next_port: u16,
    pub(super) commands: Vec<Command<M>>,
}

/// What a host asked for.
pub(super) enum Command<M> {
    Send { to: Pid, message: M },
    Link { pid: Pid },
    Unlink { pid: Pid },
    Spawn { pid: Pid, host: Box<dyn Host<Message = M>> },
    Adopt { pid: Pid },
    Kill { pid: Pid },
    Stop,
    Restart { host: Box<dyn Host<Message = M>> },
    Exit { status: i32 },
    Note { text: String },
}

impl<M: Debug> Debug for Command<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Command::Send { to, message } => write!(f, "send {to} {message:?}"),
            Command::Link { pid } => write!(f, "link {pid}"),
            Command::Unlink { pid } => write!(f, "unlink {pid}"),
            Command::Spawn { pid, .. } => write!(f, "spawn {pid}"),
            Command::Adopt { pid } => write!(f, "adopt {pid}"),
            Command::Kill { pid } => write!(f, "kill {pid}"),
            Command::Stop => f.write_str("stop"),
            Command::Restart { .. } => f.write_str("restart"),
            Command::Exit { status } => write!(f, "exit {status}"),
            Command::Note { text } => write!(f, "note {text}"),
        }
    }
}

impl<M> Context<M> {
    /// The host that is being called.
    pub fn me(&self) -> &Pid {
        &self.me
    }

    /// Sends a message; at most once, in order, as [`crate::sim`] says.
    pub fn send(&mut self, to: &Pid, message: M) {
        self.commands.push(Command::Send { to: to.clone(), message });
    }

    /// Asks for one [`Host::exited`] when an actor is gone. Linking twice is linking once.
    pub fn link(&mut self, pid: &Pid) {
        self.commands.push(Command::Link { pid: pid.clone() });
    }

    /// Takes a link back: nothing more is reported of it.
    pub fn unlink(&mut self, pid: &Pid) {
        self.commands.push(Command::Unlink { pid: pid.clone() });
    }

    /// Starts a host as a process of its own on this machine (same IP address, a new port). It lives on when its
    /// parent dies; it has one life.
    pub fn spawn(&mut self, name: &str, host: Box<dyn Host<Message = M>>) -> Pid {
        let pid = Pid::new(name, SocketAddr::new(self.me.address().ip(), self.next_port));
        self.next_port = self.next_port.checked_add(1).expect("a world has ports enough for its processes");
        self.commands.push(Command::Spawn { pid: pid.clone(), host });
        pid
    }

    /// Becomes the parent of a process on this machine that an earlier life has spawned: its end is told to this life. That of
    /// one which has ended is told at once, with the status [`UNKNOWN_STATUS`].
    pub fn adopt(&mut self, pid: &Pid) {
        assert_eq!(pid.address().ip(), self.me.address().ip(), "a host adopts on its own machine only");
        self.commands.push(Command::Adopt { pid: pid.clone() });
    }

    /// Kills a process on this machine at once (SIGKILL). Nothing happens if it is gone.
    pub fn kill(&mut self, pid: &Pid) {
        assert_eq!(pid.address().ip(), self.me.address().ip(), "a host kills on its own machine only");
        self.commands.push(Command::Kill { pid: pid.clone() });
    }

    /// Stops this actor; its process ends with status 0 if it was the last one in it.
    pub fn stop(&mut self) {
        self.commands.push(Command::Stop);
    }

    /// Ends this actor, and begins another life of its name with this host in the same living process: who watches it
    /// hears [`Host::exited`], maybe after the new life has spoken. What the old one was linked to it hears no more of.
    pub fn restart(&mut self, host: Box<dyn Host<Message = M>>) {
        self.commands.push(Command::Restart { host });
    }

    /// Ends this actor's whole process. What was sent before goes out.
    pub fn exit(&mut self, status: i32) {
        self.commands.push(Command::Exit { status });
    }

    /// Puts a remark into the trace.
    pub fn note(&mut self, text: impl Into<String>) {
        self.commands.push(Command::Note { text: text.into() });
    }
}
