//! Nothing outside of a root is served, whatever is put into it.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

use super::*;

#[test]
fn links_that_stay_beneath_are_followed() {
    let place = place();
    place.link("f", "to_f");
    place.link("d", "to_d");
    place.link("to_d/e", "to_e");
    place.link("../../f", "d/e/up");
    place.link(place.root().join("d/e/g"), "absolute");
    place.link(place.root(), "to_root");
    place.link(place.root().join("d/../d/e"), "d/around");
    for (path, text) in [
        ("/r/to_f", "f's text"),
        ("/r/to_d/e/g", "g's text"),
        ("/r/to_e/g", "g's text"),
        ("/r/to_e/up", "f's text"),
        ("/r/absolute", "g's text"),
        ("/r/to_root/to_root/to_e/up", "f's text"),
        ("/r/d/around/g", "g's text"),
    ] {
        place.reads(path, text);
    }
    for way in BOTH {
        assert_eq!(place.names("/r/to_e", way).unwrap(), ["/r/to_e/g", "/r/to_e/up"]);
    }
}

#[test]
fn dots_do_not_escape() {
    let place = place();
    for path in ["/r/../o/secret", "/r/..", "/r/d/../../o", "/r/d/e/../../../o/secret", "/..", "/r/d/../f"] {
        place.refused(path);
    }
    // As names they are nothing special.
    place.not_found("/r/..\\o");
    place.not_found("/r/...");
    place.not_found("/r/%2e%2e/o/secret");
}

#[test]
fn absolute_paths_do_not_escape() {
    let place = place();
    let secret = place.outside("o/secret");
    place.not_found(secret.to_str().unwrap());
    place.not_found("/etc/passwd");
    place.not_found(&format!("/r/{}", secret.to_str().unwrap()));
    place.not_found("/r//etc/passwd");
}

#[test]
fn a_link_to_a_file_outside_does_not_escape() {
    let place = place();
    place.link("/etc/passwd", "passwd");
    place.link(place.outside("o/secret"), "absolute");
    place.link("../o/secret", "relative");
    place.link("absolute", "again");
    place.link("../../../../../../../../../etc/passwd", "far");
    for name in ["passwd", "absolute", "relative", "again", "far"] {
        place.refused(&format!("/r/{name}"));
    }
}

#[test]
fn a_link_to_a_directory_outside_does_not_escape() {
    let place = place();
    place.link(place.outside("o"), "o");
    place.link("..", "up");
    place.link("../..", "d/up");
    place.link("/", "top");
    for path in
        ["/r/o", "/r/o/secret", "/r/up", "/r/up/o/secret", "/r/d/up/o/secret", "/r/top", "/r/top/etc/passwd"]
    {
        place.refused(path);
    }
    // Out and in again is out.
    place.link("../root/f", "in_again");
    place.refused("/r/in_again");
}

#[test]
fn a_link_to_a_sibling_with_a_similar_name_does_not_escape() {
    let place = place();
    fs::write(place.outside("root-secret"), SECRET).unwrap();
    place.link(place.outside("root-secret"), "similar");
    place.refused("/r/similar");
    place.link(format!("{}/../o/secret", place.root().display()), "dotted");
    place.refused("/r/dotted");
}

#[test]
fn a_ring_of_links_ends() {
    let place = place();
    place.link("b", "a");
    place.link("a", "b");
    place.refused("/r/a");
    place.link(place.root().join("self/self"), "self");
    place.refused("/r/self");
}

#[test]
fn magic_links_are_not_followed() {
    let place = place();
    let secret = fs::File::open(place.outside("o/secret")).unwrap();
    let number = secret.as_raw_fd();
    place.link(format!("/proc/self/fd/{number}"), "magic");
    place.refused("/r/magic");
    place.files.attach("/proc", "/proc/self").unwrap();
    for path in ["exe", "root/etc/passwd", "cwd", "cwd/Cargo.toml", &format!("fd/{number}")] {
        place.refused(&format!("/proc/{path}"));
    }
    // A pipe has no path at all.
    let (reader, _writer) = std::io::pipe().unwrap();
    let number = reader.as_raw_fd();
    for way in BOTH {
        assert!(place.read(&format!("/proc/fd/{number}"), way).is_err());
    }
}

#[test]
fn a_fifo_is_refused_at_once() {
    let place = place();
    mkfifo(&place.root().join("fifo"), Mode::S_IRWXU).unwrap();
    place.link("fifo", "to_fifo");
    place.no_file("/r/fifo");
    place.no_file("/r/to_fifo");
    place.not_found("/r/fifo/x");
}

#[test]
fn sockets_and_devices_are_refused() {
    let place = place();
    let _socket = UnixListener::bind(place.root().join("socket")).unwrap();
    place.no_file("/r/socket");
    place.files.attach("/zero", "/dev/zero").unwrap();
    place.no_file("/zero");
    place.link("/dev/zero", "zero");
    place.refused("/r/zero");
    let device = place.root().join("device");
    match mknod(&device, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)) {
        Ok(()) => place.no_file("/r/device"),
        Err(error) => println!("SKIPPED: a device can't be made here: {error}"),
    }
}

#[test]
fn a_root_that_became_a_link_is_refused() {
    let place = place();
    fs::rename(place.root(), place.outside("moved")).unwrap();
    place.not_found("/r/secret");
    symlink(place.outside("o"), place.root()).unwrap();
    place.refused("/r/secret");
    place.refused("/r");
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_file_that_is_exchanged_all_the_time_does_not_escape() {
    let place = place();
    let (root, ended) = (place.root(), AtomicBool::new(false));
    fs::write(root.join("d/secret"), "no secret").unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            // A file and a directory are each replaced by a link to the outside, and back.
            while !ended.load(Ordering::Relaxed) {
                symlink("../o/secret", root.join("next")).unwrap();
                fs::rename(root.join("next"), root.join("f")).unwrap();
                fs::rename(root.join("d"), root.join("away")).unwrap();
                symlink("../o", root.join("d")).unwrap();
                fs::write(root.join("next"), "f's text").unwrap();
                fs::rename(root.join("next"), root.join("f")).unwrap();
                fs::remove_file(root.join("d")).unwrap();
                fs::rename(root.join("away"), root.join("d")).unwrap();
            }
        });
        // Also when this ends by a panic.
        let _end = End(&ended);
        let mut served = 0;
        for round in 0..1000 {
            let way = BOTH[round % 2];
            for (path, text) in [("/r/f", "f's text"), ("/r/d/secret", "no secret")] {
                match place.read(path, way) {
                    Ok(read) => {
                        assert_eq!(read, text);
                        served += 1;
                    }
                    Err(error) => {
                        assert!(matches!(error, FilesError::NotFound | FilesError::Refused(_)), "{error}");
                    }
                }
            }
            let names = place.names("/r/d", way).unwrap_or_default();
            assert!(names.is_empty() || names == ["/r/d/e", "/r/d/secret"], "{names:?}");
        }
        assert!(served > 0);
    });
}
