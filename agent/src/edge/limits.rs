//! Bounds of what the agent serves over HTTP, each with its unit and source.

use std::time::Duration;

/// Most requests that wait for one snapshot; further ones are refused. Ours.
pub(crate) const MAX_WAITING: usize = 64;
/// Most calls of executors that wait for the machine's answer; further ones are refused. Ours: as many as there may be
/// connections.
pub(crate) const MAX_ASKS: usize = 16_384;
/// Most streams that are open at a time; further ones are refused. Ours: as many as there may be connections.
pub(crate) const MAX_STREAMS: usize = 16_384;
/// Longest time for which the kernel is asked what containers use, waiting for earlier questions included. Ours: `/proc` of
/// a full machine takes a fraction of it.
pub(crate) const MEASURING: Duration = Duration::from_secs(10);
/// Largest record of a streaming request, bytes. Ours: the bodies of requests are bounded, too.
pub(crate) const MAX_RECORD_BYTES: usize = 4 << 20;
/// Most threads that read large bodies. Ours: executors are to have processors left.
pub(crate) const MAX_READERS: usize = 1;
