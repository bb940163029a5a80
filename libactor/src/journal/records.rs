//! The values of a journal put together to records. Pure; what is missing or bad is found here.

use super::error::Fault;
use super::{Contents, Key, Value, join};

/// A record as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// Its number.
    pub sequence: u64,
    /// Of how many values it is.
    pub values: u16,
    /// What it says.
    pub record: T,
}

/// The records that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records<T> {
    /// One after the other, without a gap.
    pub records: Vec<Found<T>>,
    /// Values that mean nothing any more.
    pub void: Vec<Key>,
    /// The number of the next record.
    pub next: u64,
    /// The first record of a bad tail that was never durable, and why it is bad. It counts as never written.
    pub cut: Option<(u64, String)>,
}

/// Reads what a journal held; `None`: nothing. `first` tells whether a record says that those before another one are void.
///
/// # Errors
/// Something is missing or bad that was durable, or follows from a newer program.
pub fn records<T>(
    contents: &Contents,
    decode: impl Fn(&[u8]) -> Result<T, Fault>,
    first: impl Fn(&T) -> Option<u64>,
) -> Result<Option<Records<T>>, Fault> {
    let Contents { values, mark } = contents;
    let mut found = find(values, decode)?;
    let begin = found.iter().filter_map(|found| first(found.record.as_ref().ok()?)).max().unwrap_or(1);
    let keys = |gone: &dyn Fn(u64) -> bool| {
        let gone = values.iter().filter(|value| gone(value.sequence));
        gone.map(|value| (value.sequence, value.part)).collect::<Vec<Key>>()
    };
    let mut void = keys(&|sequence| sequence < begin);
    found.retain(|record| record.sequence >= begin);
    if found.is_empty() {
        return match *mark {
            0 => Ok(None),
            _ => Err(Fault::Damaged(format!("its journal is empty, and had {mark} records"))),
        };
    }
    let cut = check(&mut found, begin, *mark)?;
    if let Some((cut, _)) = cut {
        void.extend(keys(&|sequence| sequence >= cut));
    }
    let next = found.last().map_or(begin, |record| record.sequence + 1);
    let good = found.into_iter().filter_map(|Found { sequence, values, record }| {
        Some(Found { sequence, values, record: record.ok()? })
    });
    Ok(Some(Records { records: good.collect(), void, next, cut }))
}

/// What can be read of a journal that is damaged: the records that are whole, whatever is missing between them, and how many are
/// not.
pub fn whole_records<T>(
    contents: &Contents,
    decode: impl Fn(&[u8]) -> Result<T, Fault>,
) -> (Vec<Found<T>>, u64) {
    let lenient = |bytes: &[u8]| decode(bytes).map_err(|fault| Fault::Damaged(fault.to_string()));
    let (mut whole, mut bad) = (Vec::new(), 0);
    let mut expected = None;
    for Found { sequence, values, record } in find(&contents.values, lenient).unwrap_or_default() {
        bad += expected.map_or(0, |expected| sequence - expected);
        expected = Some(sequence + 1);
        match record {
            Ok(record) => whole.push(Found { sequence, values, record }),
            Err(_) => bad += 1,
        }
    }
    bad += (contents.mark + 1).saturating_sub(expected.unwrap_or(1));
    (whole, bad)
}

/// Puts values together to records.
fn find<T>(
    values: &[Value],
    decode: impl Fn(&[u8]) -> Result<T, Fault>,
) -> Result<Vec<Found<Result<T, String>>>, Fault> {
    let mut found = Vec::new();
    for values in values.chunk_by(|a, b| a.sequence == b.sequence) {
        let sequence = values[0].sequence;
        let record = match join(sequence, values).map(|record| decode(&record)) {
            Ok(Ok(record)) => Ok(record),
            Err(what) | Ok(Err(Fault::Damaged(what))) => Err(what),
            Ok(Err(newer)) => return Err(newer),
        };
        found.push(Found { sequence, values: u16::try_from(values.len()).unwrap_or(u16::MAX), record });
    }
    Ok(found)
}

/// Looks for what is missing or bad. A bad tail that was never durable is taken off, and told.
fn check<T>(
    found: &mut Vec<Found<Result<T, String>>>,
    first: u64,
    mark: u64,
) -> Result<Option<(u64, String)>, Fault> {
    let bad = |sequence: u64, why: &str| format!("record {sequence} of its journal is bad: {why}");
    let good = found.iter().rposition(|found| found.record.is_ok());
    let tail = found.split_off(good.map_or(0, |last| last + 1));
    let mut expected = first;
    for found in found.iter() {
        if found.sequence != expected {
            let (from, to) = (expected, found.sequence - 1);
            return Err(Fault::Damaged(format!("the records {from} to {to} of its journal are missing")));
        }
        if let Err(why) = &found.record {
            return Err(Fault::Damaged(format!("{}; good ones follow", bad(found.sequence, why))));
        }
        expected += 1;
    }
    let cut = tail.into_iter().next().map(|found| (found.sequence, found.record.err().unwrap_or_default()));
    if let Some((sequence, why)) = cut.as_ref().filter(|(sequence, _)| *sequence <= mark) {
        return Err(Fault::Damaged(format!("{}, and it was durable", bad(*sequence, why))));
    }
    if expected <= mark {
        let last = expected - 1;
        return Err(Fault::Damaged(format!(
            "its journal ends with record {last}, and was durable up to {mark}"
        )));
    }
    match &cut {
        Some((sequence, why)) if found.is_empty() => {
            Err(Fault::Damaged(format!("{}, and no other is there", bad(*sequence, why))))
        }
        _ => Ok(cut),
    }
}
