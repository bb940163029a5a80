//! Which process a process id means: ids are used again, but not with the same beginning.

use libactor::processes::Stat;

/// When a process began, in ticks since the machine did. `None`: there is none.
pub(super) fn beginning(pid: i32) -> Option<u64> {
    Some(Stat::of(pid)?.began)
}

/// Whether a process with this id that began then lives.
pub(super) fn lives(pid: i32, began: u64) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.lives() && stat.began == began)
}

/// The wait status of a process that has ended and that its parent has not reaped yet. Only root is told of others'.
pub(super) fn unreaped(pid: i32, began: u64) -> Option<i32> {
    let stat = Stat::of(pid)?;
    (stat.is_unreaped() && stat.began == began).then_some(stat.wait_status)
}

/// A wait status as an exit status, or 128 + signal.
pub(super) fn exit_status(wait_status: i32) -> i32 {
    match wait_status & 0x7f {
        0 => (wait_status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_no_other_with_its_id() {
        let own = std::process::id().cast_signed();
        let began = beginning(own).unwrap();
        assert!(lives(own, began));
        assert!(!lives(own, began + 1));
        assert_eq!(beginning(i32::MAX), None);
        assert_eq!(unreaped(own, began), None);
    }

    #[test]
    fn wait_statuses_are_read() {
        assert_eq!([0, 3 << 8, 9, 11 | 0x80].map(exit_status), [0, 3, 137, 139]);
    }
}
