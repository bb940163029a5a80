//! What a URI says. A framework may end it with `#sha256=<64 hexadecimal digits>`: then it is what has this sum, or the task
//! fails. (Mesos has no such field; the fragment of a URI is never sent to a server.)

use std::path::{Path, PathBuf};

use protocol::Uri;
use serde::{Deserialize, Serialize};

/// Longest URI in a message, bytes.
const SHOWN: usize = 512;
const SHA256: &str = "#sha256=";
/// What others write into the sandbox: never to be made by what is fetched.
pub(super) const RESERVED: [&str; 2] = ["stdout", "stderr"];

/// Where something comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Source {
    /// By `http` or `https`.
    Http(String),
    /// A file of this machine, absolute.
    File(PathBuf),
}

/// What to do with what has been fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Handling {
    /// A plain file.
    Keep,
    /// A file that can be executed.
    Executable,
    /// To be unpacked.
    Unpack(Archive),
}

/// The kinds of archives, told by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Archive {
    /// `.tar` and what it may be packed with.
    Tar(Packing),
    /// `.gz`: one file.
    Gzip,
    /// `.zip`.
    Zip,
}

/// What an archive is packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Packing {
    None,
    Gzip,
    Xz,
    Bzip2,
}

/// One thing to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) source: Source,
    /// In the sandbox, relative.
    pub(super) name: String,
    pub(super) handling: Handling,
    pub(super) cache: bool,
    /// In small letters.
    pub(super) sha256: Option<String>,
}

impl Item {
    /// Reads what a framework has said.
    pub(super) fn of(uri: &Uri, frameworks_home: Option<&Path>) -> Result<Self, String> {
        let (value, sha256) = match uri.value.rsplit_once(SHA256) {
            Some((value, sum)) => (value, Some(checked(sum)?)),
            None => (uri.value.as_str(), None),
        };
        let source = source(value, frameworks_home)?;
        let name = match &uri.output_file {
            Some(name) => name.clone(),
            None => last_part(value)?.to_owned(),
        };
        let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
        let first = parts.clone().next().ok_or("it has no file name: say output_file")?;
        if name.starts_with('/') || parts.clone().any(|part| part == "..") || name.contains('\0') {
            return Err(format!("the output file '{name}' is not a path within the sandbox"));
        }
        if parts.clone().count() == 1 && RESERVED.contains(&first) {
            return Err(format!("the sandbox's '{first}' is the task's output: say another output_file"));
        }
        let handling = match (uri.executable, uri.extract) {
            (true, _) => Handling::Executable,
            (false, true) => archive(&name).map_or(Handling::Keep, Handling::Unpack),
            (false, false) => Handling::Keep,
        };
        Ok(Self { source, name, handling, cache: uri.cache, sha256 })
    }
}

fn checked(sum: &str) -> Result<String, String> {
    match sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(sum.to_ascii_lowercase()),
        false => Err(format!("'{sum}' is not a SHA-256 sum: 64 hexadecimal digits")),
    }
}

fn source(value: &str, frameworks_home: Option<&Path>) -> Result<Source, String> {
    let scheme = value.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    match scheme {
        Some((scheme, rest)) if scheme == "file" => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            match path.starts_with('/') {
                true => Ok(Source::File(path.into())),
                false => Err("a file of this machine is named file:///path".into()),
            }
        }
        Some((scheme, rest)) if scheme == "http" || scheme == "https" => {
            Ok(Source::Http(format!("{scheme}://{rest}")))
        }
        Some((scheme, _)) => Err(format!(
            "'{scheme}' is not supported: use http, https, file, or a path of the agent's machine"
        )),
        None if value.starts_with('/') => Ok(Source::File(value.into())),
        None => {
            let home = frameworks_home.ok_or("it is relative, and the agent has no --frameworks_home")?;
            match Path::new(value).components().all(|part| matches!(part, std::path::Component::Normal(_))) {
                true => Ok(Source::File(home.join(value))),
                false => Err("a relative path leads below --frameworks_home, without '..'".into()),
            }
        }
    }
}

/// The last part of the path, without a query.
fn last_part(value: &str) -> Result<&str, String> {
    let path =
        value.split_once("://").map_or(value, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = if value.contains("://") { path.split(['?', '#']).next().unwrap_or(path) } else { path };
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        "" | "." | ".." => Err("it has no file name: say output_file".into()),
        name => Ok(name),
    }
}

fn archive(name: &str) -> Option<Archive> {
    let name = name.to_ascii_lowercase();
    let is = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    Some(match () {
        () if is(&[".tar"]) => Archive::Tar(Packing::None),
        () if is(&[".tar.gz", ".tgz"]) => Archive::Tar(Packing::Gzip),
        () if is(&[".tar.xz", ".txz"]) => Archive::Tar(Packing::Xz),
        () if is(&[".tar.bz2", ".tbz2"]) => Archive::Tar(Packing::Bzip2),
        () if is(&[".gz"]) => Archive::Gzip,
        () if is(&[".zip"]) => Archive::Zip,
        () => return None,
    })
}

/// A URI for people: shortened, and without what is secret in `user:password@`.
pub(super) fn shown(value: &str) -> String {
    let mut text = match value.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => value.to_owned(),
    };
    if text.len() > SHOWN {
        let end = (0..=SHOWN).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(value: &str) -> Uri {
        Uri { value: value.into(), executable: false, extract: true, cache: false, output_file: None }
    }

    fn of(value: &str) -> Result<Item, String> {
        Item::of(&uri(value), Some(Path::new("/home")))
    }

    #[test]
    fn sources_and_names_are_told() {
        for (value, source, name) in [
            ("/a/b", Source::File("/a/b".into()), "b"),
            ("file:///a/b c", Source::File("/a/b c".into()), "b c"),
            ("FILE://localhost/a/b", Source::File("/a/b".into()), "b"),
            ("x/y", Source::File("/home/x/y".into()), "y"),
            ("http://h:1/p/a.b?q=/c#d", Source::Http("http://h:1/p/a.b?q=/c#d".into()), "a.b"),
            ("HTTPS://h/p", Source::Http("https://h/p".into()), "p"),
        ] {
            let item = of(value).unwrap();
            assert_eq!((item.source, item.name.as_str()), (source, name), "{value}");
        }
    }

    #[test]
    fn what_can_not_be_is_refused_with_a_sentence() {
        let sum = "#sha256=12";
        for (value, part) in [
            ("http://h", "output_file"),
            ("http://h/", "output_file"),
            ("/a/..", "output_file"),
            ("ftp://h/a", "'ftp' is not supported"),
            ("file://a", "file:///path"),
            ("../a", "without '..'"),
            ("/a/stdout", "task's output"),
            (&format!("/a/b{sum}"), "64 hexadecimal"),
        ] {
            let error = of(value).unwrap_err();
            assert!(error.contains(part), "{value}: {error}");
        }
        assert!(Item::of(&uri("a"), None).unwrap_err().contains("--frameworks_home"));
        for name in ["../a", "/a", "a/../../b", "./stderr", "."] {
            let uri = Uri { output_file: Some(name.into()), ..uri("/a") };
            assert!(Item::of(&uri, None).is_err(), "{name}");
        }
    }

    #[test]
    fn archives_are_told_by_their_names_and_executables_are_none() {
        let unpack = |value: &str| match of(value).unwrap().handling {
            Handling::Unpack(archive) => Some(archive),
            _ => None,
        };
        assert_eq!(unpack("/a.TGZ"), Some(Archive::Tar(Packing::Gzip)));
        assert_eq!(unpack("/a.tar.xz"), Some(Archive::Tar(Packing::Xz)));
        assert_eq!(unpack("/a.gz"), Some(Archive::Gzip));
        assert_eq!(unpack("http://h/a.zip?x"), Some(Archive::Zip));
        assert_eq!(unpack("/a.jar"), None);
        let executable = Uri { executable: true, ..uri("/a.zip") };
        assert_eq!(Item::of(&executable, None).unwrap().handling, Handling::Executable);
        let kept = Uri { extract: false, ..uri("/a.zip") };
        assert_eq!(Item::of(&kept, None).unwrap().handling, Handling::Keep);
    }

    #[test]
    fn a_sum_is_taken_from_the_end() {
        let sum = "AB".repeat(32);
        let item = of(&format!("http://h/a.zip#sha256={sum}")).unwrap();
        assert_eq!(item.sha256, Some("ab".repeat(32)));
        assert_eq!(item.source, Source::Http("http://h/a.zip".into()));
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(shown("https://me:secret@h/a"), "https://h/a");
        assert_eq!(shown("https://h/a@b"), "https://h/a@b");
        assert!(shown(&"ä".repeat(1000)).len() <= SHOWN + 3);
    }
}
