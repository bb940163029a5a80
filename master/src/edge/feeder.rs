//! The way from requests to the machine.

use std::sync::{Mutex, PoisonError};

use libactor::shell::ShellHandle;

use crate::core::Input;

/// Feeds the machine from the time that its actor runs until it has ended.
#[derive(Debug, Default)]
pub(crate) struct Feeder(Mutex<Option<ShellHandle<Input>>>);

/// The mailbox is full, or there is no machine.
#[derive(Debug)]
pub(crate) struct NotFed;

impl Feeder {
    /// The actor runs.
    pub(crate) fn open(&self, shell: ShellHandle<Input>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(shell);
    }

    /// The actor has ended.
    pub(crate) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether there is a machine.
    pub(crate) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Feeds an input now, or not at all.
    ///
    /// # Errors
    /// If the mailbox is full, or there is no machine.
    pub(crate) fn try_feed(&self, input: Input) -> Result<(), NotFed> {
        self.shell().ok_or(NotFed)?.try_feed(input).map_err(|_| NotFed)
    }

    /// Feeds an input when there is room for it.
    pub(crate) async fn feed(&self, input: Input) {
        if let Some(shell) = self.shell() {
            // An error means that the master has ended.
            let _ = shell.feed(input).await;
        }
    }

    fn shell(&self) -> Option<ShellHandle<Input>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
