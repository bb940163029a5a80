//! Meseta's agent: offers a machine's resources to the master, runs executors, and carries what they report.
//!
//! | module | what it holds |
//! |---|---|
//! | [`core`] | the agent machine: all that is decided |
//! | [`containerizer`] | where executors run |
//! | [`launch`] | what the launcher does between the agent and the executor |
//! | [`edge`] | the machine's resources, what the agent shows over HTTP |
//! | [`shell`] | the machine at work: [`shell::start`] |

pub mod containerizer;
pub mod core;
pub mod edge;
mod os;
pub mod shell;

pub use containerizer::launch;
