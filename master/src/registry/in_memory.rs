//! Where the master machine's shell puts operations.

use super::{Operation, State};

/// Where operations are made durable.
pub trait Registry: 'static {
    /// Makes an operation durable, in the order of the calls, and then calls `done` once.
    fn apply(&mut self, operation: Operation, done: Box<dyn FnOnce(Operation)>);
}

/// A registry that dies with its master.
#[derive(Debug, Default)]
pub struct InMemory {
    state: State,
}

impl Registry for InMemory {
    fn apply(&mut self, operation: Operation, done: Box<dyn FnOnce(Operation)>) {
        self.state.apply(&operation);
        done(operation);
    }
}
