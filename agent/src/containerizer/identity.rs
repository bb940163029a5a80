//! Which process a process id means: ids are used again, but not with the same beginning.

use std::fs;

/// When a process began, in ticks since the machine did. `None`: there is none.
pub(super) fn beginning(pid: i32) -> Option<u64> {
    field(&stat(pid)?, 22)?.parse().ok()
}

/// Whether a process with this id that began then lives.
pub(super) fn lives(pid: i32, began: u64) -> bool {
    stat(pid).is_some_and(|text| {
        let ended = matches!(field(&text, 3), Some("Z" | "X") | None);
        !ended && field(&text, 22).and_then(|text| text.parse().ok()) == Some(began)
    })
}

/// The wait status of a process that has ended and that its parent has not reaped yet. Only root is told of others'.
pub(super) fn unreaped(pid: i32, began: u64) -> Option<i32> {
    let text = stat(pid)?;
    let this = field(&text, 3) == Some("Z") && field(&text, 22)?.parse() == Ok(began);
    this.then(|| field(&text, 52)?.parse().ok()).flatten()
}

/// A wait status as an exit status, or 128 + signal.
pub(super) fn exit_status(wait_status: i32) -> i32 {
    match wait_status & 0x7f {
        0 => (wait_status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

fn stat(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// A field by its number in `proc(5)`, from the third on: the name before may hold anything.
fn field(text: &str, number: usize) -> Option<&str> {
    text.rsplit_once(") ")?.1.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let text = "42 (a) b) S 7 42 40 0 -1 4194560 100 0 0 0 150 25 50 5 20 0 3 0 12345 1000000";
        assert_eq!((field(text, 3), field(text, 4), field(text, 22)), (Some("S"), Some("7"), Some("12345")));
        assert_eq!(field(text, 52), None);
    }

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
