//! The messages of Mesos's v1 APIs, as they travel over HTTP. Source of names and numbers: Mesos 1.11, `include/mesos/v1`.
//!
//! [`v1`] is generated from the schemas in `protocol/proto`.

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]

    include!(concat!(env!("OUT_DIR"), "/wire.rs"));
}

pub mod common;
pub mod v0;

pub use generated::mesos::v1;

/// The version of Mesos whose API is spoken: clients parse what answers say.
pub const API_VERSION: &str = "1.11.0";
