//! Reads files: a piece, or all of it as a stream.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use nix::sys::stat::{SFlag, fstat};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::beneath::{Root, Way, kind, open_file, system};
use super::limits::{CHUNK_BYTES, READ_BYTES};
use super::roots::Found;
use super::{Files, FilesError};

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    /// Of the whole file, in bytes.
    pub size: u64,
    /// What was read; empty at the end of the file and behind it.
    pub data: Bytes,
}

/// A regular file, open.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    size: u64,
}

/// Opens a regular file; `doing` is what a directory is refused for.
pub(super) fn open(found: &Found, way: Way, doing: &str) -> Result<Opened, FilesError> {
    let failed = |error| FilesError::system(&found.path, error);
    let root = Root::open(found.root.clone(), way).map_err(failed)?;
    let handle = root.find(Path::new(&found.rest)).map_err(failed)?;
    match kind(&fstat(&handle).map_err(failed)?) {
        SFlag::S_IFREG => {}
        SFlag::S_IFDIR => return Err(FilesError::Invalid(format!("Cannot {doing} a directory."))),
        _ => {
            let path = &found.path;
            return Err(FilesError::Refused(format!("'{path}' is neither a regular file nor a directory.")));
        }
    }
    let file = open_file(&handle).map_err(failed)?;
    let size = file.metadata().map_err(|error| failed(system(error)))?.len();
    Ok(Opened { file, size })
}

/// Reads a piece; without an offset nothing but the size.
pub(super) fn read(
    found: &Found,
    way: Way,
    offset: Option<u64>,
    length: Option<u64>,
) -> Result<ReadFile, FilesError> {
    let Opened { file, size } = open(found, way, "read")?;
    let offset = offset.unwrap_or(size);
    let left = size.saturating_sub(offset).min(length.unwrap_or(u64::MAX));
    let length = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
    let data = read_at(&file, offset, length)
        .map_err(|error| FilesError::Failed(format!("Failed to read file at '{}': {error}.", found.path)))?;
    Ok(ReadFile { size, data })
}

/// Reads up to that many bytes; fewer at the end of the file.
fn read_at(file: &File, offset: u64, length: usize) -> std::io::Result<Bytes> {
    let mut data = vec![0; length];
    let mut have = 0;
    while have < length {
        match file.read_at(&mut data[have..], offset + have as u64) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    data.truncate(have);
    Ok(data.into())
}

/// A file that is about to be sent.
#[derive(Debug)]
pub struct Download {
    /// Its own name, without a path. What of it is not UTF-8 is replaced.
    pub name: String,
    /// In bytes, when it was opened: as much is sent, also if it grows.
    pub size: u64,
    path: String,
    file: Arc<File>,
    files: Files,
    place: OwnedSemaphorePermit,
}

impl Download {
    pub(super) fn new(files: Files, place: OwnedSemaphorePermit, found: &Found, opened: Opened) -> Self {
        let at = if found.rest.is_empty() { &*found.root } else { Path::new(&found.rest) };
        Self {
            name: at.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            size: opened.size,
            path: found.path.clone(),
            file: Arc::new(opened.file),
            files,
            place,
        }
    }

    /// The file, piece by piece, as fast as it is taken. It ends early if the file has become shorter or can't be read: who
    /// has announced [`size`](Self::size) must then break off, which HTTP does.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn chunks(self) -> mpsc::Receiver<Bytes> {
        let (sender, chunks) = mpsc::channel(1);
        tokio::spawn(self.send(sender));
        chunks
    }

    /// No thread waits for the client: one is taken for each piece, when there is room for it.
    async fn send(self, sender: mpsc::Sender<Bytes>) {
        let Self { size, path, file, files, place: _place, .. } = self;
        let mut offset = 0;
        while offset < size {
            // The client has gone.
            let Ok(room) = sender.reserve().await else { return };
            let length = usize::try_from(size - offset).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let file = file.clone();
            let piece = files.on_thread(move || {
                read_at(&file, offset, length).map_err(|error| FilesError::Failed(error.to_string()))
            });
            match piece.await {
                Ok(piece) if piece.is_empty() => {
                    tracing::warn!(
                        "'{path}' became shorter while it was sent: {offset} of {size} bytes were"
                    );
                    return;
                }
                Ok(piece) => {
                    offset += piece.len() as u64;
                    room.send(piece);
                }
                Err(error) => {
                    tracing::warn!("'{path}' could not be sent beyond {offset} of {size} bytes: {error}");
                    return;
                }
            }
        }
    }
}
