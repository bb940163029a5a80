//! Paths and queries, decoded.

use std::collections::BTreeMap;
use std::time::Duration;

/// The segments of a path, decoded. `None` if one can't be read, or leads upwards.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    let segments: Option<Vec<String>> =
        path.split('/').filter(|segment| !segment.is_empty()).map(|segment| decode(segment, false)).collect();
    segments.filter(|all| all.iter().all(|one| one != ".." && !one.contains(['/', '\\', '\0'])))
}

/// Names and values of a query; of a name that comes twice, the last.
pub(crate) fn query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .filter_map(|pair| {
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

/// A duration in the notation of Mesos: `10secs`, `1.5mins`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.trim().parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_and_do_not_lead_upwards() {
        assert_eq!(segments("/slave(1)//state/"), Some(vec!["slave(1)".into(), "state".into()]));
        assert_eq!(segments("/slave%281%29/a%20b"), Some(vec!["slave(1)".into(), "a b".into()]));
        assert_eq!(segments("/"), Some(vec![]));
        for bad in ["/a/../b", "/a/%2e%2e/b", "/a%2fb", "/%zz", "/%f", "/%ff", "/a%00"] {
            assert_eq!(segments(bad), None, "{bad}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let expected = [("a", "1 2"), ("b", ""), ("c", "x=y")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(query("a=0&a=1+2&b&c=x%3Dy&%zz=1"), BTreeMap::from(expected));
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("10secs"), Some(Duration::from_secs(10)));
        assert_eq!(duration("1.5mins"), Some(Duration::from_secs(90)));
        for bad in ["10", "secs", "-1secs", "1e400secs", "10parsecs", ""] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
