//! Where a master may be, as text.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::limits::MAX_MASTERS;

/// The name of a master's actor unless the address says otherwise.
const DEFAULT_NAME: &str = "master";

/// Where a master may be: `host:port`, `ip:port`, `[v6]:port` or `master@ip:port`. Names are looked up anew at every attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MasterAddress {
    /// The name of its actor.
    pub name: String,
    /// A host's name or an IP address, without brackets.
    pub host: String,
    /// The port of its node.
    pub port: u16,
}

/// Why a text is no address of a master.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterAddressError {
    /// The list is empty.
    #[error("no master is named: expected host:port, or several separated by commas")]
    Empty,
    /// The list is too long.
    #[error("more than {MAX_MASTERS} masters are named")]
    TooMany,
    /// One of them can't be read.
    #[error("'{text}' is not the address of a master: expected host:port or master@ip:port")]
    Unreadable {
        /// What was given, cut to a readable length.
        text: String,
    },
}

impl MasterAddress {
    /// Reads a list separated by commas.
    ///
    /// # Errors
    /// Says which part can't be read.
    pub fn list(text: &str) -> Result<Vec<Self>, MasterAddressError> {
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        match parts.len() {
            0 => Err(MasterAddressError::Empty),
            1..=MAX_MASTERS => parts.into_iter().map(str::parse).collect(),
            _ => Err(MasterAddressError::TooMany),
        }
    }

    /// The IP address, where `host` is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for MasterAddress {
    type Err = MasterAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || MasterAddressError::Unreadable { text: text.chars().take(80).collect() };
        let (name, place) = text.split_once('@').unwrap_or((DEFAULT_NAME, text));
        let (host, port) = place.rsplit_once(':').ok_or_else(refuse)?;
        let host = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(refuse()),
            None if host.contains(':') => return Err(refuse()),
            None => host,
        };
        let readable =
            host.len() <= 253 && !host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@');
        if !libactor::valid_name(name) || host.is_empty() || !readable {
            return Err(refuse());
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(refuse)?;
        Ok(Self { name: name.to_owned(), host: host.to_owned(), port })
    }
}

impl fmt::Display for MasterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}@[{}]:{}", self.name, self.host, self.port)
        } else {
            write!(f, "{}@{}:{}", self.name, self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed() {
        for (text, printed) in [
            ("localhost:5050", "master@localhost:5050"),
            ("10.0.0.1:5050", "master@10.0.0.1:5050"),
            ("master@10.0.0.1:5050", "master@10.0.0.1:5050"),
            ("[::1]:5050", "master@[::1]:5050"),
            ("other@[::1]:1", "other@[::1]:1"),
        ] {
            assert_eq!(text.parse::<MasterAddress>().unwrap().to_string(), printed);
        }
        for text in
            ["", "host", "host:", "host:0", "host:99999", ":5050", "::1:5050", "[x]:1", "a b:1", "zk://a:1/x"]
        {
            assert!(text.parse::<MasterAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_bounded_and_not_empty() {
        assert_eq!(MasterAddress::list("a:1, b:2,").unwrap().len(), 2);
        assert_eq!(MasterAddress::list(" , "), Err(MasterAddressError::Empty));
        let many = vec!["a:1"; MAX_MASTERS + 1].join(",");
        assert_eq!(MasterAddress::list(&many), Err(MasterAddressError::TooMany));
    }
}
