//! A store that keeps nothing.

use tokio::sync::watch;

use super::{Durable, Store};
use crate::core::checkpoint::Batch;

/// Says of everything at once that it is kept, and keeps nothing.
#[derive(Debug)]
pub struct Forgetful(watch::Sender<Durable>);

impl Forgetful {
    /// A store and what it reports.
    pub fn store() -> (Box<dyn Store>, watch::Receiver<Durable>) {
        let (sender, receiver) = watch::channel(Durable::default());
        (Box::new(Self(sender)), receiver)
    }
}

impl Store for Forgetful {
    fn write(&mut self, batch: Batch) {
        self.0.send_replace(Durable { number: batch.number, failure: None });
    }
}
