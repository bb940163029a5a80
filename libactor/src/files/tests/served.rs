//! What is inside of a root is served, within bounds.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::stat::Mode;
use nix::unistd::{User, getuid, mkfifo};

use super::limits::{CHUNK_BYTES, DEPTH, READ_BYTES};
use super::*;

#[test]
fn files_below_a_root_are_served() {
    let place = place();
    place.reads("/r/f", "f's text");
    place.reads("//r/./d//e/g", "g's text");
    for path in ["/r/x", "/r/f/x", "/r/d/x/g", "/x", "/", "/r/f\0"] {
        place.not_found(path);
    }
    for way in BOTH {
        let error = FilesError::Invalid("Cannot read a directory.".into());
        assert_eq!(place.read("/r/d", way), Err(error.clone()));
        assert_eq!(place.read("/r", way), Err(error));
        assert_eq!(place.names("/r/", way).unwrap(), ["/r/d", "/r/f"]);
        assert_eq!(place.names("/r/d/e", way).unwrap(), ["/r/d/e/g"]);
        assert_eq!(place.names("/r/f", way).unwrap(), [""; 0]);
    }
}

#[test]
fn a_file_can_be_a_root() {
    let place = place();
    place.files.attach("/log", place.root().join("f")).unwrap();
    place.reads("/log", "f's text");
    place.not_found("/log/f");
    // Attached through a link, it is what the link led to then.
    place.link("f", "latest");
    place.files.attach("/latest", place.root().join("latest")).unwrap();
    fs::remove_file(place.root().join("latest")).unwrap();
    place.link("../o/secret", "latest");
    place.reads("/latest", "f's text");
    let missing = place.files.attach("/missing", place.outside("missing")).unwrap_err().to_string();
    assert!(
        missing.starts_with("Failed to get realpath of '/") && missing.contains("No such file"),
        "{missing}"
    );
}

#[test]
fn depth_is_bounded_where_directories_are_held_open() {
    let place = place();
    let deep = vec!["n"; DEPTH + 1].join("/");
    fs::create_dir_all(place.root().join(&deep)).unwrap();
    let path = format!("/r/{deep}");
    assert_eq!(place.names(&path, Way::Kernel), Ok(vec![]));
    assert!(matches!(place.names(&path, Way::Names), Err(FilesError::Invalid(_))));
    let long = format!("/r/{}", "n".repeat(300));
    assert!(matches!(place.read(&long, Way::Kernel), Err(FilesError::Invalid(_))));
}

#[test]
fn lists_show_what_stat_shows() {
    let place = place();
    let f = place.root().join("f");
    fs::set_permissions(&f, PermissionsExt::from_mode(0o640)).unwrap();
    let time = UNIX_EPOCH + Duration::new(1_409_332_828, 5);
    fs::File::open(&f).unwrap().set_modified(time).unwrap();
    fs::hard_link(&f, place.root().join("f2")).unwrap();
    place.link("d/e/g", "in");
    place.link("../o/secret", "out");
    place.link("nowhere", "dangling");
    fs::write(place.root().join(OsStr::from_bytes(b"no\xfftext")), "").unwrap();
    mkfifo(&place.root().join("fifo"), Mode::S_IRUSR).unwrap();
    for way in BOTH {
        let infos = list::list(&place.files.find("/r").unwrap(), way).unwrap();
        let modes: Vec<_> = infos.iter().map(|info| (&info.path[3..], info.mode_text())).collect();
        let expected = [
            "d drwx",
            "dangling lrwx",
            "f -rw-r-----",
            "f2 -rw-r-----",
            "fifo pr--",
            "in -rw-",
            "no\u{fffd}text -rw-",
            "out lrwx",
        ];
        assert_eq!(modes.len(), expected.len());
        for ((name, mode), expected) in modes.iter().zip(expected) {
            assert!(format!("{name} {mode}").starts_with(expected), "{name} {mode}");
        }
        let info = &infos[2];
        assert_eq!((info.nlink, info.size, info.mtime), (2, 8, 1_409_332_828_000_000_005));
        assert_eq!(info.mode, 0o100_640);
        let owner = User::from_uid(getuid()).unwrap();
        assert_eq!(info.uid, owner.map_or_else(|| getuid().to_string(), |user| user.name));
        // The link's own size: of the outside not even that is told.
        assert_eq!(infos.last().unwrap().size, "../o/secret".len() as u64);
    }
}

#[test]
fn lists_are_bounded() {
    let place = place();
    for number in 0..10 {
        place.link("../f", &format!("d/{number}"));
    }
    let list = |entries, bytes, links| {
        let bounds = list::Bounds { entries, bytes, links };
        list::list_within(&place.files.find("/r/d").unwrap(), Way::Kernel, bounds)
    };
    // Ten links, and the directory `e`.
    let bytes = "/r/d/0".len() * 11;
    let followed =
        |infos: Vec<FileInfo>| infos.iter().filter(|info| info.mode_text().starts_with('-')).count();
    assert_eq!(list(11, bytes, 10).map(followed), Ok(10));
    assert_eq!(list(11, bytes, 3).map(followed), Ok(3));
    let text = "'/r/d' has more entries than are listed: at most 10, with paths of 66 bytes together. Ask for a \
                directory below it, or for a file.";
    assert_eq!(list(10, bytes, 10), Err(FilesError::Refused(text.into())));
    assert!(matches!(list(11, bytes - 1, 10), Err(FilesError::Refused(_))));
}

#[test]
fn pieces_are_bounded_and_end_with_the_file() {
    let place = place();
    let big = fs::File::create(place.root().join("big")).unwrap();
    let size: u64 = 5 << 30;
    big.set_len(size).unwrap();
    big.write_all_at(b"end", size - 3).unwrap();
    let read = |offset, length| {
        content::read(&place.files.find("/r/big").unwrap(), Way::Kernel, offset, length).unwrap()
    };
    for (offset, length, bytes) in [
        (None, None, 0),
        (None, Some(7), 0),
        (Some(0), None, READ_BYTES),
        (Some(0), Some(u64::MAX), READ_BYTES),
        (Some(0), Some(7), 7),
        (Some(size - 10), Some(7), 7),
        (Some(size - 3), None, 3),
        (Some(size), None, 0),
        (Some(size + 1), None, 0),
        (Some(u64::MAX), Some(u64::MAX), 0),
    ] {
        let piece = read(offset, length);
        assert_eq!((piece.size, piece.data.len()), (size, bytes), "{offset:?} {length:?}");
    }
    assert_eq!(read(Some(size - 3), None).data, "end");
}

#[tokio::test]
async fn what_is_attached_is_shown_and_detached() {
    let place = place();
    place.files.attach("/log/", place.root().join("f")).unwrap();
    let all = place.files.debug();
    assert_eq!(all.keys().map(String::as_str).collect::<Vec<_>>(), ["/log", "/r"]);
    assert_eq!(all["/log"], place.root().join("f").to_str().unwrap());
    let piece = place.files.read("/log", Some(2), Some(3)).await.unwrap();
    assert_eq!((piece.size, &piece.data[..]), (8, &b"s t"[..]));
    assert!(place.files.clone().detach("/log"));
    assert_eq!(place.files.read("/log", None, None).await, Err(FilesError::NotFound));
    assert_eq!(place.files.browse("/log").await, Err(FilesError::NotFound));
    assert_eq!(place.files.browse("/r").await.unwrap().len(), 2);
}

async fn all(download: Download) -> Vec<u8> {
    let mut chunks = download.chunks();
    let mut all = Vec::new();
    while let Some(chunk) = chunks.recv().await {
        assert!(chunk.len() <= CHUNK_BYTES);
        all.extend_from_slice(&chunk);
    }
    all
}

#[tokio::test]
async fn a_download_is_what_the_file_was_when_it_began() {
    let place = place();
    let path = place.root().join("big");
    let data: Vec<u8> = (0..CHUNK_BYTES * 3 + 7).map(|n| (n % 251) as u8).collect();
    fs::write(&path, &data).unwrap();
    let download = place.files.download("/r/big").await.unwrap();
    assert_eq!((download.name.as_str(), download.size), ("big", data.len() as u64));
    // It grows: what was announced is sent.
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    assert!(all(download).await == data);
    // It is removed: it is sent.
    let download = place.files.download("/r/big").await.unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(all(download).await.len(), data.len() + 4);
    assert!(matches!(place.files.download("/r/big").await, Err(FilesError::NotFound)));
    // It is cut: there is an end before the announced one.
    fs::write(&path, &data).unwrap();
    let download = place.files.download("/r/big").await.unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(10).unwrap();
    assert!(all(download).await == data[..10]);
    let download = place.files.download("/r/d").await.unwrap_err();
    assert_eq!(download, FilesError::Invalid("Cannot download a directory.".into()));
}

#[tokio::test]
async fn a_file_that_is_removed_or_grows_is_read_as_it_is() {
    let place = place();
    let path = place.root().join("log");
    let mut log = fs::File::create(&path).unwrap();
    for round in 0..10_u64 {
        log.write_all(b"line\n").unwrap();
        let piece = place.files.read("/r/log", Some(round * 5), None).await.unwrap();
        assert_eq!((piece.size, &piece.data[..]), (round * 5 + 5, &b"line\n"[..]));
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(place.files.read("/r/log", Some(0), None).await, Err(FilesError::NotFound));
}

#[tokio::test]
async fn downloads_are_bounded() {
    let place = place();
    let mut begun = Vec::new();
    for _ in 0..DOWNLOADS {
        begun.push(place.files.download("/r/f").await.unwrap());
    }
    assert!(matches!(place.files.download("/r/f").await, Err(FilesError::Busy(_))));
    // One that nobody waits for any more makes room, at the latest when it finds out.
    drop(begun.pop().unwrap().chunks());
    let mut next = place.files.download("/r/f").await;
    while matches!(next, Err(FilesError::Busy(_))) {
        tokio::task::yield_now().await;
        next = place.files.download("/r/f").await;
    }
    assert_eq!(all(next.unwrap()).await, b"f's text");
}

#[tokio::test(start_paused = true)]
async fn a_file_system_that_hangs_is_reported() {
    let place = place();
    let mut hanging = Vec::new();
    let mut released = Vec::new();
    for _ in 0..THREADS + 1 {
        let (release, wait) = mpsc::sync_channel::<()>(0);
        let files = place.files.clone();
        released.push(release);
        hanging.push(tokio::spawn(async move {
            files.on_thread(move || wait.recv().map_err(|_| FilesError::NotFound)).await
        }));
    }
    tokio::task::yield_now().await;
    tokio::time::advance(TIMEOUT).await;
    for one in hanging {
        assert!(matches!(one.await.unwrap(), Err(FilesError::Busy(_))));
    }
    drop(released);
    assert_eq!(place.files.read("/r/f", Some(0), None).await.unwrap().data, "f's text");
    // What panics is reported too.
    let panicked = place.files.on_thread(|| -> Result<(), FilesError> { panic!("as ordered") }).await;
    assert!(matches!(panicked, Err(FilesError::Failed(_))));
}
