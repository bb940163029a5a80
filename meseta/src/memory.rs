//! What a daemon lets go of once it has started.
//!
//! Flags, probing and the first registration run through much of the program that is never run again; the kernel maps
//! sixteen pages around each that is touched. Of some 12 MB of program text that are resident then, an idle daemon uses less
//! than 4 MB.
#![allow(unsafe_code, reason = "madvise")]

use std::ffi::c_void;
use std::fs;
use std::io;
use std::ptr::NonNull;
use std::time::Duration;

use libactor::Clock;
use nix::sys::mman::{MmapAdvise, madvise};

/// When a daemon counts as started. Ours: an agent has registered by then.
const STARTED: Duration = Duration::from_secs(5);

/// Lets go of the program's text, some seconds from now. What is run again is mapped again, mostly without a read: it stays
/// in the page cache, which all processes of this program share.
pub async fn let_go_of_the_start(clock: Clock) {
    clock.sleep_until(clock.now() + STARTED).await;
    match let_go() {
        Ok(bytes) => tracing::debug!(bytes, "the text that the start has needed is let go"),
        Err(error) => tracing::debug!(%error, "the text that the start has needed stays resident"),
    }
}

fn let_go() -> io::Result<usize> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut total = 0;
    for (begin, end) in maps.lines().filter_map(text_of_a_file) {
        let Some(address) = NonNull::new(begin as *mut c_void) else { continue };
        // SAFETY: the range is a mapping of this process that is private, executable and not writable, and has a file
        // behind it: nobody has changed a byte of it, so what is let go is read again as it was when it is touched. Text
        // without relocations is never written to, also by the dynamic linker. Nothing unmaps it: it is that of the program
        // and its libraries.
        unsafe { madvise(address, end - begin, MmapAdvise::MADV_DONTNEED) }?;
        total += end - begin;
    }
    Ok(total)
}

/// The range of a line of `maps` that is the text of a program or library.
fn text_of_a_file(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights) = (words.next()?, words.next()?);
    let path = words.nth(3)?;
    if rights != "r-xp" || !path.starts_with('/') {
        return None;
    }
    let (begin, end) = range.split_once('-')?;
    Some((usize::from_str_radix(begin, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_of_files_counts() {
        let line = |rights: &str, path: &str| format!("1000-3000 {rights} 00001000 fe:00 42   {path}");
        assert_eq!(text_of_a_file(&line("r-xp", "/usr/bin/meseta")), Some((0x1000, 0x3000)));
        for (rights, path) in [("r--p", "/usr/bin/meseta"), ("rwxp", "/usr/bin/meseta"), ("r-xp", "[vdso]")] {
            assert_eq!(text_of_a_file(&line(rights, path)), None);
        }
        assert_eq!(text_of_a_file("1000-3000 r-xp 00000000 00:00 0"), None);
    }

    #[test]
    fn the_program_goes_on_afterwards() {
        assert!(let_go().unwrap() > 1 << 20);
        assert_eq!(format!("{}", std::hint::black_box(6) * 7), "42");
    }
}
