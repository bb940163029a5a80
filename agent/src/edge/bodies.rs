//! Reads the bodies of requests: a large one beside the thread that the actors share, and few at a time.

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::limits::{LARGE_BODY_BYTES, MAX_READERS};
use super::refused::Refused;

/// Threads that may read large bodies, in this process.
static READERS: Semaphore = Semaphore::const_new(MAX_READERS);

/// What `read` makes of a body.
///
/// # Errors
/// Those of `read`; and where it did not come to its end.
pub(super) async fn read<T: Send + 'static>(
    body: &Bytes,
    read: impl FnOnce(&[u8]) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    if body.len() <= LARGE_BODY_BYTES {
        return read(body);
    }
    let body = body.clone();
    let reader = READERS.acquire().await.map_err(|_| Refused::unable())?;
    let thread = tokio::task::spawn_blocking(move || {
        // Held until it is done, also if nobody waits any more.
        let _reader = reader;
        read(&body)
    });
    thread.await.unwrap_or_else(|_| Err(Refused::unable()))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn large_bodies_are_read_on_another_thread() {
        let here = thread::current().id();
        let read_there = async |bytes: usize| {
            let body = Bytes::from(vec![7; bytes]);
            let read = read(&body, move |body| Ok((body.len(), thread::current().id() != here))).await;
            let Ok((length, there)) = read else { panic!("it is read") };
            assert_eq!(length, bytes);
            there
        };
        assert!(!read_there(LARGE_BODY_BYTES).await);
        assert!(read_there(LARGE_BODY_BYTES + 1).await);
    }
}
