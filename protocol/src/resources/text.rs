//! The text form: `cpus:4;cpus(prod):8;ports:[31000-32000, 33000-33000];zones:{a,b}`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{Gather, Ranges, Reservation, ReservationKind, Resource, Resources, Scalar, Value, name};
use crate::Role;
use crate::limits::{MAX_RANGES, MAX_SET_ITEMS};

/// Why a text is not resources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{part}' in resources: {problem}; expected for example cpus:4;mem:2048;cpus(prod):8;ports:[31000-32000]"
)]
pub struct ParseResourcesError {
    /// The part that was not understood.
    pub part: String,
    /// What is wrong with it.
    pub problem: String,
}

fn refuse(part: &str, problem: impl Into<String>) -> ParseResourcesError {
    let part: String = part.chars().take(80).collect();
    ParseResourcesError { part, problem: problem.into() }
}

impl FromStr for Resources {
    type Err = ParseResourcesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut gather = Gather::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            gather.push(parse_one(part)?).map_err(|why| refuse(part, why))?;
        }
        gather.finish().map_err(|why| refuse(text, why))
    }
}

fn parse_one(part: &str) -> Result<Resource, ParseResourcesError> {
    let end = part.find([':', '(']).ok_or_else(|| refuse(part, "no ':'"))?;
    let (name, rest) = (part[..end].trim(), &part[end..]);
    let (role, value) = match rest.strip_prefix('(') {
        None => (None, rest),
        Some(rest) => {
            let (role, rest) = rest.split_once(')').ok_or_else(|| refuse(part, "no ')' after the role"))?;
            (Some(role.trim()), rest.trim_start())
        }
    };
    let value = value.strip_prefix(':').ok_or_else(|| refuse(part, "no ':' before the value"))?;
    name::check(name).map_err(|why| refuse(part, why))?;
    let reservations = match role {
        None | Some(Role::DEFAULT) => Vec::new(),
        Some(role) => {
            let role = Role::from(role);
            crate::validate::role(&role).map_err(|why| refuse(part, why.to_string()))?;
            vec![Reservation { kind: ReservationKind::Static, role, principal: None }]
        }
    };
    let value = parse_value(part, value.trim())?;
    Ok(Resource { name: name::intern(name), reservations, revocable: false, value })
}

fn parse_value(part: &str, text: &str) -> Result<Value, ParseResourcesError> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return parse_ranges(inner).map(Value::Ranges).map_err(|why| refuse(part, why));
    }
    if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let items: BTreeSet<String> =
            inner.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Into::into).collect();
        if items.len() > MAX_SET_ITEMS {
            return Err(refuse(part, format!("more than {MAX_SET_ITEMS} items")));
        }
        return Ok(Value::Set(items));
    }
    text.parse::<Scalar>().map(Value::Scalar).map_err(|why| refuse(part, why.to_string()))
}

/// What is between the brackets of `[1-3, 5-5]`.
pub(crate) fn parse_ranges(inner: &str) -> Result<Ranges, String> {
    let mut ranges = Vec::new();
    for range in inner.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let (begin, end) = range
            .split_once('-')
            .and_then(|(begin, end)| Some((number(begin)?, number(end)?)))
            .ok_or("a range is begin-end, such as [31000-32000]")?;
        if begin > end {
            return Err(format!("the range {begin}-{end} ends before it begins"));
        }
        if ranges.len() >= MAX_RANGES {
            return Err(format!("more than {MAX_RANGES} ranges"));
        }
        ranges.push((begin, end));
    }
    Ok(ranges.into_iter().collect())
}

/// Prints what [`Resources::from_str`] reads. Of reservations only the innermost role is printed, and nothing of
/// `revocable`: the JSON form carries them.
pub(super) fn print(resources: &Resources, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, resource) in resources.iter().enumerate() {
        if index > 0 {
            f.write_str(";")?;
        }
        f.write_str(&resource.name)?;
        if let Some(reservation) = resource.reservations.last() {
            write!(f, "({})", reservation.role)?;
        }
        f.write_str(":")?;
        match &resource.value {
            Value::Scalar(scalar) => write!(f, "{scalar}")?,
            Value::Ranges(ranges) => write!(f, "{ranges}")?,
            Value::Set(set) => {
                f.write_str("{")?;
                for (index, item) in set.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("}")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_printed_in_canonical_order() {
        for (text, printed) in [
            ("", ""),
            (" ; ", ""),
            ("mem:2048; cpus : 4 ;", "cpus:4;mem:2048"),
            ("cpus:1;cpus:0.5", "cpus:1.5"),
            ("cpus:0.0014", "cpus:0.001"),
            ("cpus:0", ""),
            ("cpus(*):1", "cpus:1"),
            ("cpus( prod ) : 8;cpus:4", "cpus:4;cpus(prod):8"),
            ("cpus(a:b/c):1", "cpus(a:b/c):1"),
            ("ports:[3-4, 1-2,9-9]", "ports:[1-4, 9-9]"),
            ("ports:[]", ""),
            ("zones:{b, a,,b}", "zones:{a,b}"),
            (
                "ports:[0-0,18446744073709551614-18446744073709551615]",
                "ports:[0-0, 18446744073709551614-18446744073709551615]",
            ),
        ] {
            let resources: Resources = text.parse().unwrap();
            assert_eq!(resources.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn refusals_name_the_part_and_the_problem() {
        for (text, part, problem) in [
            ("cpus:1;mem", "mem", "no ':'"),
            ("cpus(prod", "cpus(prod", "no ')' after the role"),
            ("cpus(prod)4", "cpus(prod)4", "no ':' before the value"),
            ("cpus(-x):4", "cpus(-x):4", "starts with a dash"),
            ("cpus():4", "cpus():4", "cannot be the empty string"),
            (":4", ":4", "the name is empty"),
            ("a b:4", "a b:4", "is not a name"),
            ("cpus:", "cpus:", "'' is not an amount"),
            ("cpus:-1", "cpus:-1", "'-1' is not an amount"),
            ("cpus:-0.0001", "cpus:-0.0001", "is not an amount"),
            ("cpus:nan", "cpus:nan", "is not an amount"),
            ("cpus:1e300", "cpus:1e300", "up to 8796093022"),
            ("cpus:8000000000;cpus:8000000000", "cpus:8000000000;cpus", "cpus: 16000000000 is more than"),
            ("ports:[1-2", "ports:[1-2", "is not an amount"),
            ("ports:[2-1]", "ports:[2-1]", "the range 2-1 ends before it begins"),
            ("ports:[1]", "ports:[1]", "a range is begin-end"),
            ("ports:[0-18446744073709551616]", "ports:[0-1844", "a range is begin-end"),
            ("a:1;a:{x}", "a:{x}", "the same name with another kind of value"),
        ] {
            let error = text.parse::<Resources>().unwrap_err();
            assert!(error.part.contains(part) && error.problem.contains(problem), "{text}: {error:?}");
            assert!(error.to_string().contains("expected for example cpus:4"), "{error}");
        }
    }
}
