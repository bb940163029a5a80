//! Names that a task's processes give themselves, for messages and logs of ours.

use std::fs;

/// The name of a process, without what would be no plain text in a message: it may have named itself anything. `None`: there is
/// no such process.
pub(super) fn of_process(pid: impl std::fmt::Display) -> Option<String> {
    fs::read(format!("/proc/{pid}/comm")).ok().map(|name| plain(&name))
}

fn plain(name: &[u8]) -> String {
    let name = name.strip_suffix(b"\n").unwrap_or(name);
    String::from_utf8_lossy(name).chars().flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_plain_text_whatever_it_holds() {
        assert_eq!(plain(b"tail\n"), "tail");
        assert_eq!(plain(b"a\nERROR b\n"), "a\\nERROR b");
        assert_eq!(plain(b"\x1b[2Jx\n"), "\\u{1b}[2Jx");
        assert_eq!(plain(b"\xff\xfe\n"), "\u{fffd}\u{fffd}");
        assert!(of_process(std::process::id()).is_some_and(|name| !name.is_empty()));
        assert_eq!(of_process(i32::MAX), None);
    }
}
