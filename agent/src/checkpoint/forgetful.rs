//! A store that keeps nothing.

use tokio::sync::watch;

use super::{Durable, Keeping, Store};
use crate::core::checkpoint::{Batch, Records};

/// Says of everything at once that it is kept, and keeps nothing.
#[derive(Debug)]
pub struct Forgetful(watch::Sender<Durable>);

impl Forgetful {
    /// A store without a past.
    pub fn open() -> Keeping {
        let (sender, durable) = watch::channel(Durable::default());
        Keeping { store: Box::new(Self(sender)), durable, records: Records::default(), errors: 0 }
    }
}

impl Store for Forgetful {
    fn write(&mut self, batch: Batch) {
        self.0.send_replace(Durable { number: batch.number, failure: None });
    }
}
