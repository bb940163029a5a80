//! One line of `/proc/<pid>/stat`.

use std::fs::File;
use std::io::Read;

/// More than the longest line.
const MAX_LINE: usize = 2048;

/// A thread of the kernel (`PF_KTHREAD`).
const KERNEL: u32 = 0x0020_0000;

/// What `/proc/<pid>/stat` says of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Its id.
    pub pid: i32,
    /// The letter of its state.
    pub state: u8,
    /// Its parent's id; 0: it is not to be seen from here.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// The kernel's flags (`PF_...`).
    pub flags: u32,
    /// Ticks outside the kernel: its own, and those of children that it has waited for.
    pub user_ticks: u64,
    /// Ticks in the kernel: the same.
    pub system_ticks: u64,
    /// How many threads it has.
    pub threads: u32,
    /// When it began, in ticks since the machine did. Ids are used again, but not with the same beginning.
    pub began: u64,
    /// Pages of memory that it holds.
    pub resident_pages: u64,
    /// Where its program's code ends and its stack begins; the first is set last. 0: not yet, not any more, or this user may not
    /// know.
    pub program: (u64, u64),
    /// How it has ended, as `wait` tells it; 0 where this user may not know.
    pub wait_status: i32,
}

impl Stat {
    /// What is said of a process now. `None`: there is none.
    pub fn of(pid: i32) -> Option<Self> {
        // The kernel gives the whole line at once.
        let mut line = [0; MAX_LINE];
        let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut line).ok()?;
        Self::parse(line.get(..length)?)
    }

    /// Reads `pid (name) state parent ...`; the name may hold anything, parentheses included.
    fn parse(line: &[u8]) -> Option<Self> {
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let head = std::str::from_utf8(line.split(|byte| *byte == b' ').next()?).ok()?;
        let tail = std::str::from_utf8(line.get(end + 1..)?).ok()?;
        let mut fields = [""; 50];
        let mut count = 0;
        for (place, field) in fields.iter_mut().zip(tail.split_ascii_whitespace()) {
            *place = field;
            count += 1;
        }
        // Those of proc(5), by their numbers there.
        let field = |number: usize| fields.get(..count)?.get(number - 3).copied();
        let time = |own: usize, children: usize| -> Option<u64> {
            let all: [i64; 2] = [field(own)?.parse().ok()?, field(children)?.parse().ok()?];
            Some(all.into_iter().filter_map(|ticks| u64::try_from(ticks).ok()).fold(0, u64::saturating_add))
        };
        Some(Self {
            pid: head.parse().ok()?,
            state: *field(3)?.as_bytes().first()?,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            flags: field(9)?.parse().ok()?,
            user_ticks: time(14, 16)?,
            system_ticks: time(15, 17)?,
            threads: field(20)?.parse().ok()?,
            began: field(22)?.parse().ok()?,
            resident_pages: field(24)?.parse().ok()?,
            program: (field(27)?.parse().ok()?, field(28)?.parse().ok()?),
            wait_status: field(52).and_then(|status| status.parse().ok()).unwrap_or_default(),
        })
    }

    /// Whether it runs, or could. One whose first thread has ended lives on with its others.
    pub fn lives(&self) -> bool {
        !matches!(self.state, b'Z' | b'X') || self.first_thread_ended()
    }

    /// Whether it lives without its first thread.
    pub fn first_thread_ended(&self) -> bool {
        self.state == b'Z' && self.threads > 1
    }

    /// Whether it has ended and its parent has not waited for it yet.
    pub fn is_unreaped(&self) -> bool {
        self.state == b'Z' && !self.first_thread_ended()
    }

    /// Whether it is the kernel's own.
    pub fn is_kernel(&self) -> bool {
        self.flags & KERNEL != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "42 (a) b) S 7 41 40 0 -1 4194560 100 0 0 0 150 25 50 5 20 0 3 0 12345 1000000 256 \
                        18446744073709551615 1 2 77 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 3 4 5 6 7 8 9 256";

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = Stat::parse(LINE.as_bytes()).unwrap();
        let expected = Stat {
            pid: 42,
            state: b'S',
            parent: 7,
            group: 41,
            session: 40,
            flags: 4_194_560,
            user_ticks: 200,
            system_ticks: 30,
            threads: 3,
            began: 12345,
            resident_pages: 256,
            program: (2, 77),
            wait_status: 256,
        };
        assert_eq!(stat, expected);
        assert!(stat.lives() && !stat.is_kernel() && !stat.is_unreaped());
    }

    #[test]
    fn a_name_may_be_any_bytes() {
        for name in [&b"a) Z 1 (b"[..], b"\xff\xfe", b"", b" ", b"\n) S"] {
            let line = [b"42 (", name, &LINE.as_bytes()[8..]].concat();
            assert_eq!(Stat::parse(&line), Stat::parse(LINE.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn what_is_cut_off_is_no_line() {
        let enough = LINE.find(" 77 ").unwrap();
        for length in 0..=enough {
            assert_eq!(Stat::parse(&LINE.as_bytes()[..length]), None, "{length}");
        }
        let short = Stat::parse(&LINE.as_bytes()[..enough + 3]).unwrap();
        assert_eq!((short.program, short.wait_status), ((2, 77), 0));
        assert_eq!(Stat::parse(b"42 (sh) Z 7 42 40 0"), None);
    }

    #[test]
    fn the_dead_are_told_from_those_whose_first_thread_has_ended() {
        let stat = |state, threads| Stat { state, threads, ..Stat::default() };
        assert!(stat(b'T', 1).lives());
        assert!(!stat(b'Z', 1).lives() && stat(b'Z', 1).is_unreaped());
        assert!(stat(b'Z', 2).lives() && !stat(b'Z', 2).is_unreaped());
        assert!(!stat(b'X', 0).lives());
    }

    #[test]
    fn this_process_is_read() {
        let own = Stat::of(std::process::id().cast_signed()).unwrap();
        assert!(
            own.lives() && own.threads > 1 && own.resident_pages > 0 && own.began > 0 && own.program.0 != 0
        );
        assert_eq!(Stat::of(i32::MAX), None);
    }
}
