//! What must hold in a simulated cluster, one file each.
//!
//! | file | what it holds |
//! |---|---|
//! | `resources.rs` | offered and used resources stay within the total of each agent, at all times |
//! | `offers.rs` | an offer is used once, and nothing runs that was not taken out of an offer |
//! | `states.rs` | tasks move legally, and what has ended stays ended |
//! | `updates.rs` | every update reaches its framework at least once, and a task's updates in order |
//! | `views.rs` | once all is calm, framework, master, agent and processes agree |
//!
//! The checkers judge by what is sent and delivered where they can, so that they do not share a machine's errors.

mod offers;
mod resources;
mod states;
mod updates;
mod views;

use libactor::Time;
use libactor::sim::Seen;

use super::{Cluster, Message};

pub use offers::Offers;
pub use resources::WithinTotal;
pub use states::States;
pub use updates::Updates;
pub use views::Views;

/// Something that must hold; panics if it does not.
pub trait Invariant {
    /// Looks at an event.
    fn seen(&mut self, _now: Time, _seen: &Seen<'_, Message>) {}

    /// Looks at the whole cluster, between events.
    fn always(&self, _cluster: &Cluster) {}

    /// Looks at the whole cluster when the faults have been off for long.
    fn converged(&self, _cluster: &Cluster) {}
}
