//! What goes wrong, and when.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::config::between;
use super::{Hostile, Life};
use crate::{Random, Time};

/// Something that goes wrong, or is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process dies at once (SIGKILL). Its peers see their connections close, less a tail of what it had sent.
    Crash {
        /// Which.
        process: SocketAddr,
    },
    /// A process that was added to the world starts again, with a new life of its hosts.
    Restart {
        /// Which.
        process: SocketAddr,
    },
    /// A whole machine goes dark with all its processes; its peers see silence.
    PowerOff {
        /// Which.
        machine: IpAddr,
    },
    /// It is back, with a new life of the processes that were added to the world.
    PowerOn {
        /// Which.
        machine: IpAddr,
    },
    /// Nothing gets from one machine to another; the other way is open unless it is blocked as well.
    Block {
        /// From here.
        from: IpAddr,
        /// To here.
        to: IpAddr,
    },
    /// It does again.
    Unblock {
        /// From here.
        from: IpAddr,
        /// To here.
        to: IpAddr,
    },
    /// A process stands still (SIGSTOP): it keeps its connections and takes nothing from them.
    Pause {
        /// Which.
        process: SocketAddr,
    },
    /// It goes on (SIGCONT).
    Resume {
        /// Which.
        process: SocketAddr,
    },
    /// Single messages are harmed from here on, or no more.
    SetHostile {
        /// How.
        hostile: Hostile,
    },
    /// All is mended: no blocks, nobody paused, all powered on, all that crashed started again, nothing hostile.
    Calm,
}

/// What a plan may do, and how often.
#[derive(Clone, Debug)]
pub struct Ingredients {
    /// Processes that may crash (and start again) or be paused.
    pub processes: Vec<SocketAddr>,
    /// Machines that may be parted, or lose power.
    pub machines: Vec<IpAddr>,
    /// The time between two faults, on average.
    pub every: Duration,
    /// How long one lasts, at most. Half of them last less than an eighth of it.
    pub longest: Duration,
    /// The weights of a crash, a pause, a symmetric block, a one-way block, a loss of power.
    pub weights: [u64; 5],
    /// While the faults are on.
    pub hostile: Hostile,
}

/// Faults in order of time: on for a while, then [`Fault::Calm`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What happens when.
    pub faults: Vec<(Time, Fault)>,
}

impl Plan {
    /// Makes a plan from a seed: faults from `start` on, all mended at `start + lasting`.
    pub fn generate(seed: u64, start: Time, lasting: Duration, ingredients: &Ingredients) -> Self {
        let mut random = Random::new(seed);
        let end = start + lasting;
        let mut faults = vec![(start, Fault::SetHostile { hostile: ingredients.hostile })];
        let mut at = start;
        loop {
            at = at + between(&mut random, Duration::ZERO, ingredients.every * 2);
            if at >= end {
                break;
            }
            let most = if random.chance(500) { ingredients.longest / 8 } else { ingredients.longest };
            let until = at + between(&mut random, Duration::from_millis(1), most);
            for (time, fault) in draw(&mut random, ingredients, at, until) {
                if time < end {
                    faults.push((time, fault));
                }
            }
        }
        faults.sort_by_key(|(time, _)| *time);
        faults.push((end, Fault::Calm));
        Self { faults }
    }

    /// When all is mended.
    pub fn calm_at(&self) -> Option<Time> {
        self.faults.iter().rev().find(|(_, fault)| *fault == Fault::Calm).map(|(time, _)| *time)
    }
}

fn draw(random: &mut Random, ingredients: &Ingredients, at: Time, until: Time) -> Vec<(Time, Fault)> {
    let mut kind = random.below(ingredients.weights.iter().sum::<u64>().max(1));
    let chosen = ingredients.weights.iter().position(|weight| {
        let hit = kind < *weight;
        kind = kind.saturating_sub(*weight);
        hit
    });
    let process = pick(random, &ingredients.processes);
    let machine = pick(random, &ingredients.machines);
    let other = pick(random, &ingredients.machines).filter(|other| Some(*other) != machine);
    match (chosen, process, machine, other) {
        (Some(0), Some(process), _, _) => {
            vec![(at, Fault::Crash { process }), (until, Fault::Restart { process })]
        }
        (Some(1), Some(process), _, _) => {
            vec![(at, Fault::Pause { process }), (until, Fault::Resume { process })]
        }
        (Some(2), _, Some(from), Some(to)) => vec![
            (at, Fault::Block { from, to }),
            (at, Fault::Block { from: to, to: from }),
            (until, Fault::Unblock { from, to }),
            (until, Fault::Unblock { from: to, to: from }),
        ],
        (Some(3), _, Some(from), Some(to)) => {
            vec![(at, Fault::Block { from, to }), (until, Fault::Unblock { from, to })]
        }
        (Some(4), _, Some(machine), _) => {
            vec![(at, Fault::PowerOff { machine }), (until, Fault::PowerOn { machine })]
        }
        _ => Vec::new(),
    }
}

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> Option<T> {
    (!from.is_empty()).then(|| from[random.below(from.len() as u64) as usize])
}

/// The seed of a life: of the world's seed, the host's place in it, and the life's number.
pub(super) fn life(world: u64, host: u64, number: u64, began: Time, boot: u64) -> Life {
    let mut random = Random::new(world ^ host.rotate_left(20) ^ number.rotate_left(44));
    Life { number, seed: random.next_u64(), began, boot }
}
