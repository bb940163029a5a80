//! An operator who takes in, lets go and replaces masters, and lets others lead.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use libactor::sim::{Context, Host, Life};
use libactor::{Pid, Random, Time};
use master::registry::{DiskId, MemberId, State};
use master::replication::{Ask, MembersRequest, Recovered, ReplicaAnswer};
use protocol::Uuid;

use super::Message;
use super::agent::Terminated;
use super::disk::Disk;
use super::invariants::Ledger;

/// After so long a question is asked again, of another master.
const PATIENCE: Duration = Duration::from_secs(8);
/// Pause after each attempt that was refused.
const PAUSE: Duration = Duration::from_secs(2);

/// Where it is.
pub fn address() -> Pid {
    "operator@10.0.9.1:9000".parse().expect("this is an address")
}

/// A machine on which a master can run.
#[derive(Clone, Debug)]
pub struct Place {
    /// The number of the master there.
    pub id: MemberId,
    /// Its replica's actor.
    pub pid: Pid,
    /// Its disk.
    pub disk: Disk,
}

/// What an operator has to do with.
#[derive(Clone, Debug)]
pub struct OperatorSetup {
    /// All machines for masters.
    pub places: Vec<Place>,
    /// It begins nothing new from here on.
    pub until: Time,
    /// Between two changes, at most.
    pub every: Duration,
    /// Processes that it has ended, to be started again with another disk.
    pub restarts: Terminated,
    /// What masters have told one another.
    pub ledger: Rc<RefCell<Ledger>>,
}

/// The operator: one change after the other, each until it is done or refused.
#[derive(Debug)]
pub struct Operator {
    setup: OperatorSetup,
    random: Random,
    asked: u64,
    doing: Option<Doing>,
    next: Time,
    done: u64,
}

#[derive(Debug)]
struct Doing {
    request: MembersRequest,
    /// Whom it has asked last.
    at: Pid,
    /// It has been asked before: what is refused now may have been done then.
    attempts: u32,
}

impl Operator {
    /// A new one, with nothing to do yet.
    pub fn new(setup: OperatorSetup, life: Life) -> Self {
        let random = Random::new(life.seed);
        let mut operator = Self { setup, random, asked: 0, doing: None, next: life.began, done: 0 };
        operator.rest(life.began);
        operator
    }

    /// How many changes are done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Whether it waits for nothing.
    pub fn idle(&self) -> bool {
        self.doing.is_none()
    }

    fn rest(&mut self, now: Time) {
        self.next = now + Duration::from_millis(self.random.below(self.setup.every.as_millis() as u64) + 100);
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    fn pick(&mut self, from: &[Place]) -> Option<Place> {
        (!from.is_empty()).then(|| from[self.below(from.len())].clone())
    }

    /// Thinks of a change that can be made.
    fn think(&mut self, cx: &mut Context<Message>) -> Option<MembersRequest> {
        let registry = self.setup.ledger.borrow().newest()?;
        let is_member = |place: &&Place| registry.masters.contains_key(&place.id);
        let (members, spares): (Vec<&Place>, Vec<&Place>) = self.setup.places.iter().partition(is_member);
        let members: Vec<Place> = members.into_iter().cloned().collect();
        let spares: Vec<Place> = spares.into_iter().cloned().collect();
        match self.below(10) {
            0..4 => {
                let to = self.pick(&members).map(|place| place.id).filter(|_| self.random.chance(800));
                Some(MembersRequest::Transfer { to })
            }
            4..6 => {
                let new = self.pick(&spares)?;
                self.wipe(&new, &registry, cx);
                let (id, address) = (new.id, new.pid.address().to_string());
                let was_there = registry.former_masters.contains_key(&id);
                Some(match was_there {
                    true => MembersRequest::Replace { old: id, new: id, address },
                    false => MembersRequest::Add { id, address },
                })
            }
            6..8 => {
                let one = self.pick(&members).filter(|_| members.len() > 1)?;
                Some(MembersRequest::Remove { id: one.id })
            }
            _ => {
                let old = self.pick(&members).filter(|_| members.len() > 2)?;
                let identified = registry.masters.get(&old.id).is_some_and(|member| member.disk.is_some());
                let new = if self.random.chance(500) { old.clone() } else { self.pick(&spares)? };
                let was_there = registry.former_masters.contains_key(&new.id);
                if (new.id == old.id && !identified) || was_there {
                    return None;
                }
                self.wipe(&new, &registry, cx);
                let address = new.pid.address().to_string();
                Some(MembersRequest::Replace { old: old.id, new: new.id, address })
            }
        }
    }

    /// Another disk, and nothing on it.
    fn wipe(&mut self, place: &Place, registry: &State, cx: &mut Context<Message>) {
        let disk = DiskId(Uuid::from_random(self.random.next_u128()));
        let cluster = registry.cluster.filter(|_| self.random.chance(500));
        cx.note(format!("master {} gets another disk", place.id));
        place.disk.replace(Recovered::newcomer(place.id, disk, cluster));
        self.setup.restarts.borrow_mut().insert(place.pid.address());
    }

    fn ask(&mut self, now: Time, cx: &mut Context<Message>) {
        let Some(doing) = &mut self.doing else { return };
        doing.attempts += 1;
        self.asked += 1;
        let request = doing.request.clone();
        cx.send(&doing.at, Message::MembersCall { ask: Ask(self.asked), request });
        self.next = now + PATIENCE;
    }

    fn answered(&mut self, now: Time, answer: ReplicaAnswer, cx: &mut Context<Message>) {
        let place = self.below(self.setup.places.len());
        let Some(doing) = &mut self.doing else { return };
        match answer {
            ReplicaAnswer::Done => {
                self.done += 1;
                cx.note(format!("done: {:?}", doing.request));
                self.doing = None;
                self.rest(now);
            }
            ReplicaAnswer::NotLeading { leader: Some(leader) } => {
                doing.at = leader;
                self.next = now + PAUSE / 4;
            }
            ReplicaAnswer::NotLeading { leader: None } => {
                doing.at = self.setup.places[place].pid.clone();
                self.next = now + PAUSE;
            }
            ReplicaAnswer::Refused(why) => {
                cx.note(format!("refused: {:?}: {why}", doing.request));
                if why.contains("nothing is to be replaced") && self.is_back() {
                    self.doing = None;
                    self.rest(now);
                } else if self.sticks() || why.contains("another change is under way") {
                    self.next = now + PAUSE;
                } else {
                    self.doing = None;
                    self.rest(now);
                }
            }
            ReplicaAnswer::Status(_) | ReplicaAnswer::Registry(_) => panic!("nobody has asked for this"),
        }
    }

    /// Whether the master that got another disk is known by it: what it was asked for is done, though the answer was lost.
    fn is_back(&self) -> bool {
        let Some(Doing { request: MembersRequest::Replace { old, new, .. }, .. }) = &self.doing else {
            return false;
        };
        let registry = self.setup.ledger.borrow().newest();
        let known = registry.and_then(|registry| registry.masters.get(new)?.disk);
        let mut places = self.setup.places.iter();
        let place = places.find(|place| place.id == *new);
        old == new && known.is_some() && place.map(|place| place.disk.identity().disk) == known
    }

    /// Whether what was begun must be brought to its end: a master that was begun to be taken in, or whose disk is gone.
    fn sticks(&self) -> bool {
        let Some(doing) = &self.doing else { return false };
        let registry = self.setup.ledger.borrow().newest();
        match &doing.request {
            MembersRequest::Add { id, .. } => registry.is_some_and(|it| it.masters.contains_key(id)),
            MembersRequest::Replace { old, new, .. } => {
                old == new || registry.is_some_and(|it| it.masters.contains_key(new))
            }
            _ => false,
        }
    }
}

impl Host for Operator {
    type Message = Message;

    fn start(&mut self, _now: Time, _me: &Pid, _cx: &mut Context<Message>) {}

    fn message(&mut self, now: Time, _from: Pid, message: Message, cx: &mut Context<Message>) {
        match message {
            Message::MembersAnswer { ask, answer } if ask.0 == self.asked => self.answered(now, answer, cx),
            // To a question that was asked again since.
            Message::MembersAnswer { .. } => {}
            Message::Operated { .. } => {}
            other => panic!("{other:?} is nothing for an operator"),
        }
    }

    fn exited(&mut self, _now: Time, _pid: Pid, _cx: &mut Context<Message>) {}

    fn deadline(&self) -> Option<Time> {
        (self.doing.is_some() || self.next < self.setup.until).then_some(self.next)
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        if now < self.next {
            return;
        }
        let place = self.below(self.setup.places.len());
        let anyone = self.setup.places[place].pid.clone();
        match &mut self.doing {
            Some(doing) if doing.attempts > 0 && self.random.chance(300) => doing.at = anyone,
            Some(_) => {}
            None => {
                let Some(request) = self.think(cx) else { return self.rest(now) };
                cx.note(format!("operator {request:?}"));
                self.doing = Some(Doing { request, at: anyone, attempts: 0 });
                // A process with another disk is there soon.
                self.next = now + PAUSE;
                return;
            }
        }
        self.ask(now, cx);
    }
}
