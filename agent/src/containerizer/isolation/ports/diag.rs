//! Sockets that take what comes, asked of the kernel by netlink (sock_diag): it hands over those in one state and no others,
//! however many connections there are beside them.
//!
//! What comes back is bytes of the kernel's layout, read with bounds: what is cut short or nonsense is an error, never a
//! panic. Source: Linux `include/uapi/linux/{netlink,sock_diag,inet_diag}.h`.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recvmsg, send,
    setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::sockets::{Found, Table};

/// `NETLINK_SOCK_DIAG`'s kind of message.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST`, `NLM_F_DUMP`.
const REQUEST_DUMP: u16 = 0x1 | 0x300;
/// The lengths of `nlmsghdr`, `inet_diag_req_v2` and `inet_diag_msg`.
const HEADER: usize = 16;
const ASKED: usize = 56;
const ANSWER: usize = 72;
/// Where the port and the inode lie in an `inet_diag_msg`.
const PORT: usize = 4;
const INODE: usize = 68;
/// Where the family and the state lie in it.
const FAMILY: usize = 0;
const STATE: usize = 1;
/// What one answer fits in. Source: the kernel makes them no larger than 32 KiB.
const BUFFER: usize = 32 << 10;
/// Far longer than the kernel takes, which answers within the call: only a fault of ours meets it. Ours.
const PATIENCE_S: i64 = 5;

/// The sockets of a table that are in its state.
///
/// # Errors
/// There is no netlink here, or not for this table, or the answer is not understood.
pub(super) fn listening(table: Table) -> io::Result<Found> {
    let family = AddressFamily::Netlink;
    let asks = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?;
    // From now on nobody but the kernel can send to it.
    connect(asks.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    setsockopt(&asks, ReceiveTimeout, &TimeVal::seconds(PATIENCE_S))?;
    let sequence = u32::from(table.number());
    send(asks.as_raw_fd(), &request(table, sequence), MsgFlags::empty())?;
    answers(&asks, table, sequence)
}

fn answers(asks: &OwnedFd, table: Table, sequence: u32) -> io::Result<Found> {
    let mut found = Found::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut part = [IoSliceMut::new(&mut buffer)];
        let got = match recvmsg::<NetlinkAddr>(asks.as_raw_fd(), &mut part, None, MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            got => got?,
        };
        let (bytes, flags) = (got.bytes, got.flags);
        if flags.contains(MsgFlags::MSG_TRUNC) || bytes == 0 {
            return Err(strange("an answer that is cut short"));
        }
        if read(&buffer[..bytes], table, sequence, &mut found)? {
            return Ok(found);
        }
    }
}

/// Asks for all sockets of a table that are in its state.
fn request(table: Table, sequence: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + ASKED);
    bytes.extend(((HEADER + ASKED) as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_DUMP.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    // From whom: the kernel fills it in.
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend([table.family(), table.protocol(), 0, 0]);
    bytes.extend((1_u32 << table.state()).to_ne_bytes());
    // No socket in particular.
    bytes.resize(HEADER + ASKED, 0);
    bytes
}

/// Reads what has come in one piece; whether it was the last.
fn read(mut bytes: &[u8], table: Table, sequence: u32, found: &mut Found) -> io::Result<bool> {
    while !bytes.is_empty() {
        let length = u32_at(bytes, 0)? as usize;
        if length < HEADER {
            return Err(strange("a message that is shorter than its head"));
        }
        let message =
            bytes.get(..length).ok_or_else(|| strange("a message that is longer than its answer"))?;
        let body = &message[HEADER..];
        if u32_at(message, 8)? == sequence {
            match u16_at(message, 4)? {
                // Both may say why it is over; nothing said is no error.
                NLMSG_DONE => return code(body).map(|()| true),
                NLMSG_ERROR => {
                    code(body)?;
                    return Err(strange("an acknowledgement that nobody asked for"));
                }
                SOCK_DIAG_BY_FAMILY => found.enter(one(body, table)?),
                // Nothing else is defined for it; what comes later says more.
                _ => {}
            }
        }
        // The next one begins at a multiple of four, unless there is none.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The inode and port of a socket, if it is in the wanted state.
fn one(body: &[u8], table: Table) -> io::Result<Option<(u64, u16)>> {
    if body.len() < ANSWER {
        return Err(strange("a socket that is cut short"));
    }
    let port = u16::from_be_bytes([body[PORT], body[PORT + 1]]);
    let inode = u32_at(body, INODE)?;
    let is = body[FAMILY] == table.family() && body[STATE] == table.state();
    Ok(is.then_some((u64::from(inode), port)))
}

/// What a last message says: an error of the kernel, negative, or none.
fn code(body: &[u8]) -> io::Result<()> {
    let Some(number) = body.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes) else {
        return Ok(());
    };
    match number {
        i32::MIN..0 => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        _ => Ok(()),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_ne_bytes).ok_or_else(|| strange("a message without a whole head"))
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    let two = bytes.get(at..at + 2).and_then(|two| two.try_into().ok());
    two.map(u16::from_ne_bytes).ok_or_else(|| strange("a message without a whole head"))
}

fn strange(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the kernel answers with {what}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SEQUENCE: u32 = 7;

    /// A message, padded as the kernel does it.
    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(SEQUENCE.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn listener(port: u16, inode: u32) -> Vec<u8> {
        let mut body = vec![0; ANSWER];
        (body[FAMILY], body[STATE]) = (Table::Tcp4.family(), Table::Tcp4.state());
        body[PORT..PORT + 2].copy_from_slice(&port.to_be_bytes());
        body[INODE..].copy_from_slice(&inode.to_ne_bytes());
        // Attributes follow, which nobody here reads.
        body.extend([8, 0, 1, 0, 9, 9, 9, 9]);
        message(SOCK_DIAG_BY_FAMILY, &body)
    }

    fn parse(bytes: &[u8]) -> (io::Result<bool>, BTreeMap<u64, u16>) {
        let mut found = Found::default();
        let over = read(bytes, Table::Tcp4, SEQUENCE, &mut found);
        (over, found.sockets)
    }

    #[test]
    fn an_answer_is_read_to_its_end() {
        let done = message(NLMSG_DONE, &0_i32.to_ne_bytes());
        let (over, found) = parse(&[listener(80, 1), listener(8080, 2)].concat());
        assert!(!over.unwrap());
        assert_eq!(found, BTreeMap::from([(1, 80), (2, 8080)]));
        let (over, found) = parse(&[listener(80, 1), done].concat());
        assert!(over.unwrap() && found.len() == 1);
        // What the kernel can't tell it says in the last message.
        let refused = message(NLMSG_DONE, &(-2_i32).to_ne_bytes());
        assert_eq!(parse(&refused).0.unwrap_err().raw_os_error(), Some(2));
        let refused = message(NLMSG_ERROR, &(-1_i32).to_ne_bytes());
        assert_eq!(parse(&refused).0.unwrap_err().raw_os_error(), Some(1));
    }

    #[test]
    fn answers_that_are_cut_short_are_errors() {
        let whole = listener(80, 1);
        for length in 1..whole.len() {
            assert!(parse(&whole[..length]).0.is_err(), "{length}");
        }
        for length in [0_u32, 1, 15, 17, 1 << 20, u32::MAX] {
            let mut lies = whole.clone();
            lies[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(parse(&lies).0.is_err(), "{length}");
        }
        assert!(parse(&message(SOCK_DIAG_BY_FAMILY, &[0; ANSWER - 1])).0.is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_stop_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_damage_stops_it(
            at in 0_usize..300,
            to: u8,
            cut in 0_usize..300,
            ports in prop::collection::vec(any::<u16>(), 1..4),
        ) {
            let answers = ports.iter().map(|port| listener(*port, u32::from(*port)));
            let mut bytes: Vec<u8> = answers.flatten().collect();
            let last = bytes.len() - 1;
            bytes[at.min(last)] = to;
            bytes.truncate(cut.max(1));
            let (_, found) = parse(&bytes);
            prop_assert!(found.len() <= ports.len());
        }
    }
}
