//! Whether a GPU is well, from what it tells. Plain data, without a clock.

use std::collections::BTreeMap;

use super::driver::{Event, EventKind, Vitals};

/// Errors that the program on the GPU has made, not the GPU. Source: NVIDIA k8s-device-plugin.
const OF_PROGRAMS: &[u64] = &[13, 31, 43, 45, 68, 109];

/// What the more usual numbers mean. Source: NVIDIA's catalogue of XIDs.
const MEANINGS: &[(u64, &str)] = &[
    (13, "graphics engine exception"),
    (31, "a program has reached for memory that is not its own"),
    (43, "the GPU has stopped processing for a program"),
    (45, "cleanup after a program"),
    (46, "the GPU has stopped processing"),
    (48, "a memory error that could not be corrected (double-bit ECC)"),
    (61, "internal microcontroller breakpoint"),
    (62, "internal microcontroller halt"),
    (63, "a page of memory, or a row, is retired"),
    (64, "a page of memory, or a row, could not be retired"),
    (68, "video processor exception"),
    (69, "graphics engine class error"),
    (74, "NVLink error"),
    (79, "the GPU has fallen off the bus"),
    (92, "high rate of corrected memory errors"),
    (94, "contained memory error that could not be corrected"),
    (95, "uncontained memory error that could not be corrected"),
    (109, "context switch timeout"),
    (119, "the GPU's system processor does not answer"),
    (120, "error of the GPU's system processor"),
    (140, "unrecovered ECC error"),
];

/// What follows from what a GPU tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It can't be used any more.
    Ill {
        /// Which; absent: the driver does not say, so it may be any.
        gpu: Option<String>,
        /// The instance of it; absent: all of it.
        gpu_instance: Option<u32>,
        /// What is wrong, for people.
        problem: String,
    },
    /// It can be used again, all of it.
    Well {
        /// Which.
        gpu: String,
    },
    /// A program on it has failed; the GPU has not.
    Program {
        /// Which.
        gpu: Option<String>,
        /// What has happened, for people.
        what: String,
    },
    /// What there is has to be looked at again.
    LookAgain,
}

/// What is known of each GPU.
#[derive(Clone, Debug, Default)]
pub(super) struct Charts(BTreeMap<String, Chart>);

#[derive(Clone, Debug, Default)]
struct Chart {
    /// What it told last while it answered.
    last: Option<Vitals>,
    /// Whether it has not answered since.
    away: bool,
    ill: bool,
}

impl Charts {
    /// What follows from an event.
    pub(super) fn event(&mut self, event: Event) -> Verdict {
        let Event { gpu, gpu_instance, kind } = event;
        let problem = match kind {
            EventKind::Divided => return Verdict::LookAgain,
            EventKind::Xid(xid) if OF_PROGRAMS.contains(&xid) => {
                return Verdict::Program { gpu, what: named(xid) };
            }
            EventKind::Xid(xid) => named(xid),
            EventKind::DoubleBit => "a memory error that could not be corrected (double-bit ECC)".to_owned(),
        };
        for (uuid, chart) in &mut self.0 {
            chart.ill |= gpu.as_ref().is_none_or(|gpu| gpu == uuid);
        }
        if let Some(gpu) = &gpu {
            self.0.entry(gpu.clone()).or_default().ill = true;
        }
        Verdict::Ill { gpu, gpu_instance, problem }
    }

    /// What follows from how a GPU is now. One that fell ill is well again when it has been made anew since: it was away
    /// and is back, or counts again from the beginning.
    pub(super) fn vitals(&mut self, gpu: &str, now: Vitals) -> Option<Verdict> {
        let chart = self.0.entry(gpu.to_owned()).or_default();
        let ill = |problem| Some(Verdict::Ill { gpu: Some(gpu.to_owned()), gpu_instance: None, problem });
        if let Some(problem) = now.problem {
            let known = std::mem::replace(&mut chart.away, true);
            chart.ill = true;
            return if known { None } else { ill(problem) };
        }
        let last = chart.last.replace(now.clone());
        let before = |of: fn(&Vitals) -> Option<u64>| last.as_ref().and_then(of);
        let less = |old: Option<u64>, new: Option<u64>| old.zip(new).is_some_and(|(old, new)| new < old);
        let anew = std::mem::take(&mut chart.away)
            || less(before(|vitals| vitals.energy), now.energy)
            || less(before(|vitals| vitals.uncorrected), now.uncorrected);
        if anew {
            let healed = std::mem::take(&mut chart.ill);
            return healed.then(|| Verdict::Well { gpu: gpu.to_owned() });
        }
        let errors =
            now.uncorrected.zip(before(|vitals| vitals.uncorrected)).map_or(0, |(new, old)| new - old);
        if errors > 0 {
            chart.ill = true;
            return ill(format!("{errors} memory errors that could not be corrected (double-bit ECC)"));
        }
        None
    }
}

/// `XID 79 (the GPU has fallen off the bus)`.
fn named(xid: u64) -> String {
    match MEANINGS.iter().find(|(number, _)| *number == xid) {
        Some((_, meaning)) => format!("XID {xid} ({meaning})"),
        None => format!("XID {xid} (see NVIDIA's catalogue of XIDs)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(uncorrected: u64, energy: u64) -> Vitals {
        Vitals { problem: None, uncorrected: Some(uncorrected), energy: Some(energy) }
    }

    fn silent() -> Vitals {
        Vitals { problem: Some("lost".into()), ..Vitals::default() }
    }

    fn ill(problem: &str) -> Verdict {
        Verdict::Ill { gpu: Some("a".into()), gpu_instance: None, problem: problem.into() }
    }

    fn well() -> Option<Verdict> {
        Some(Verdict::Well { gpu: "a".into() })
    }

    fn xid(number: u64) -> Event {
        Event { gpu: Some("a".into()), gpu_instance: None, kind: EventKind::Xid(number) }
    }

    #[test]
    fn what_programs_do_is_no_illness() {
        let mut charts = Charts::default();
        for number in OF_PROGRAMS {
            assert!(matches!(charts.event(xid(*number)), Verdict::Program { .. }), "{number}");
        }
        assert_eq!(charts.event(xid(79)), ill("XID 79 (the GPU has fallen off the bus)"));
        assert_eq!(charts.event(xid(777)), ill("XID 777 (see NVIDIA's catalogue of XIDs)"));
    }

    #[test]
    fn one_that_was_away_is_well_when_it_is_back() {
        let mut charts = Charts::default();
        assert_eq!(charts.vitals("a", answers(0, 10)), None);
        assert_eq!(charts.vitals("a", silent()), Some(ill("lost")));
        assert_eq!(charts.vitals("a", silent()), None, "it has been said");
        assert_eq!(charts.vitals("a", answers(0, 20)), well());
        assert_eq!(charts.vitals("a", answers(0, 30)), None);
    }

    #[test]
    fn an_error_is_over_when_the_gpu_is_made_anew() {
        let mut charts = Charts::default();
        assert_eq!(charts.vitals("a", answers(2, 10)), None, "of an earlier life");
        assert!(matches!(charts.event(xid(48)), Verdict::Ill { .. }));
        assert_eq!(charts.vitals("a", answers(2, 20)), None, "it answers, and is ill all the same");
        assert_eq!(charts.vitals("a", answers(0, 20)), well(), "its memory counts anew");
        assert!(matches!(charts.event(xid(48)), Verdict::Ill { .. }));
        assert_eq!(charts.vitals("a", answers(0, 1)), well(), "its energy counts anew");
    }

    #[test]
    fn memory_that_is_lost_is_seen_without_events() {
        let mut charts = Charts::default();
        assert_eq!(charts.vitals("a", answers(1, 10)), None);
        let problem = "2 memory errors that could not be corrected (double-bit ECC)";
        assert_eq!(charts.vitals("a", answers(3, 20)), Some(ill(problem)));
        assert_eq!(charts.vitals("a", Vitals::default()), None, "it tells nothing");
    }
}
