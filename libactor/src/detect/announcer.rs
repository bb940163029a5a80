//! The other side: who knows who leads, and tells those that watch.

use std::collections::BTreeSet;
use std::fmt;

use super::{Leads, Watch};
use crate::limits::DETECT_WATCHERS;
use crate::shell::{self, Accept, Edge, ShellHandle};
use crate::{Machine, Me, Node, Pid, SendError, SpawnError, Time};

/// Tells those that watch, at once and at each change: for groups that are told who leads. (A group that finds it out by itself has
/// this in its own machine.)
#[derive(Clone, Debug)]
pub struct Announcer {
    leads: Leads,
    watchers: BTreeSet<Pid>,
}

/// What an [`Announcer`] is told.
#[derive(Clone, Debug)]
pub enum Announce {
    /// An actor watches.
    Watch {
        /// Who.
        from: Pid,
    },
    /// A linked actor is gone.
    Exited {
        /// Who.
        pid: Pid,
    },
    /// Who leads now.
    Leads(Leads),
}

/// What an [`Announcer`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Tell an actor.
    Tell {
        /// Whom.
        to: Pid,
        /// What.
        leads: Leads,
    },
    /// Report [`Announce::Exited`] once when this actor is gone.
    Link {
        /// Which.
        pid: Pid,
    },
}

impl Announcer {
    /// One that knows this, and nobody who watches.
    pub fn new(leads: Leads) -> Self {
        Self { leads, watchers: BTreeSet::new() }
    }
}

impl Machine for Announcer {
    type Input = Announce;
    type Output = Announced;

    fn handle(&mut self, _now: Time, input: Announce, out: &mut Vec<Announced>) {
        match input {
            Announce::Watch { from } => {
                let room = self.watchers.len() < DETECT_WATCHERS;
                if room && self.watchers.insert(from.clone()) {
                    out.push(Announced::Link { pid: from.clone() });
                }
                out.push(Announced::Tell { to: from, leads: self.leads.clone() });
            }
            Announce::Exited { pid } => {
                self.watchers.remove(&pid);
            }
            Announce::Leads(leads) => {
                if leads != self.leads {
                    self.leads = leads;
                    let tell = |to: &Pid| Announced::Tell { to: to.clone(), leads: self.leads.clone() };
                    out.extend(self.watchers.iter().map(tell));
                }
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn tick(&mut self, _now: Time, _out: &mut Vec<Announced>) {}

    fn check(&self) {
        assert!(self.watchers.len() <= DETECT_WATCHERS, "watchers are bounded");
    }
}

/// Changes what an announcer says.
#[derive(Clone)]
pub struct AnnouncerHandle(ShellHandle<Announce>);

impl AnnouncerHandle {
    /// From now on this actor leads, in this epoch, or none.
    ///
    /// # Errors
    /// The announcer has stopped.
    pub async fn announce(&self, leads: Leads) -> Result<(), SendError> {
        self.0.feed(Announce::Leads(leads)).await
    }
}

impl fmt::Debug for AnnouncerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnnouncerHandle({:?})", self.0)
    }
}

/// Starts an actor that says who leads.
///
/// # Errors
/// As [`Node::spawn`].
pub fn announce(node: &Node, name: &str, leads: Leads) -> Result<AnnouncerHandle, SpawnError> {
    let (_, shell) = shell::spawn(node, name, Announcer::new(leads), AnnouncerEdge, |install| {
        install.message::<Watch>();
    })?;
    Ok(AnnouncerHandle(shell))
}

struct AnnouncerEdge;

impl Edge<Announcer> for AnnouncerEdge {
    fn carry_out(&mut self, output: Announced, me: &Me) {
        match output {
            Announced::Tell { to, leads } => {
                if let Err(error) = me.tell(&to, leads) {
                    tracing::debug!(%to, %error, "can't be told who leads");
                }
            }
            Announced::Link { pid } => me.link(&pid),
        }
    }

    fn exited(&mut self, pid: Pid) -> Option<Announce> {
        Some(Announce::Exited { pid })
    }
}

impl Accept<Watch, Announcer> for AnnouncerEdge {
    fn input(&mut self, from: Pid, Watch: Watch) -> Option<Announce> {
        (from.name() != shell::NOBODY).then_some(Announce::Watch { from })
    }
}
