//! From one machine of this process to the other.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// What one machine hands the other, in order and many at a time. Who puts in never waits: there is no more in it than the
/// machine that leads has open, which has bounds of its own (`core::limits`). Who takes out waits for room where it goes.
/// Clones are the same lane.
#[derive(Debug)]
pub(super) struct Lane<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    state: Mutex<State<T>>,
    filled: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: Vec<T>,
    closed: bool,
}

impl<T> Lane<T> {
    /// Empty.
    pub(super) fn new() -> Self {
        let state = Mutex::new(State { items: Vec::new(), closed: false });
        Self(Arc::new(Inner { state, filled: Notify::new() }))
    }

    /// Puts these behind the others; a closed lane takes nothing.
    pub(super) fn put(&self, items: impl IntoIterator<Item = T>) {
        let mut state = self.lock();
        if !state.closed {
            state.items.extend(items);
            self.0.filled.notify_one();
        }
    }

    /// Nothing comes any more, and what lies in it is dropped.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        self.0.filled.notify_one();
    }

    /// Waits for all that lies in it; `None`: it is closed. For one that takes.
    ///
    /// # Cancel safety
    /// Dropped before it ends, it has taken nothing.
    pub(super) async fn take(&self) -> Option<Vec<T>> {
        loop {
            {
                let mut state = self.lock();
                if state.closed {
                    return None;
                }
                if !state.items.is_empty() {
                    return Some(std::mem::take(&mut state.items));
                }
            }
            self.0.filled.notified().await;
        }
    }

    /// Whether nothing comes any more.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Lane<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_in_comes_out_in_order_until_it_is_closed() {
        let lane = Lane::new();
        let mut taken = Vec::new();
        let puts = async {
            for number in 0..100 {
                lane.put([number]);
                if number % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        };
        let takes = async {
            while taken.len() < 100 {
                taken.extend(lane.take().await.expect("it is open"));
            }
        };
        tokio::join!(takes, puts);
        assert_eq!(taken, Vec::from_iter(0..100));
        lane.put([100]);
        let (end, ()) = tokio::join!(lane.take(), async { lane.close() });
        assert_eq!(end, Some(vec![100]));
        lane.put([101]);
        assert_eq!(lane.take().await, None);
    }
}
