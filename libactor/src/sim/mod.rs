//! Whole clusters of machines on virtual time, with a seeded network.
//!
//! A [`World`] holds [`Host`]s: actors that are called one at a time and say through a [`Context`] what is to be
//! done. Nothing waits and nothing reads a clock, so hours pass in milliseconds, and one seed gives one run: the
//! same seed and the same calls give the same [`Trace`].
//!
//! # Processes and machines
//! Hosts whose [`Pid`](crate::Pid)s share an address are one process, processes that share an IP address one machine.
//! A process crashes as a whole and starts again with new hosts from its [`Factory`]s; what a factory keeps is the
//! disk. A host may spawn others as processes of their own ([`Context::spawn`]); these outlive it, have one life, and
//! their end is reported to their parent as `waitpid` would, or to a later life of it that adopts them. An actor may also end alone and begin anew in its living
//! process ([`Context::restart`]).
//!
//! Machines may have clocks of their own ([`World::set_clock`]): what a host is told of the time is its machine's.
//!
//! # The network
//! It does what libactor's nodes do to one another:
//! - a process dials each peer that it sends to; messages and links go from the dialer to the acceptor only. On one
//!   connection order is kept and nothing is lost;
//! - a connection breaks when its acceptor dies, when its dialer has had no answer for [`Network::silence`], or when it
//!   can't be made within [`Network::connect_timeout`]. Then a tail of what was under way is lost;
//! - two processes that send to one another have two connections. With [`Network::shared_fate`], as libactor's
//!   are, they live and die together. Without it one may break without the other: one side may think the other gone which hears nothing of it,
//!   and a new life may speak before the end of the old one is reported;
//! - a link yields exactly one [`Host::exited`]: when its target stops, its process or machine dies, or the connection
//!   that its watcher has dialed breaks. Linking what is linked already changes nothing.
//!
//! What waits at a blocked way (a partition shorter than the silence) goes on when the way opens. [`Hostile`]
//! adds what connections never do: single messages lost, doubled and out of order.
//!
//! | [`Fault`] | what peers see |
//! |---|---|
//! | crash | the connection closes, less a tail |
//! | loss of power | silence |
//! | block (one way or both) | a delay, or silence |
//! | pause | a delay, or silence; what was sent waits for the process to go on |
//!
//! A [`Plan`] draws faults from a seed: on for a while, then [`Fault::Calm`]. While they are on, nothing bad may happen;
//! after they are off, everything good must.
//!
//! | file | what it holds |
//! |---|---|
//! | `host.rs` | [`Host`], [`Context`], [`Factory`] |
//! | `config.rs` | [`Network`], [`Delay`], [`Hostile`] |
//! | `faults.rs` | [`Fault`], [`Plan`], [`Ingredients`] |
//! | `world.rs` | [`World`]: the loop |
//! | `lives.rs` | how processes begin, end, stand still and come back |
//! | `wires.rs` | connections, silence, links |
//! | `process.rs` | what one process knows |
//! | `trace.rs` | [`Trace`] |
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use libactor::sim::{Context, Host, Network, World};
//! use libactor::{Pid, Time};
//!
//! /// Answers every number with the next one, up to ten.
//! struct Counter {
//!     first: Option<Pid>,
//!     seen: u32,
//! }
//!
//! impl Host for Counter {
//!     type Message = u32;
//!     fn start(&mut self, _now: Time, _me: &Pid, cx: &mut Context<u32>) {
//!         if let Some(peer) = &self.first {
//!             cx.send(peer, 1);
//!         }
//!     }
//!     fn message(&mut self, _now: Time, from: Pid, number: u32, cx: &mut Context<u32>) {
//!         self.seen = number;
//!         if number < 10 {
//!             cx.send(&from, number + 1);
//!         }
//!     }
//!     fn exited(&mut self, _now: Time, _pid: Pid, _cx: &mut Context<u32>) {}
//!     fn deadline(&self) -> Option<Time> {
//!         None
//!     }
//!     fn tick(&mut self, _now: Time, _cx: &mut Context<u32>) {}
//! }
//!
//! let run = |seed| {
//!     let (a, b): (Pid, Pid) = ("a@10.0.0.1:1".parse().unwrap(), "b@10.0.0.2:1".parse().unwrap());
//!     let mut world = World::new(seed, Network::default());
//!     let peer = b.clone();
//!     world.add(&a, Box::new(move |_life| Box::new(Counter { first: Some(peer.clone()), seen: 0 })));
//!     world.add(&b, Box::new(|_life| Box::new(Counter { first: None, seen: 0 })));
//!     world.run_for(Duration::from_secs(3600));
//!     assert_eq!(world.host::<Counter>(&b).unwrap().seen, 9);
//!     assert_eq!(world.host::<Counter>(&a).unwrap().seen, 10);
//!     world.trace().hash()
//! };
//! assert_eq!(run(1), run(1));
//! assert_ne!(run(1), run(2));
//! ```

mod config;
mod faults;
mod host;
mod lives;
mod process;
mod trace;
mod wires;
mod world;

#[cfg(test)]
mod tests;

pub use config::{Delay, Hostile, Network};
pub use faults::{Fault, Ingredients, Plan};
pub use host::{Context, Factory, Host, Life, UNKNOWN_STATUS};
pub use trace::Trace;
pub use world::{BEGINNING, Observer, Seen, World};
