//! Work on large bodies, beside the thread that the actors share.

use tokio::sync::Semaphore;

/// Bodies up to this many bytes are read where they are: less than a thread costs. Ours.
const SMALL: usize = 64 << 10;

/// Large bodies that are read at a time, in this process. Ours: each takes a thread, and memory some times its size.
static READERS: Semaphore = Semaphore::const_new(2);

/// What `read` makes of a body of so many bytes; `None` if the master is ending.
pub(crate) async fn read<T, F>(bytes: usize, read: F) -> Option<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if bytes <= SMALL {
        return Some(read());
    }
    let reader = READERS.acquire().await.ok()?;
    let done = tokio::task::spawn_blocking(move || {
        // As long as the thread is at work: the one who waits for it may go before.
        let _reader = reader;
        read()
    });
    done.await.ok()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn only_large_bodies_are_read_on_another_thread() {
        let here = thread::current().id();
        assert_eq!(read(SMALL, || thread::current().id()).await, Some(here));
        assert_ne!(read(SMALL + 1, || thread::current().id()).await, Some(here));
    }
}
