//! What the master says to the world and hears of it, beside the machine: messages that could not be delivered
//! ([`undelivered`]), numbers for the node's metrics ([`metrics`]), and what HTTP shows ([`view`], [`snapshot`], [`state`]).

pub(crate) mod metrics;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod undelivered;
pub(crate) mod view;
