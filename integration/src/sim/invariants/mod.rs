//! What must hold in a simulated cluster, one file each.
//!
//! | file | what it holds |
//! |---|---|
//! | `resources.rs` | offered and used resources stay within the total of each agent, at all times |
//! | `offers.rs` | an offer is used once, and nothing runs that was not taken out of an offer |
//! | `states.rs` | tasks move legally, and what has ended stays ended |
//! | `updates.rs` | every update reaches its framework at least once, and a task's updates in order |
//! | `ends.rs` | a task has ended as its executor said, where the agent has told that one that it holds it |
//! | `views.rs` | once all is calm, framework, master, agent and processes agree |
//! | `leads.rs` | one leader a term |
//! | `ledger.rs` | registries agree, by the index that is applied and their bytes |
//! | `kept.rs` | what was acknowledged is in the registry of every later leader |
//! | `drains.rs` | nothing new runs on an agent that is emptied, and it is empty in the end |
//! | `masters.rs` | once all is calm, one master leads, and all others have its registry |
//!
//! That nobody heeds a master that was deposed is seen where it would be heeded: by the hosts of agents and frameworks, and in
//! `offers.rs`. The checkers judge by what is sent and delivered where they can, so that they do not share a machine's errors.

mod drains;
mod ends;
mod kept;
mod leads;
mod ledger;
mod masters;
mod offers;
mod resources;
mod states;
mod updates;
mod views;

use libactor::Time;
use libactor::sim::Seen;

use super::{Cluster, Message};

pub use drains::Drains;
pub use ends::Ends;
pub use kept::Kept;
pub use leads::Leads;
pub use ledger::Ledger;
pub use masters::Agreement;
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
    fn always(&mut self, _cluster: &Cluster) {}

    /// Looks at the whole cluster when the faults are off: what has not come to rest.
    ///
    /// # Errors
    /// What that is. After long enough there must be none.
    fn converged(&self, _cluster: &Cluster) -> Result<(), String> {
        Ok(())
    }
}

/// Leaves with the text unless something holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
use ensure;
