//! What waits for a thread of the disk.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Locks; every section under these locks leaves its data whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bounded queue that its one consumer empties at once.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    woken: Condvar,
    /// Bounds the sum of the sizes.
    bound: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<T>,
    size: usize,
    closed: bool,
}

/// Why something was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    Full,
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(bound: usize) -> Self {
        let waiting = Waiting { items: VecDeque::new(), size: 0, closed: false };
        Self { waiting: Mutex::new(waiting), woken: Condvar::new(), bound }
    }

    /// Adds something of this size. One is always taken, of whatever size.
    pub(super) fn push(&self, item: T, size: usize) -> Result<(), NotTaken> {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return Err(NotTaken::Closed);
        }
        if !waiting.items.is_empty() && waiting.size + size > self.bound {
            return Err(NotTaken::Full);
        }
        waiting.items.push_back(item);
        waiting.size += size;
        self.woken.notify_one();
        Ok(())
    }

    /// Waits for something and takes all there is; `None`: it is closed, and nothing is left.
    pub(super) fn take_all(&self) -> Option<VecDeque<T>> {
        let mut waiting = lock(&self.waiting);
        while waiting.items.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.woken.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        Some(waiting.take())
    }

    /// Takes what there is, without waiting; `None`: it is closed, and nothing is left.
    pub(super) fn take_now(&self) -> Option<VecDeque<T>> {
        let mut waiting = lock(&self.waiting);
        (!waiting.closed || !waiting.items.is_empty()).then(|| waiting.take())
    }

    /// Drops what waits, leaves this in its place, and takes nothing more.
    pub(super) fn replace_all(&self, item: T) {
        let mut waiting = lock(&self.waiting);
        waiting.take();
        waiting.items.push_back(item);
        waiting.closed = true;
        self.woken.notify_all();
    }

    /// Nothing more is taken; what waits is still handed out.
    pub(super) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.woken.notify_all();
    }
}

impl<T> Waiting<T> {
    fn take(&mut self) -> VecDeque<T> {
        self.size = 0;
        std::mem::take(&mut self.items)
    }
}
