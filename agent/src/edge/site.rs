//! What the routes share.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use libactor::Node;
use libactor::files::Files;
use libactor::http::{HttpBody, HttpResponse, SharedBody, StatusCode};
use protocol::wire::common::VersionInfo;
use serde::Serialize;

use super::asks::Asks;
use super::refused::Refused;
use super::snapshot::Snapshot;
use super::statistics::Statistics;
use super::streams::Streams;
use super::v0;
use super::view::{Feeder, View};

/// What the routes share.
pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) feeder: Arc<Feeder>,
    pub(crate) view: Arc<View>,
    pub(crate) version: VersionInfo,
    pub(crate) flags: BTreeMap<String, String>,
    pub(crate) work_dir: PathBuf,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) files: Files,
    pub(crate) statistics: Statistics,
    pub(crate) asks: Asks,
    pub(crate) streams: Arc<Streams>,
}

impl Site {
    /// What pages tell besides the machine's state.
    pub(crate) fn about(&self) -> v0::About<'_> {
        v0::About {
            version: &self.version,
            flags: &self.flags,
            work_dir: &self.work_dir,
            log_file: self.log_file.as_deref(),
        }
    }

    /// The machine as it is now.
    ///
    /// # Errors
    /// What is answered where the agent is ending, or too many ask.
    pub(crate) async fn snapshot(&self) -> Result<Arc<Snapshot>, Refused> {
        self.view.ask().await.ok_or_else(Refused::unable)
    }
}

/// A page that is written on another thread, while the agent's own goes on.
/// Few are at work at a time, and what they make is bounded.
pub(crate) fn page(
    content_type: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> HttpResponse {
    HttpResponse::of(StatusCode::OK, content_type, HttpBody::Shared(SharedBody::produce(write)))
}

/// The content type of JSON.
pub(crate) const JSON: &str = "application/json";

/// Writes a value as JSON.
pub(crate) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(out, value).map_err(io::Error::from)
}
