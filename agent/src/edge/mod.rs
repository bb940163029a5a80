//! What the agent knows of the world around it, and what it shows of itself.
//!
//! | module | what it holds |
//! |---|---|
//! | [`probe`] | the machine's resources |
//! | [`metrics`] | what the agent counts |
//! | [`snapshot`], `view` | the machine at one moment, for those who read it elsewhere; how they get it, and the way to it |
//! | `routes`, `site` | what is served over HTTP; what the routes share |
//! | `executor_api`, `asks`, `streams` | executors that speak HTTP: their calls, and the streams of their events |
//! | `pipes` | executors that speak through a socket that they were born with |
//! | `operator` | what operators ask |
//! | `v0` | the older, read-only endpoints |
//! | `statistics` | what containers use |
//! | `sandboxes` | sandboxes among the served files |

pub(crate) mod asks;
mod executor_api;
pub(crate) mod limits;
pub mod metrics;
mod operator;
pub(crate) mod pipes;
pub mod probe;
mod refused;
pub(crate) mod routes;
pub(crate) mod sandboxes;
pub(crate) mod site;
pub mod snapshot;
pub(crate) mod statistics;
pub(crate) mod streams;
mod v0;
pub(crate) mod view;

use libactor::http::Readers;

use limits::MAX_READERS;

/// Reads large bodies, for this whole process.
static LARGE_BODIES: Readers = Readers::new(MAX_READERS);
