//! A thread that looks at containers again and again, for as long as its isolator is there.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Ends the thread when it is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    _end: SyncSender<()>,
}

/// What a look may ask on its way.
pub(super) struct Pace(Receiver<()>);

impl Pace {
    #[cfg(test)]
    pub(super) fn of(ended: Receiver<()>) -> Self {
        Self(ended)
    }

    /// Rests for a moment; whether to go on.
    pub(super) fn rest(&self, pause: Duration) -> bool {
        matches!(self.0.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
    }
}

/// Begins to look.
///
/// # Errors
/// There can be no thread for it.
pub(super) fn watch<T: Send + Sync + 'static>(
    name: &str,
    interval: Duration,
    what: Arc<T>,
    look: impl Fn(&T, &Pace) + Send + 'static,
) -> Result<Watcher, String> {
    let (end, ended) = sync_channel(0);
    let pace = Pace(ended);
    let work = move || {
        while pace.rest(interval) {
            look(&what, &pace);
        }
    };
    let thread = std::thread::Builder::new().name(name.into()).spawn(work);
    thread.map_err(|error| format!("there can be no thread for it: {error}"))?;
    Ok(Watcher { _end: end })
}
