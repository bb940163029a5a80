//! What this version has once written stays readable. The files in `recorded/` are never written anew.

use serde::Serialize;

use super::super::codec::{self, Entry, Group};
use super::*;

/// The first version's, one record of each kind.
const GROUP: &[u8] = include_bytes!("../recorded/group-1.bin");

fn group() -> Group {
    let entry = |record: Record| Entry { key: record.key(), record: Some(codec::encode(&record).unwrap()) };
    let mut changes: Vec<Entry> = all_kinds().into_iter().map(entry).collect();
    changes.push(Entry { key: update("t1", 2, false).key(), record: None });
    Group { first: Some(7), changes }
}

#[test]
#[ignore = "writes the file that must not change any more"]
fn record() {
    std::fs::write(
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/checkpoint/recorded/group-1.bin"),
        codec::encode_group(&group()).unwrap(),
    )
    .unwrap();
}

#[test]
fn what_the_first_version_wrote_is_read() {
    let read = codec::decode_group(GROUP).unwrap();
    assert_eq!(read.first, Some(7));
    let mut found = Records::default();
    for Entry { key, record } in read.changes {
        match record {
            Some(bytes) => drop(found.0.insert(key.clone(), codec::decode(&key, &bytes).unwrap())),
            None => assert_eq!(key, update("t1", 2, false).key()),
        }
    }
    let mut expected = Records::default();
    all_kinds().into_iter().for_each(|record| expected.change(put(record)));
    assert_eq!(found, expected);
}

#[test]
fn what_a_newer_version_says_of_more_is_passed_over() {
    #[derive(Serialize)]
    struct Newer {
        info: AgentInfo,
        boot_id: String,
        colour: Option<Vec<u8>>,
    }
    #[derive(Serialize)]
    enum NewerRecord {
        Agent(Newer),
    }
    let Record::Agent(AgentRecord { info, boot_id }) = agent() else { panic!("it is the agent's") };
    let newer = NewerRecord::Agent(Newer { info, boot_id, colour: Some(vec![1, 2]) });
    let bytes = codec::encode_any(&newer).unwrap();
    assert_eq!(codec::decode(&Key::Agent, &bytes).unwrap(), agent());
}

#[test]
fn a_newer_form_and_a_record_of_another_key_are_refused() {
    let mut bytes = codec::encode_group(&group()).unwrap();
    bytes[0] = 2;
    assert!(matches!(codec::decode_group(&bytes), Err(libactor::journal::Fault::Newer(_))));
    let framework = codec::encode(&framework()).unwrap();
    assert!(codec::decode(&Key::Agent, &framework).unwrap_err().contains("Framework"));
}
