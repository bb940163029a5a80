//! Archives that mean harm: whatever they hold, nothing is made outside the sandbox.

use std::fs;
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;

use super::beneath::{Name, Sandbox};
use super::budget::Budget;
use super::unpack::{ArchiveError, unpack};
use crate::fetcher::uri::{Archive, Packing};

const PLENTY: u64 = 64 << 20;

/// A place with a sandbox, and with something beside it that must stay as it is.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.sandbox()).unwrap();
        fs::create_dir(place.0.path().join("beside")).unwrap();
        fs::write(place.0.path().join("beside/secret"), "as it was").unwrap();
        place
    }

    fn sandbox(&self) -> std::path::PathBuf {
        self.0.path().join("sandbox")
    }

    fn unpack(&self, archive: Archive, bytes: &[u8], max_bytes: u64) -> Result<(), ArchiveError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let sandbox = Sandbox::open(&self.sandbox()).unwrap();
        let mut budget = Budget::new(max_bytes, sandbox.as_fd());
        let outcome = unpack(archive, file, &Name::of(b"a.gz").unwrap(), &sandbox, &mut budget);
        self.check();
        outcome
    }

    fn tar(&self, entries: &[Vec<u8>]) -> Result<(), ArchiveError> {
        self.unpack(Archive::Tar(Packing::None), &tar(entries), PLENTY)
    }

    /// Nothing outside has changed.
    fn check(&self) {
        let names = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(self.0.path()), ["beside", "sandbox"]);
        assert_eq!(names(&self.0.path().join("beside")), ["secret"]);
        let secret = self.0.path().join("beside/secret");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "as it was");
        assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1);
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.sandbox().join(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::symlink_metadata(self.sandbox().join(name)).unwrap().permissions().mode() & 0o7777
    }
}

/// An entry of a tar archive with whatever is said, as bytes.
fn entry(name: &[u8], kind: u8, link: &[u8], mode: u32, content: &[u8]) -> Vec<u8> {
    let mut head = vec![0u8; 512];
    let mut set = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    set(0, &name[..name.len().min(100)]);
    set(100, format!("{mode:07o}\0").as_bytes());
    set(108, b"0000000\0");
    set(116, b"0000000\0");
    set(124, format!("{:011o}\0", content.len()).as_bytes());
    set(136, b"00000000000\0");
    set(148, b"        ");
    set(156, &[kind]);
    set(157, &link[..link.len().min(100)]);
    set(257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    head.extend(content);
    head.resize(head.len().next_multiple_of(512), 0);
    head
}

fn file(name: &str, content: &str) -> Vec<u8> {
    entry(name.as_bytes(), b'0', b"", 0o644, content.as_bytes())
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut all = entries.concat();
    all.resize(all.len() + 1024, 0);
    all
}

/// A zip archive with one deflated entry, as bytes.
fn zip(name: &[u8], mode: u32, content: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
    packer.write_all(content).unwrap();
    let packed = packer.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(content);
    let sizes = [(packed.len() as u32).to_le_bytes(), (content.len() as u32).to_le_bytes()].concat();
    let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0][..], &crc.sum().to_le_bytes(), &sizes].concat();
    let length = (name.len() as u16).to_le_bytes();
    let mut all = [&b"PK\x03\x04"[..], &common, &length, &[0, 0], name, &packed].concat();
    let directory = all.len() as u32;
    let attributes = (mode << 16).to_le_bytes();
    // Made by version 3.0 on Unix.
    all.extend([&b"PK\x01\x02\x1e\x03"[..], &common, &length, &[0; 8], &attributes, &[0; 4], name].concat());
    let bytes = all.len() as u32 - directory;
    all.extend(
        [&b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &bytes.to_le_bytes(), &directory.to_le_bytes(), &[0, 0]]
            .concat(),
    );
    all
}

fn refused(outcome: Result<(), ArchiveError>, name: &str, why: &str) {
    let error = outcome.expect_err(name).to_string();
    assert!(error.contains(name) && error.contains(why), "{error}");
}

#[test]
fn an_honest_archive_is_unpacked() {
    let place = Place::new();
    let long = format!("{}/end", "d".repeat(150));
    place
        .tar(&[
            entry(b"dir/", b'5', b"", 0o750, b""),
            file("./dir/file", "content"),
            entry(b"dir/run", b'0', b"", 0o755, b"#!"),
            entry(b"link", b'2', b"dir/file", 0o777, b""),
            entry(b"hard", b'1', b"dir/file", 0o644, b""),
            entry(b"././@LongLink", b'L', b"", 0, format!("{long}\0").as_bytes()),
            file("short", "far"),
        ])
        .unwrap();
    assert_eq!(
        (place.read("dir/file"), place.read("link"), place.read("hard")),
        ("content".into(), "content".into(), "content".into())
    );
    assert_eq!((place.mode("dir"), place.mode("dir/run")), (0o750, 0o755));
    assert_eq!(place.read(&long), "far");
}

#[test]
fn packed_archives_are_unpacked() {
    let plain = tar(&[file("file", "content")]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&plain).unwrap();
    let bzip2 = bzip2.finish().unwrap();
    for (archive, bytes) in [
        (Archive::Tar(Packing::Gzip), gzip.as_slice()),
        (Archive::Tar(Packing::Bzip2), &bzip2),
        (Archive::Tar(Packing::Xz), include_bytes!("file.tar.xz")),
        (Archive::Zip, &zip(b"file", 0o100_600, b"content")),
    ] {
        let place = Place::new();
        place.unpack(archive, bytes, PLENTY).unwrap();
        assert_eq!(place.read("file"), "content", "{archive:?}");
    }
    let place = Place::new();
    place.unpack(Archive::Gzip, &gzip, PLENTY).unwrap();
    assert_eq!(fs::read(place.sandbox().join("a")).unwrap(), plain);
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../beside/secret", "a/../../beside/secret", "..", "/tmp/meseta-never"] {
        refused(Place::new().tar(&[file(name, "changed")]), name, "refused");
        refused(
            Place::new().unpack(Archive::Zip, &zip(name.as_bytes(), 0o100_644, b"changed"), PLENTY),
            name,
            "refused",
        );
    }
}

#[test]
fn nothing_is_made_through_a_link_of_the_archive() {
    for target in ["../beside", "/", "."] {
        let link = entry(b"link", b'2', target.as_bytes(), 0o777, b"");
        let place = Place::new();
        refused(
            place.tar(&[link.clone(), file("link/secret", "changed")]),
            "link",
            "directory is in the way",
        );
        // A link in place of a directory that an entry before it has made.
        let outcome =
            Place::new().tar(&[entry(b"link", b'5', b"", 0o755, b""), link.clone(), file("link/x", "")]);
        refused(outcome, "link", "directory is in the way");
        // As the last entry it harms nobody.
        let place = Place::new();
        place.tar(std::slice::from_ref(&link)).unwrap();
        assert!(place.sandbox().join("link").is_symlink());
    }
}

#[test]
fn nothing_is_made_through_a_link_that_was_there() {
    let place = Place::new();
    symlink("../beside", place.sandbox().join("link")).unwrap();
    symlink("../beside/secret", place.sandbox().join("direct")).unwrap();
    refused(place.tar(&[file("link/secret", "changed")]), "link/secret", "no directory is in the way");
    place.tar(&[file("direct", "in the sandbox")]).unwrap();
    assert_eq!(place.read("direct"), "in the sandbox");
    assert!(!place.sandbox().join("direct").is_symlink());
}

#[test]
fn hard_links_lead_to_files_of_the_sandbox_alone() {
    let place = Place::new();
    symlink("../beside/secret", place.sandbox().join("direct")).unwrap();
    let link = |target: &str| entry(b"hard", b'1', target.as_bytes(), 0o644, b"");
    refused(place.tar(&[link("../beside/secret")]), "hard", "leads up");
    refused(place.tar(&[link("/etc/passwd")]), "hard", "absolute");
    refused(place.tar(&[link("direct")]), "hard", "no regular file");
    refused(place.tar(&[link("missing")]), "hard", "No such file");
    place.tar(&[file("a", "1"), entry(b"b", b'1', b"a", 0o644, b""), file("b", "2")]).unwrap();
    assert_eq!(
        (place.read("a"), place.read("b")),
        ("1".into(), "2".into()),
        "a file is replaced, not written through"
    );
}

#[test]
fn devices_and_fifos_are_refused() {
    for (kind, why) in [(b'3', "device"), (b'4', "device"), (b'6', "fifo"), (b'7', ""), (b'V', "not known")] {
        let outcome = Place::new().tar(&[entry(b"odd", kind, b"", 0o666, b"")]);
        if kind == b'7' { outcome.unwrap() } else { refused(outcome, "odd", why) }
    }
    refused(
        Place::new().unpack(Archive::Zip, &zip(b"odd", 0o010_644, b""), PLENTY),
        "odd",
        "device or a fifo",
    );
}

#[test]
fn privileged_bits_are_dropped() {
    let place = Place::new();
    place.tar(&[entry(b"suid", b'0', b"", 0o6755, b""), entry(b"dir", b'5', b"", 0o7000, b"")]).unwrap();
    assert_eq!((place.mode("suid"), place.mode("dir")), (0o755, 0o700));
}

#[test]
fn the_tasks_output_is_not_replaced() {
    for name in ["stdout", "./stderr"] {
        refused(
            Place::new().tar(&[entry(name.as_bytes(), b'2', b"/etc/passwd", 0o777, b"")]),
            name,
            "task's output",
        );
        refused(Place::new().tar(&[file(name, "")]), name, "task's output");
    }
}

#[test]
fn bombs_end_at_the_limit() {
    let content = vec![0; 8 << 20];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&tar(&[entry(b"bomb", b'0', b"", 0o644, &content)])).unwrap();
    let gzip = gzip.finish().unwrap();
    for (archive, bytes, name) in [
        (Archive::Tar(Packing::Gzip), &gzip, "bomb"),
        (Archive::Gzip, &gzip, "its content"),
        (Archive::Zip, &zip(b"bomb", 0o100_644, &content), "bomb"),
    ] {
        let place = Place::new();
        refused(place.unpack(archive, bytes, 1 << 20), name, "too much");
        let made: u64 = fs::read_dir(place.sandbox())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(made <= 1 << 20, "{made}");
    }
    let many: Vec<Vec<u8>> = (0..100).map(|number| file(&format!("e{number}"), "")).collect();
    refused(Place::new().unpack(Archive::Tar(Packing::None), &tar(&many), 20 * 512), "e20", "too much");
}

#[test]
fn a_sparse_file_is_bounded_by_what_it_seems_to_be() {
    let mut head = entry(b"sparse", b'S', b"", 0o644, b"");
    // GNU: one piece of nothing at the end of four gigabytes.
    head[257..265].copy_from_slice(b"ustar  \0");
    head[386..398].copy_from_slice(b"37777777777\0");
    head[398..410].copy_from_slice(b"00000000000\0");
    head[483..495].copy_from_slice(b"37777777777\0");
    head[148..156].copy_from_slice(b"        ");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    refused(Place::new().unpack(Archive::Tar(Packing::None), &tar(&[head]), 1 << 20), "sparse", "too much");
}

#[test]
fn names_with_odd_bytes_are_refused_or_made_as_they_are() {
    let pax = |name: &[u8]| {
        let line = [&b" path="[..], name, b"\n"].concat();
        let length = (1..).find(|length: &usize| length.to_string().len() + line.len() == *length).unwrap();
        entry(b"pax", b'x', b"", 0o644, &[length.to_string().as_bytes(), &line].concat())
    };
    refused(Place::new().tar(&[pax(b"a\0b"), file("x", "")]), "a", "NUL");
    refused(Place::new().tar(&[pax(&b"n".repeat(300)), file("x", "")]), "nnn", "can't be made");
    refused(Place::new().tar(&[pax(&b"n/".repeat(3000)), file("x", "")]), "n/n/", "too long");
    let place = Place::new();
    place.tar(&[pax(b"\xff\xfe\x1b[31m"), file("x", "odd")]).unwrap();
    assert_eq!(fs::read_dir(place.sandbox()).unwrap().count(), 1);
}

#[test]
fn the_same_name_twice_is_the_later_one() {
    let place = Place::new();
    place.tar(&[entry(b"a", b'0', b"", 0o600, b"first, and longer"), file("a", "second")]).unwrap();
    assert_eq!((place.read("a"), place.mode("a")), ("second".into(), 0o644));
    refused(place.tar(&[entry(b"d", b'5', b"", 0o755, b""), file("d", "")]), "d", "directory is in the way");
}

#[test]
fn what_is_cut_off_or_no_archive_is_an_error() {
    let whole = tar(&[file("a", &"x".repeat(2000))]);
    let kinds = [
        Archive::Tar(Packing::Gzip),
        Archive::Tar(Packing::Xz),
        Archive::Tar(Packing::Bzip2),
        Archive::Gzip,
        Archive::Zip,
    ];
    for archive in kinds {
        assert!(Place::new().unpack(archive, b"this is none", PLENTY).is_err(), "{archive:?}");
    }
    let error = Place::new().unpack(Archive::Tar(Packing::None), &whole[..1024], PLENTY).unwrap_err();
    assert!(error.to_string().contains("'a'"), "{error}");
}

/// A small archive of hostile and honest entries.
fn any_entry() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "a",
        "b",
        "a/b",
        "a/b/c",
        "../beside/secret",
        "/x",
        "b/../..",
        "stdout",
        ".",
    ]);
    let kind = prop::sample::select(b"0123456775LKxgS".to_vec());
    let link = prop::sample::select(vec!["a", "b", "..", "../beside", "../beside/secret", "/", "a/b"]);
    (name, kind, link, 0..0o10000u32, prop::collection::vec(any::<u8>(), 0..700)).prop_map(
        |(name, kind, link, mode, content)| {
            let content = if b"12345".contains(&kind) { &[][..] } else { &content };
            entry(name.as_bytes(), kind, link.as_bytes(), mode, content)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_an_archive_holds_nothing_is_made_outside(
        entries in prop::collection::vec(any_entry(), 0..12),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        packing in 0..3u8,
    ) {
        let mut bytes = tar(&entries);
        for (at, byte) in &damage {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let place = Place::new();
        // It may be unpacked or refused: what is outside is looked at either way.
        let _ = match packing {
            0 => place.unpack(Archive::Tar(Packing::None), &bytes, PLENTY),
            1 => {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
                gzip.write_all(&bytes).unwrap();
                place.unpack(Archive::Tar(Packing::Gzip), &gzip.finish().unwrap(), PLENTY)
            }
            _ => {
                let mut bytes = zip(b"../beside/secret", 0o100_644, &bytes);
                for (at, byte) in &damage {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                place.unpack(Archive::Zip, &bytes, PLENTY)
            }
        };
    }
}
