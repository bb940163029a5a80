//! Replicas on virtual time: their disks, their network, a proposer where one leads, and a ledger that nothing escapes.
//!
//! | file | what it holds |
//! |---|---|
//! | `disk.rs` | a disk with an unsynced tail |
//! | `ledger.rs` | what must hold, whoever leads |
//! | `host.rs` | a replica in its world |
//! | `group.rs` | several of them, and what is done to them |
//! | `random.rs` | several hundred seeds |
//! | `scenarios.rs`, `changes.rs`, `idle.rs`, `strangers.rs` | what was thought of, or found |

mod changes;
mod disk;
mod group;
mod host;
mod idle;
mod ledger;
mod random;
mod scenarios;
mod strangers;
