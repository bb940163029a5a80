//! Work on the bodies of requests: on large ones beside the thread that the actors share.

use tokio::sync::Semaphore;

use crate::limits::HTTP_LARGE_BODY_BYTES;

/// Reads bodies, of the large ones few at a time. One for a process and purpose, in a `static`.
#[derive(Debug)]
pub struct Readers(Semaphore);

impl Readers {
    /// At most so many threads at a time.
    pub const fn new(threads: usize) -> Self {
        Self(Semaphore::const_new(threads))
    }

    /// What `read` makes of a body of so many bytes; `None` if it did not come to its end.
    pub async fn read<T, F>(&'static self, bytes: usize, read: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        if bytes <= HTTP_LARGE_BODY_BYTES {
            return Some(read());
        }
        let reader = self.0.acquire().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            // As long as the thread is at work: the one who waits for it may go before.
            let _reader = reader;
            read()
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn only_large_bodies_are_read_on_another_thread() {
        static READERS: Readers = Readers::new(1);
        let here = thread::current().id();
        let id = || thread::current().id();
        assert_eq!(READERS.read(HTTP_LARGE_BODY_BYTES, id).await, Some(here));
        assert_ne!(READERS.read(HTTP_LARGE_BODY_BYTES + 1, id).await, Some(here));
    }
}
