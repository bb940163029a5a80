//! Where a node may be, as text.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::limits::DETECT_ADDRESSES;

/// Longest name of a host, in bytes. Source: RFC 1035.
const MAX_HOST_BYTES: usize = 253;

/// Where a node may be: `host:port`, `ip:port` or `[v6]:port`. A name before it, as in `master@host:port`, is read over: which
/// actor leads is what the group says. Hosts' names are looked up anew at every attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// A host's name or an IP address, without brackets.
    pub host: String,
    /// The port of its node; not 0.
    pub port: u16,
}

/// Why a text is no list of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The list is empty.
    #[error("no address is named: expected host:port, or several separated by commas")]
    Empty,
    /// The list is too long.
    #[error("more than {DETECT_ADDRESSES} addresses are named")]
    TooMany,
    /// One of them can't be read.
    #[error("'{text}' is not an address: expected host:port")]
    Unreadable {
        /// What was given, cut to a readable length.
        text: String,
    },
}

impl Address {
    /// Reads a list separated by commas.
    ///
    /// # Errors
    /// Says which part can't be read.
    pub fn list(text: &str) -> Result<Vec<Self>, AddressError> {
        let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
        match parts().take(DETECT_ADDRESSES + 1).count() {
            0 => Err(AddressError::Empty),
            1..=DETECT_ADDRESSES => parts().map(str::parse).collect(),
            _ => Err(AddressError::TooMany),
        }
    }

    /// The IP address, where `host` is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || AddressError::Unreadable { text: text.chars().take(80).collect() };
        let place = match text.split_once('@') {
            Some((name, place)) if crate::valid_name(name) => place,
            Some(_) => return Err(refuse()),
            None => text,
        };
        let (host, port) = place.rsplit_once(':').ok_or_else(refuse)?;
        let host = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(refuse()),
            None if host.contains(':') => return Err(refuse()),
            None => host,
        };
        let readable = (1..=MAX_HOST_BYTES).contains(&host.len())
            && !host.contains(|c: char| c.is_control() || c.is_whitespace() || c == '/' || c == '@');
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(refuse)?;
        if !readable {
            return Err(refuse());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed() {
        for (text, printed) in [
            ("localhost:5050", "localhost:5050"),
            ("10.0.0.1:5050", "10.0.0.1:5050"),
            ("master@10.0.0.1:5050", "10.0.0.1:5050"),
            ("[::1]:5050", "[::1]:5050"),
            ("other@[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), printed);
        }
        for text in [
            "",
            "host",
            "host:",
            "host:0",
            "host:99999",
            ":5050",
            "@h:1",
            "a@b@c:1",
            "::1:5050",
            "[x]:1",
            "a b:1",
            "zk://a:1/x",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_bounded_and_not_empty() {
        assert_eq!(Address::list("a:1, b:2,").unwrap().len(), 2);
        assert_eq!(Address::list(" , "), Err(AddressError::Empty));
        assert_eq!(Address::list(&vec!["a:1"; DETECT_ADDRESSES + 1].join(",")), Err(AddressError::TooMany));
    }
}
