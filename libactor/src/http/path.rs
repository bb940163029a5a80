//! Paths and queries, decoded.

use std::collections::BTreeMap;
use std::time::Duration;

/// Why a path leads to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPath {
    /// A percent-escape is none.
    Escape,
    /// It leads upwards, or can't be a path here.
    Nowhere,
}

/// The segments of a path, decoded.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, BadPath> {
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(BadPath::Nowhere);
    }
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments: Option<Vec<String>> = segments.map(|segment| decode(segment, false)).collect();
    let segments = segments.ok_or(BadPath::Escape)?;
    if segments.iter().any(|one| one == ".." || one.contains(['/', '\\', '\0'])) {
        return Err(BadPath::Nowhere);
    }
    Ok(segments)
}

/// Names and values of a query; of a name that comes twice, the last. `None` if a percent-escape is none.
pub(crate) fn query(query: &str) -> Option<BTreeMap<String, String>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name, true)?, decode(value, true)?))
        })
        .collect()
}

fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// A duration in the notation of Mesos: `10secs`, `1.5mins`. The error is in its words, as far as they are known.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let Some(unit) = text.find(|c| !is_number(c)) else {
        return Err(format!("Invalid duration '{text}': expecting a number and a unit, such as 10secs"));
    };
    let (number, unit) = text.split_at(unit);
    let number: f64 = number.parse().map_err(|_| format!("Failed to convert '{number}' to number"))?;
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => {
            let units = "ns, us, ms, secs, mins, hrs, days or weeks";
            return Err(format!("Unknown duration unit '{unit}': expecting {units}"));
        }
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| format!("The duration '{text}' is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_and_do_not_lead_upwards() {
        assert_eq!(segments("/slave(1)//state/"), Ok(vec!["slave(1)".into(), "state".into()]));
        assert_eq!(segments("/slave%281%29/a%20b"), Ok(vec!["slave(1)".into(), "a b".into()]));
        assert_eq!(segments("/"), Ok(vec![]));
        for nowhere in ["//", "//a", "*", "", "/a/../b", "/a/..", "/a/%2e%2E/b", "/a%2fb", "/a%5cb", "/a%00"]
        {
            assert_eq!(segments(nowhere), Err(BadPath::Nowhere), "{nowhere}");
        }
        for bad in ["/%zz", "/%f", "/%ff", "/a/%", "/../%zz"] {
            assert_eq!(segments(bad), Err(BadPath::Escape), "{bad}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let expected = [("a", "1 2"), ("b", ""), ("c", "x=y")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(query("a=0&a=1+2&b&c=x%3Dy"), Some(BTreeMap::from(expected)));
        for bad in ["x=%zz", "%f=1", "a=1&b=%", "a=%ff"] {
            assert_eq!(query(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("10secs"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5mins"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0ns"), Ok(Duration::ZERO));
        assert_eq!(duration("bad"), Err("Failed to convert '' to number".into()));
        let long = format!("{}weeks", "9".repeat(99));
        for bad in ["10", "secs", "-1secs", "1.2.3secs", "10parsecs", "", &long] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
