//! Random lives of a store beside a model of it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    /// One batch: which records, and whether they are put or removed.
    Write(Vec<(u8, bool, usize)>),
    Reopen,
    /// As a killed process leaves it.
    Killed,
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = prop_oneof![6 => 0..600_usize, 1 => 1_900..2_200_usize, 1 => 20_000..300_000_usize];
    prop_oneof![
        12 => vec((0..24_u8, prop::bool::weighted(0.6), bytes), 0..9).prop_map(Op::Write),
        1 => Just(Op::Reopen),
        1 => Just(Op::Killed),
    ]
}

fn change((which, put_it, bytes): (u8, bool, usize)) -> Change {
    let record = match which {
        0 => agent(),
        1 => drain(),
        2 => framework(),
        3..9 => executor(&which.to_string()),
        9..17 => task(&which.to_string(), bytes),
        _ => update("t1", u64::from(which), bytes % 2 == 0),
    };
    if put_it { put(record) } else { Change::Remove(record.key()) }
}

struct Pair {
    model: Records,
    store: Option<Open>,
    root: tempfile::TempDir,
    lives: u32,
}

impl Pair {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Write(changes) => {
                let changes: Vec<Change> = changes.into_iter().map(change).collect();
                changes.iter().cloned().for_each(|change| self.model.change(change));
                self.store.as_mut().unwrap().begin(changes);
            }
            Op::Reopen => self.reopen(false),
            Op::Killed => self.reopen(true),
        }
    }

    fn reopen(&mut self, killed: bool) {
        let mut directory = self.root.path().join(self.lives.to_string());
        if killed {
            let store = self.store.as_mut().unwrap();
            store.wait(store.number);
            self.lives += 1;
            let copied = self.root.path().join(self.lives.to_string());
            support::copy(&directory, &copied);
            directory = copied;
        }
        // The old life ends first: all that it was asked for is written then.
        self.store = None;
        let store = open(&directory).unwrap();
        assert_eq!(*store.records(), self.model);
        self.store = Some(store);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_store_holds_what_the_model_holds(ops in vec(op(), 20..80)) {
        let root = tempfile::tempdir().unwrap();
        let store = Some(open(&root.path().join("0")).unwrap());
        let mut pair = Pair { model: Records::default(), store, root, lives: 0 };
        for op in ops {
            pair.apply(op);
        }
        pair.reopen(false);
    }
}
