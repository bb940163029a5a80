//! How a world's network behaves.

use std::time::Duration;

use crate::Random;

/// How long a message travels: evenly between two bounds, now and then longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// At least.
    pub least: Duration,
    /// At most, mostly.
    pub most: Duration,
    /// How often it takes longer, in thousandths.
    pub slow_thousandths: u64,
    /// At most, then.
    pub slowest: Duration,
}

impl Delay {
    /// Evenly between two bounds.
    pub const fn even(least: Duration, most: Duration) -> Self {
        Self { least, most, slow_thousandths: 0, slowest: most }
    }

    /// One delay.
    pub fn draw(&self, random: &mut Random) -> Duration {
        let most = if random.chance(self.slow_thousandths) { self.slowest } else { self.most };
        between(random, self.least, most)
    }
}

/// A duration between two bounds, both included; `least` if they are the wrong way round.
pub(super) fn between(random: &mut Random, least: Duration, most: Duration) -> Duration {
    let spread = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX - 1);
    least + Duration::from_nanos(random.below(spread + 1))
}

/// How the network behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Between machines.
    pub delay: Delay,
    /// Between processes of one machine, and between actors of one process.
    pub local_delay: Delay,
    /// A peer that says nothing for so long (and up to a quarter longer) is gone.
    pub silence: Duration,
    /// A connection that can't be made within this time has failed.
    pub connect_timeout: Duration,
    /// Whether the two connections of a pair of processes live and die together: who gives one up gives both up, and a
    /// new life is heard only after the end of the old one is reported. Without it one side may think the other gone
    /// that hears nothing of it.
    pub shared_fate: bool,
    /// What happens to single messages; nothing, where connections are what they should be.
    pub hostile: Hostile,
}

/// Harm to single messages between machines, in thousandths. libactor's connections never do this: it tests machines
/// against more than they are promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hostile {
    /// Lost.
    pub drop_thousandths: u64,
    /// Comes twice.
    pub duplicate_thousandths: u64,
    /// Comes later than what was sent after it.
    pub reorder_thousandths: u64,
}

impl Default for Network {
    /// A quick local network, libactor's bounds, nothing hostile.
    fn default() -> Self {
        Self {
            delay: Delay {
                least: Duration::from_micros(100),
                most: Duration::from_millis(5),
                slow_thousandths: 10,
                slowest: Duration::from_millis(300),
            },
            local_delay: Delay::even(Duration::from_micros(5), Duration::from_micros(200)),
            silence: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            shared_fate: true,
            hostile: Hostile::default(),
        }
    }
}
