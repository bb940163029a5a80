//! Which sockets of the agent's network namespace take what comes: those that TCP listens on, and those of UDP that are
//! nobody's counterpart.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use super::diag;

/// Most sockets that are looked at in one table: each is a descriptor of some process. Ours.
const MOST: usize = 1 << 18;
/// Longest line of a table. Ours; the kernel's have 150 bytes.
const LINE: u64 = 4096;

/// A table of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Tcp4,
    Tcp6,
    Udp4,
    Udp6,
}

use Table::{Tcp4, Tcp6, Udp4, Udp6};

/// What a table holds of sockets that take what comes.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Ports by the sockets' inodes.
    pub(super) sockets: BTreeMap<u64, u16>,
}

impl Found {
    pub(super) fn enter(&mut self, socket: Option<(u64, u16)>) {
        if self.sockets.len() < MOST {
            self.sockets.extend(socket);
        }
    }
}

impl Table {
    pub(super) const ALL: [Self; 4] = [Tcp4, Tcp6, Udp4, Udp6];

    /// The protocol, for people.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Tcp4 | Tcp6 => "TCP",
            Udp4 | Udp6 => "UDP",
        }
    }

    /// `AF_INET`, `AF_INET6`.
    pub(super) fn family(self) -> u8 {
        match self {
            Tcp4 | Udp4 => 2,
            Tcp6 | Udp6 => 10,
        }
    }

    /// `IPPROTO_TCP`, `IPPROTO_UDP`.
    pub(super) fn protocol(self) -> u8 {
        match self {
            Tcp4 | Tcp6 => 6,
            Udp4 | Udp6 => 17,
        }
    }

    /// The state of a socket that takes what comes: `TCP_LISTEN`, and `TCP_CLOSE` for UDP, which is not connected. Source:
    /// Linux `include/net/tcp_states.h`.
    pub(super) fn state(self) -> u8 {
        match self {
            Tcp4 | Tcp6 => 0x0a,
            Udp4 | Udp6 => 0x07,
        }
    }

    /// Among the tables, from 1.
    pub(super) fn number(self) -> u8 {
        self as u8 + 1
    }

    fn path(self) -> &'static str {
        match self {
            Tcp4 => "/proc/net/tcp",
            Tcp6 => "/proc/net/tcp6",
            Udp4 => "/proc/net/udp",
            Udp6 => "/proc/net/udp6",
        }
    }
}

/// The sockets of a table that take what comes, from whoever tells of them.
///
/// # Errors
/// Neither netlink nor `/proc` does.
pub(super) fn listening(table: Table) -> io::Result<Found> {
    diag::listening(table).or_else(|refused| {
        tracing::debug!(?table, %refused, "netlink does not tell of sockets");
        from_proc(table)
    })
}

/// The same from the table as text, in which all connections stand as well.
pub(super) fn from_proc(table: Table) -> io::Result<Found> {
    let file = match File::open(table.path()) {
        // A machine without IPv6 has no such table, and nobody listens there.
        Err(error) if error.kind() == io::ErrorKind::NotFound && table.family() == Tcp6.family() => {
            return Ok(Found::default());
        }
        file => file?,
    };
    let (mut lines, mut line, mut found) =
        (BufReader::with_capacity(1 << 16, file), Vec::new(), Found::default());
    loop {
        line.clear();
        if lines.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        found.enter(str::from_utf8(&line).ok().and_then(|line| parse_line(line, table.state())));
    }
}

/// The inode and port of a socket in the wanted state.
fn parse_line(line: &str, state: u8) -> Option<(u64, u16)> {
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    if u8::from_str_radix(fields.nth(1)?, 16) != Ok(state) {
        return None;
    }
    Some((fields.nth(5)?.parse().ok()?, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn lines_of_the_kernels_tables_are_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0";
        assert_eq!(parse_line(line, 0x0a), Some((4242, 8080)));
        assert_eq!(parse_line(line, 0x07), None);
        assert_eq!(parse_line("", 0x0a), None);
        assert_eq!(parse_line("  sl  local_address rem_address   st tx_queue rx_queue", 0x0a), None);
    }

    /// A thousand connections would be two thousand lines.
    const CONNECTIONS: usize = 1500;
    const LOOKS: u32 = 20;

    fn looks(read: impl Fn(Table) -> io::Result<Found>) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "it measures")]
        let begin = Instant::now();
        for _ in 0..LOOKS {
            Table::ALL.iter().for_each(|table| drop(read(*table).unwrap()));
        }
        begin.elapsed() / LOOKS
    }

    #[test]
    fn netlink_tells_what_the_tables_tell_and_connections_cost_it_nothing() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind("[::1]:0").ok();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect(datagrams.local_addr().unwrap()).unwrap();
        let ports = [
            (Tcp4, Some(four.local_addr().unwrap().port()), true),
            (Tcp6, six.as_ref().map(|six| six.local_addr().unwrap().port()), true),
            (Udp4, Some(datagrams.local_addr().unwrap().port()), true),
            (Udp4, Some(connected.local_addr().unwrap().port()), false),
        ];
        let few = [looks(diag::listening), looks(from_proc)];
        let many: Vec<_> = (0..CONNECTIONS)
            .map(|_| (TcpStream::connect(four.local_addr().unwrap()).unwrap(), four.accept().unwrap()))
            .collect();
        for (table, port, listens) in ports {
            let Some(port) = port else { continue };
            for (who, found) in [("netlink", diag::listening(table)), ("/proc", from_proc(table))] {
                let found = found.unwrap_or_else(|error| panic!("{who}, {table:?}: {error}"));
                // A port once, with the inode that both name.
                let inodes: Vec<u64> =
                    found.sockets.iter().filter(|(_, one)| **one == port).map(|(inode, _)| *inode).collect();
                assert_eq!(inodes.len(), usize::from(listens), "{who}, {table:?}, {port}");
                assert!(listens || inodes.is_empty(), "{who}, {table:?}, {port}");
            }
            let same = |found: Found| found.sockets.into_iter().find(|(_, one)| *one == port);
            assert_eq!(same(diag::listening(table).unwrap()), same(from_proc(table).unwrap()), "{table:?}");
        }
        let more = [looks(diag::listening), looks(from_proc)];
        println!(
            "one look at all tables: netlink {:?}, /proc {:?}; with {CONNECTIONS} connections: netlink {:?}, /proc {:?}",
            few[0], few[1], more[0], more[1]
        );
        drop(many);
    }
}
