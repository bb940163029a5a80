//! A store that keeps nothing.

use tokio::sync::watch;

use super::Store;
use crate::core::checkpoint::Batch;

/// Says of everything at once that it is kept, and keeps nothing.
#[derive(Debug)]
pub struct Forgetful(watch::Sender<u64>);

impl Forgetful {
    /// A store and what it reports.
    pub fn store() -> (Box<dyn Store>, watch::Receiver<u64>) {
        let (sender, receiver) = watch::channel(0);
        (Box::new(Self(sender)), receiver)
    }
}

impl Store for Forgetful {
    fn write(&mut self, batch: Batch) {
        self.0.send_replace(batch.number);
    }
}
