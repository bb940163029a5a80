//! gzip, both ways. The one door to flate2. What takes long is done on other threads.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::HeaderMap;
use super::shared::{Pieces, SharedReader, worker, workers};
use crate::limits::{GZIP_INLINE_BYTES, SHARED_CHUNK_BYTES};

/// Threads that may be at work for whole bodies, in this process; bodies that are made bit by bit don't delay these.
static WORKERS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(workers()));

/// Whether the client would rather have gzip, by its `Accept-Encoding`.
pub(crate) fn is_welcome(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for value in headers.get_all("accept-encoding") {
        for offer in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
            let name = name.trim();
            let slot = if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                &mut gzip
            } else if name.eq_ignore_ascii_case("identity") {
                &mut identity
            } else if name == "*" {
                &mut any
            } else {
                continue;
            };
            *slot = Some(thousandths(weight));
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// A weight such as `q=0.5`; one that can't be read counts as 1.
fn thousandths(weight: &str) -> u16 {
    let Some((name, value)) = weight.split(';').find_map(|part| part.split_once('=')) else { return 1000 };
    if !name.trim().eq_ignore_ascii_case("q") {
        return 1000;
    }
    value.trim().parse::<f32>().map_or(1000, |q| (q.clamp(0.0, 1.0) * 1000.0) as u16)
}

/// A whole body.
pub(crate) async fn compress(body: Bytes) -> io::Result<Bytes> {
    if body.len() <= GZIP_INLINE_BYTES {
        return compress_now(&body);
    }
    let worker = WORKERS.acquire().await.expect("nobody closes the semaphore");
    let made = tokio::task::spawn_blocking(move || {
        let _worker = worker;
        compress_now(&body)
    });
    made.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn compress_now(body: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    Ok(encoder.finish()?.into())
}

/// The gzip form of a body that is being made. It is given up when nobody reads it any more.
pub(crate) fn pieces(mut plain: SharedReader) -> Arc<Pieces> {
    let pieces = Arc::new(Pieces::default());
    let (made, gone) = (Arc::downgrade(&pieces), pieces.gone());
    tokio::spawn(async move {
        let mut encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        while let Some(mut gzip) = encoder.take() {
            // Holding the plain form would keep it being made.
            let piece = tokio::select! {
                biased;
                () = gone.cancelled() => return,
                piece = poll_fn(|cx| plain.poll_piece(cx)) => piece.transpose(),
            };
            let worker = worker().await;
            let step = tokio::task::spawn_blocking(move || {
                let _worker = worker;
                match piece? {
                    Some(piece) => {
                        gzip.write_all(&piece)?;
                        let enough = gzip.get_ref().len() >= SHARED_CHUNK_BYTES / 4;
                        let out = if enough { std::mem::take(gzip.get_mut()) } else { Vec::new() };
                        Ok((Some(gzip), out))
                    }
                    None => Ok((None, gzip.finish()?)),
                }
            });
            let step: io::Result<_> = step.await.unwrap_or_else(|error| Err(io::Error::other(error)));
            let Some(pieces) = made.upgrade() else { return };
            let stored = step.and_then(|(gzip, out)| pieces.push(out.into()).map(|()| gzip));
            match stored {
                Ok(None) => pieces.end(Ok(())),
                Ok(more) => encoder = more,
                Err(error) => pieces.end(Err(error.to_string())),
            }
        }
    });
    pieces
}

/// Why a body was not unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpackable {
    /// It is no gzip, or not all of it.
    Garbage,
    /// It is larger than a body may be.
    TooLarge,
    /// There is no room for it now.
    NoRoom,
}

/// Unpacks the body of a request, within a limit in bytes and the room that all bodies share.
pub(crate) async fn unpack(
    body: Bytes,
    limit: usize,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Unpackable> {
    let worker = WORKERS.acquire().await.expect("nobody closes the semaphore");
    let room = room.clone();
    let unpacked = tokio::task::spawn_blocking(move || {
        let _worker = worker;
        unpack_now(&body, limit, &room)
    });
    unpacked.await.unwrap_or(Err(Unpackable::Garbage))
}

fn unpack_now(
    body: &[u8],
    limit: usize,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Unpackable> {
    let mut decoder = MultiGzDecoder::new(body);
    let mut whole = Vec::new();
    let mut taken: Option<OwnedSemaphorePermit> = None;
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = decoder.read(&mut piece).map_err(|_| Unpackable::Garbage)?;
        if count == 0 {
            return Ok((whole.into(), taken));
        }
        if whole.len() + count > limit {
            return Err(Unpackable::TooLarge);
        }
        let more = room.clone().try_acquire_many_owned(count as u32).map_err(|_| Unpackable::NoRoom)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        whole.extend_from_slice(&piece[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_accepts_gzip_says_so() {
        let cases = [
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("GZIP ; q=0.001", true),
            ("x-gzip", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0.0, *", false),
            ("*;q=0", false),
            ("identity;q=1, gzip;q=0.5", false),
            ("identity;q=0.5, gzip", true),
            ("br, deflate", false),
            ("", false),
            ("gzip;q=nonsense", true),
        ];
        for (value, welcome) in cases {
            let headers = HeaderMap::from_iter([(hyper::header::ACCEPT_ENCODING, value.parse().unwrap())]);
            assert_eq!(is_welcome(&headers), welcome, "{value}");
        }
        assert!(!is_welcome(&HeaderMap::new()));
    }

    #[test]
    fn a_body_is_unpacked_within_its_limit() {
        let room = Arc::new(Semaphore::new(3000));
        let packed = compress_now(&[7; 2000]).unwrap();
        let (whole, permit) = unpack_now(&packed, 2000, &room).unwrap();
        assert_eq!(whole, vec![7; 2000]);
        assert_eq!(room.available_permits(), 1000);
        assert_eq!(unpack_now(&packed, 2000, &room).unwrap_err(), Unpackable::NoRoom);
        drop(permit);
        assert_eq!(unpack_now(&packed, 1999, &room).unwrap_err(), Unpackable::TooLarge);
        assert_eq!(unpack_now(b"nope", 2000, &room).unwrap_err(), Unpackable::Garbage);
        assert_eq!(unpack_now(&packed[..packed.len() - 9], 2000, &room).unwrap_err(), Unpackable::Garbage);
        assert_eq!(room.available_permits(), 3000);
    }
}
