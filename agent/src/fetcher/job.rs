//! One piece of work for the fetcher's process, and that process seen from the agent. The job goes to it in a variable of its
//! environment, which only its user can read; a cached file comes as its standard input, and one that is to be cached is its
//! standard output. It answers with its exit status: on success the number of bytes that it has made, else a sentence.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::uri::{Handling, Source};

/// The variable that holds the job.
pub(super) const JOB: &str = "MESETA_FETCH";
/// What the process ends with when there is no room for what it should put into the cache.
pub(super) const NO_ROOM: u8 = 3;
/// Longest sentence of the process, bytes.
const MAX_MESSAGE_BYTES: u64 = 8 << 10;

/// One piece of work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// Who to become; absent: nobody else.
    pub(super) user: Option<String>,
    /// Where it comes from; absent: the standard input.
    pub(super) source: Option<Source>,
    pub(super) target: Target,
    /// What its sum must be.
    pub(super) sha256: Option<String>,
    pub(super) bounds: Bounds,
}

/// Where it goes to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Target {
    /// The standard output, as it is.
    Output,
    /// A sandbox.
    Sandbox {
        /// Absolute.
        directory: PathBuf,
        /// Below it.
        name: String,
        handling: Handling,
    },
}

/// What a job may use.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Bounds {
    /// Bytes that it may make.
    pub(super) max_bytes: u64,
    /// How long nothing may happen.
    pub(super) stall_timeout: Duration,
}

/// What goes in.
pub(super) enum Content<'a> {
    /// A file that is open.
    Input(File),
    /// What the process gets by itself.
    Source(&'a Source),
    /// The same, into a file that is open.
    Into(&'a Source, File),
}

/// Why a job has failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    #[error("can't describe the work: {0}")]
    Describe(#[from] serde_json::Error),
    #[error("can't start '{program}': {source}")]
    Start { program: String, source: io::Error },
    #[error("can't hear of the fetcher's process: {0}")]
    Hear(io::Error),
    #[error("can't use the fetcher's cache: {0}")]
    Cache(#[from] io::Error),
    #[error("there is no room")]
    NoRoom,
    #[error("{0}")]
    Said(String),
}

impl Job {
    /// Has it done; the bytes that were made in the sandbox. Dropped, it ends the process.
    pub(super) async fn run(mut self, program: &[OsString], content: Content<'_>) -> Result<u64, JobError> {
        let (input, source, output) = match content {
            Content::Input(file) => (Stdio::from(file), None, None),
            Content::Source(source) => (Stdio::null(), Some(source), None),
            Content::Into(source, file) => (Stdio::null(), Some(source), Some(file)),
        };
        let proxies = source.map(Source::proxies).unwrap_or_default();
        self.source = source.cloned();
        let described = serde_json::to_string(&self)?;
        let (program, arguments) = program.split_first().expect("settings name a program");
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env(JOB, described).envs(proxies).kill_on_drop(true);
        command.stdin(input).stdout(output.map_or_else(Stdio::piped, Stdio::from)).stderr(Stdio::piped());
        let failed = |source| JobError::Start { program: program.to_string_lossy().into_owned(), source };
        let mut child = command.spawn().map_err(failed)?;
        // Its files that this process holds are closed here: the standard output of a fill belongs to the process alone.
        drop(command);
        let (said, made) = (hear(child.stderr.take()), hear(child.stdout.take()));
        let (status, said, made) = tokio::join!(child.wait(), said, made);
        let status = status.map_err(JobError::Hear)?;
        let said = said.map_err(JobError::Hear)?;
        match status.code() {
            Some(0) => Ok(made.map_err(JobError::Hear)?.trim().parse().unwrap_or(0)),
            Some(code) if code == i32::from(NO_ROOM) => Err(JobError::NoRoom),
            _ if !said.trim().is_empty() && status.code().is_some() => {
                Err(JobError::Said(said.trim().to_owned()))
            }
            _ => Err(JobError::Said(format!("the fetcher's process ended with {status}: {}", said.trim()))),
        }
    }
}

/// All that comes, as far as it is kept.
async fn hear(from: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut text = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(MAX_MESSAGE_BYTES).read_to_end(&mut text).await?;
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
