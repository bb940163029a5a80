//! Lists a directory.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstat, fstatat};
use nix::unistd::{Gid, Group, Uid, User};

use super::FilesError;
use super::beneath::{Root, Way, kind, open_directory};
use super::limits::{LISTED_BYTES, LISTED_ENTRIES, LISTED_LINKS, LISTED_OWNERS};
use super::roots::Found;

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// The virtual path: what was asked for, and the entry's name. What of the name is not UTF-8 is replaced.
    pub path: String,
    /// Names that it has.
    pub nlink: u64,
    /// In bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub mtime: i64,
    /// Type and permissions, as `stat` has them.
    pub mode: u32,
    /// Name of the owner; the number if there is no name.
    pub uid: String,
    /// Name of the group; the number if there is no name.
    pub gid: String,
}

impl FileInfo {
    /// Type and permissions as `ls` shows them: `-rw-r--r--`.
    pub fn mode_text(&self) -> String {
        let kind = match SFlag::from_bits_truncate(self.mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => 'd',
            SFlag::S_IFLNK => 'l',
            SFlag::S_IFCHR => 'c',
            SFlag::S_IFBLK => 'b',
            SFlag::S_IFIFO => 'p',
            SFlag::S_IFSOCK => 's',
            _ => '-',
        };
        let bits = (0..9).rev().zip("rwxrwxrwx".chars());
        let permissions = bits.map(|(bit, letter)| if self.mode >> bit & 1 == 1 { letter } else { '-' });
        std::iter::once(kind).chain(permissions).collect()
    }
}

/// The entries of a directory, sorted by path; of anything else, none.
///
/// A symbolic link is shown as what it leads to; one that leads out, or nowhere, as itself.
pub(super) fn list(found: &Found, way: Way) -> Result<Vec<FileInfo>, FilesError> {
    list_within(found, way, Bounds { entries: LISTED_ENTRIES, bytes: LISTED_BYTES, links: LISTED_LINKS })
}

/// What a list may hold.
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: usize,
    /// Links that are followed.
    pub(super) links: usize,
}

pub(super) fn list_within(found: &Found, way: Way, bounds: Bounds) -> Result<Vec<FileInfo>, FilesError> {
    let failed = |error| FilesError::system(&found.path, error);
    let root = Root::open(found.root.clone(), way).map_err(failed)?;
    let handle = root.find(Path::new(&found.rest)).map_err(failed)?;
    if kind(&fstat(&handle).map_err(failed)?) != SFlag::S_IFDIR {
        return Ok(Vec::new());
    }
    let mut directory = open_directory(&handle).and_then(Dir::from_fd).map_err(failed)?;
    let mut list = List { root, found, directory: handle, owners: Owners::default(), links: bounds.links };
    let mut infos = Vec::new();
    let mut bytes = 0;
    for entry in directory.iter() {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let info = match list.info(name) {
            Ok(info) => info,
            // It was removed meanwhile.
            Err(Errno::ENOENT) => continue,
            Err(error) => return Err(failed(error)),
        };
        bytes += info.path.len();
        if infos.len() >= bounds.entries || bytes > bounds.bytes {
            return Err(FilesError::Refused(format!(
                "'{}' has more entries than are listed: at most {}, with paths of {} bytes together. Ask for a \
                 directory below it, or for a file.",
                found.path, bounds.entries, bounds.bytes
            )));
        }
        infos.push(info);
    }
    infos.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(infos)
}

/// A list in the making.
struct List<'a> {
    root: Root,
    found: &'a Found,
    directory: OwnedFd,
    owners: Owners,
    /// Links that may still be followed.
    links: usize,
}

impl List<'_> {
    fn info(&mut self, name: &CStr) -> Result<FileInfo, Errno> {
        let mut stat = fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if kind(&stat) == SFlag::S_IFLNK && self.links > 0 {
            self.links -= 1;
            let path = Path::new(&self.found.rest).join(OsStr::from_bytes(name.to_bytes()));
            if let Ok(target) = self.root.find(&path).and_then(|handle| fstat(&handle)) {
                stat = target;
            }
        }
        let path = format!("{}/{}", self.found.path, name.to_string_lossy());
        Ok(self.owners.info(path, &stat))
    }
}

/// Names of users and groups, each looked up once.
#[derive(Default)]
struct Owners {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Owners {
    #[allow(clippy::unnecessary_cast, reason = "the types of these fields depend on the processor")]
    fn info(&mut self, path: String, stat: &FileStat) -> FileInfo {
        let user = |id| User::from_uid(Uid::from_raw(id)).ok().flatten().map(|user| user.name);
        let group = |id| Group::from_gid(Gid::from_raw(id)).ok().flatten().map(|group| group.name);
        FileInfo {
            path,
            nlink: stat.st_nlink as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: (stat.st_mtime as i64)
                .saturating_mul(1_000_000_000)
                .saturating_add(stat.st_mtime_nsec as i64),
            mode: stat.st_mode,
            uid: name(&mut self.users, stat.st_uid, user),
            gid: name(&mut self.groups, stat.st_gid, group),
        }
    }
}

fn name(known: &mut BTreeMap<u32, String>, id: u32, look_up: impl Fn(u32) -> Option<String>) -> String {
    if let Some(name) = known.get(&id) {
        return name.clone();
    }
    if known.len() >= LISTED_OWNERS {
        return id.to_string();
    }
    let name = look_up(id).unwrap_or_else(|| id.to_string());
    known.insert(id, name.clone());
    name
}
