//! Random lives of a disk beside a model of it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    /// So many entries, so many bytes each, the first one so far back.
    Append {
        count: u64,
        bytes: usize,
        back: u64,
        new_term: bool,
    },
    Vote {
        vote: u64,
    },
    Commit {
        by: u64,
    },
    Found,
    /// So far behind the commit, as a share of what there is.
    Save {
        share: u64,
    },
    Compact {
        kept: u64,
    },
    /// So far ahead, with so many entries behind it.
    Install {
        ahead: u64,
        count: u64,
    },
    Reopen,
    /// As a killed process leaves it.
    Killed,
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = prop_oneof![4 => 0..400_usize, 1 => 3_900..4_200_usize, 1 => 10_000..700_000_usize];
    prop_oneof![
        8 => (1..12_u64, bytes, 0..9_u64, any::<bool>()).prop_map(|(count, bytes, back, new_term)| {
            let count = if bytes > 10_000 { 1 } else { count };
            Op::Append { count, bytes, back: back.saturating_sub(4), new_term }
        }),
        2 => (0..4_u64).prop_map(|vote| Op::Vote { vote }),
        4 => (0..9_u64).prop_map(|by| Op::Commit { by }),
        1 => Just(Op::Found),
        2 => (0..5_u64).prop_map(|share| Op::Save { share }),
        3 => (0..6_u64).prop_map(|kept| Op::Compact { kept }),
        1 => (1..20_u64, 0..4_u64).prop_map(|(ahead, count)| Op::Install { ahead, count }),
        1 => Just(Op::Reopen),
        1 => Just(Op::Killed),
    ]
}

/// What must be there, and the disk that is to hold it.
struct Pair {
    model: Recovered,
    /// Absent between two lives.
    disk: Option<Open>,
    root: tempfile::TempDir,
    /// Counts directories.
    lives: u64,
    /// Whether the next write waits.
    hurried: bool,
}

impl Pair {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (disk, model) = open(&root.path().join("0")).unwrap();
        Self { model, disk: Some(disk), root, lives: 0, hurried: false }
    }

    fn disk(&mut self) -> &mut Open {
        self.disk.as_mut().unwrap()
    }

    fn last(&self) -> u64 {
        self.model.entries.last().map_or(self.model.snapshot.position.index, |entry| entry.index)
    }

    fn persist(&mut self, persist: Persist) {
        // Every other write is one of a group, and what nothing depends on is not synced.
        self.hurried = !self.hurried;
        let sync = !persist.entries.is_empty() || persist.install.is_some();
        if self.hurried {
            self.disk().begin(Persist { sync, ..persist });
        } else {
            self.disk().persist(persist);
        }
    }

    fn truncate_and_extend(&mut self, entries: &[Entry]) {
        let first = entries[0].index;
        self.model.entries.retain(|entry| entry.index < first);
        self.model.entries.extend_from_slice(entries);
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Append { count, bytes, back, new_term } => {
                let hard_state = &mut self.model.hard_state;
                hard_state.term += u64::from(new_term);
                let (hard_state, commit) = (*hard_state, hard_state.commit);
                let first = (self.last() + 1).saturating_sub(back).max(commit + 1);
                let entries: Vec<Entry> =
                    (first..first + count).map(|index| entry(index, hard_state.term, bytes)).collect();
                self.truncate_and_extend(&entries);
                self.persist(Persist { entries, hard_state: Some(hard_state), ..Persist::default() });
            }
            Op::Vote { vote } => {
                self.model.hard_state.term += 1;
                self.model.hard_state.vote = vote;
                self.persist(Persist { hard_state: Some(self.model.hard_state), ..Persist::default() });
            }
            Op::Commit { by } => {
                let commit = (self.model.hard_state.commit + by).min(self.last());
                self.model.hard_state.commit = commit;
                self.persist(Persist { hard_state: Some(self.model.hard_state), ..Persist::default() });
            }
            Op::Found => {
                self.model.identity.cluster = Some(cluster());
                self.persist(Persist { identity: Some(self.model.identity.clone()), ..Persist::default() });
            }
            Op::Save { share } => self.save(share),
            Op::Compact { kept } => {
                let before = (self.model.snapshot.position.index + 1).saturating_sub(kept);
                self.disk().sled.compact(before);
            }
            Op::Install { ahead, count } => self.install(ahead, count),
            Op::Reopen => self.reopen(false),
            Op::Killed => self.reopen(true),
        }
    }

    fn save(&mut self, share: u64) {
        let (held, commit) = (self.model.snapshot.position.index, self.model.hard_state.commit);
        let index = held + (commit - held) * share / 4;
        let Some(entry) = self.model.entries.iter().find(|entry| entry.index == index) else { return };
        let saved = snapshot(index, entry.term);
        // What was hurried is reported first.
        self.disk().persist(Persist::default());
        self.disk().save(saved.clone());
        self.model.snapshot = saved;
        self.model.entries.retain(|entry| entry.index > index);
    }

    fn install(&mut self, ahead: u64, count: u64) {
        let index = self.last() + ahead;
        let term = self.model.hard_state.term;
        let installed = snapshot(index, term);
        let entries: Vec<Entry> = (index + 1..=index + count).map(|index| entry(index, term, 50)).collect();
        self.model.snapshot = installed.clone();
        self.model.entries = entries.clone();
        self.model.hard_state.commit = index;
        let hard_state = Some(self.model.hard_state);
        self.persist(Persist { install: Some(installed), entries, hard_state, ..Persist::default() });
    }

    fn reopen(&mut self, killed: bool) {
        let mut directory = self.root.path().join(self.lives.to_string());
        if killed {
            self.disk().persist(Persist::default());
            self.lives += 1;
            let copied = self.root.path().join(self.lives.to_string());
            support::copy(&directory, &copied);
            directory = copied;
        }
        // The old life ends first: all that it was asked for is written then.
        self.disk = None;
        let (disk, found) = open(&directory).unwrap();
        self.disk = Some(disk);
        assert_eq!(found, self.model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_disk_holds_what_the_model_holds(ops in vec(op(), 20..50)) {
        let mut pair = Pair::new();
        for op in ops {
            pair.apply(op);
        }
        pair.reopen(false);
    }
}
