//! What was thought of, or found.

use std::time::Duration;

use super::group::Group;
use crate::replication::Disposition;

const PACE: Duration = Duration::from_millis(400);

#[test]
fn one_master_leads_at_once() {
    let mut group = Group::new(1, 1, 0, PACE);
    group.world.run_for(Duration::from_millis(50));
    assert_eq!(group.leader(), Some(1), "without waiting for an election");
    group.assert_settled(&[1]);
    assert!(!group.ledger.borrow().acknowledged.is_empty());
    assert_eq!(group.replica(1).disposition(), &Disposition::Leading);
}

#[test]
fn three_masters_agree() {
    let mut group = Group::new(1, 3, 0, PACE);
    group.await_leader(&[]);
    group.assert_settled(&[1, 2, 3]);
    assert!(group.ledger.borrow().acknowledged.len() > 20);
}
