//! How agents and frameworks find the master that leads.

use std::time::Duration;

use libactor::detect::{Address, Detector, Input, Leader, Output};
use libactor::sim::Context;
use libactor::{Machine, Pid, Time};

use super::Message;

/// How long a client waits for an answer, and before it asks the next one after a refusal.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(700);

/// Where masters are.
#[derive(Clone, Debug)]
pub enum Masters {
    /// There is one, and it always leads.
    Always(Pid),
    /// On these nodes; by the actor that leads there.
    Among(Vec<Pid>),
}

/// Finds the leader for one component.
#[derive(Debug)]
pub enum Finder {
    /// It is known.
    Told(Option<Leader>),
    /// As actors do.
    Detects(Box<Detector>),
    /// As clients over HTTP do: any master says who leads.
    Asks(Client),
}

/// A client over HTTP, as far as it looks for the leader.
#[derive(Debug)]
pub struct Client {
    masters: Vec<Pid>,
    next: usize,
    /// Who was asked last, or is asked next.
    asked: Option<Pid>,
    leader: Option<Leader>,
    at: Option<Time>,
    found: u64,
}

/// What a finder has to say: who leads now.
pub type News = Option<Option<Leader>>;

impl Finder {
    /// Looks for the leader as an actor (or, with `http`, as a client) does; its first tick is due at once.
    pub fn new(masters: &Masters, http: bool, seed: u64, now: Time) -> Self {
        match masters {
            Masters::Always(pid) => Self::Told(Some(Leader { pid: pid.clone(), epoch: 1 })),
            Masters::Among(masters) if http => {
                let (masters, next) = (masters.clone(), seed as usize % masters.len());
                Self::Asks(Client { masters, next, asked: None, leader: None, at: Some(now), found: 0 })
            }
            Masters::Among(masters) => {
                let nodes = masters.iter().map(|pid| Address::from(pid.address())).collect();
                Self::Detects(Box::new(Detector::new(master::replication::NAME, nodes, seed, now)))
            }
        }
    }

    /// A message has come that is for this: `None` if it is for others.
    pub fn message(
        &mut self,
        now: Time,
        from: &Pid,
        message: &Message,
        cx: &mut Context<Message>,
    ) -> Option<News> {
        match (self, message) {
            (Self::Detects(detector), Message::Leads(leads)) => {
                let mut out = Vec::new();
                detector.handle(now, Input::Leads { from: from.clone(), leads: leads.clone() }, &mut out);
                Some(carry_out(detector, out, cx))
            }
            (Self::Asks(client), Message::HttpRedirect(leader)) => {
                Some(client.answered(now, from, leader.as_ref()))
            }
            _ => None,
        }
    }

    /// A linked actor is gone.
    pub fn exited(&mut self, now: Time, pid: &Pid, cx: &mut Context<Message>) -> News {
        match self {
            Self::Detects(detector) => {
                let mut out = Vec::new();
                detector.handle(now, Input::Exited { pid: pid.clone() }, &mut out);
                carry_out(detector, out, cx)
            }
            Self::Asks(client) if client.leader.as_ref().is_some_and(|leader| leader.pid == *pid) => {
                client.lost(now)
            }
            Self::Asks(_) | Self::Told(_) => None,
        }
    }

    /// A client's stream has ended.
    pub fn stream_ended(&mut self, now: Time) -> News {
        match self {
            Self::Asks(client) => client.lost(now),
            _ => None,
        }
    }

    /// When [`Finder::tick`] is due.
    pub fn deadline(&self) -> Option<Time> {
        match self {
            Self::Told(leader) => leader.as_ref().map(|_| Time::default()),
            Self::Detects(detector) => detector.deadline(),
            Self::Asks(client) => client.at,
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Time, cx: &mut Context<Message>) -> News {
        match self {
            Self::Told(leader) => leader.take().map(Some),
            Self::Detects(detector) => {
                let mut out = Vec::new();
                detector.tick(now, &mut out);
                carry_out(detector, out, cx)
            }
            Self::Asks(client) => {
                if client.at.is_some_and(|at| at <= now) {
                    client.ask(now, cx);
                }
                None
            }
        }
    }
}

fn carry_out(detector: &Detector, out: Vec<Output>, cx: &mut Context<Message>) -> News {
    detector.check();
    let mut news = None;
    for output in out {
        match output {
            Output::Watch { to } => cx.send(&to, Message::Watch),
            Output::Link { pid } => cx.link(&pid),
            Output::Unlink { pid } => cx.unlink(&pid),
            Output::Resolve { address, .. } => panic!("{address:?} is no IP address"),
            Output::Detected(leader) => news = Some(leader),
        }
    }
    news
}

impl Client {
    fn ask(&mut self, now: Time, cx: &mut Context<Message>) {
        // Who does not answer is not asked twice in a row.
        let to = self.asked.take().unwrap_or_else(|| {
            self.next = (self.next + 1) % self.masters.len();
            self.masters[self.next].clone()
        });
        cx.send(&to, Message::HttpWho);
        self.at = Some(now + PATIENCE);
    }

    fn answered(&mut self, now: Time, from: &Pid, leader: Option<&Pid>) -> News {
        if let Some(known) = &self.leader {
            // A call that was refused, because its master leads no more.
            let over = known.pid == *from && leader != Some(from);
            return if over { self.lost(now) } else { None };
        }
        match leader {
            Some(leader) if leader == from => {
                self.at = None;
                self.found += 1;
                self.leader = Some(Leader { pid: leader.clone(), epoch: self.found });
                Some(self.leader.clone())
            }
            Some(leader) => {
                self.asked = Some(leader.clone());
                self.at = Some(now);
                None
            }
            None => {
                self.at = Some(now + PAUSE);
                None
            }
        }
    }

    fn lost(&mut self, now: Time) -> News {
        self.leader.take()?;
        self.at = Some(now + PAUSE);
        Some(None)
    }
}
