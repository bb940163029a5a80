//! The JSON of the older endpoints, in the field names and the order of Mesos's hand-written serializers. Everything is
//! written from a snapshot straight into the response: no page is held in memory as a tree.

pub(crate) mod counts;
pub(crate) mod executors;
pub(crate) mod frameworks;
pub(crate) mod list;
pub(crate) mod resources;
pub(crate) mod roles;
pub(crate) mod slaves;
pub(crate) mod state;
pub(crate) mod summary;
pub(crate) mod tasks;

use libactor::Time;

/// Seconds since the epoch; 0 where there is no such time.
fn seconds(time: Option<Time>) -> f64 {
    time.map_or(0.0, |time| protocol::UnixTime(time.as_nanos()).as_secs_f64())
}
