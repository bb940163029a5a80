//! Which master this is and with whom it begins: `--id`, `--peers`, `--join`.
//!
//! | flags | a new work directory |
//! |---|---|
//! | none | a cluster of one; others can be added later |
//! | `--id`, `--peers` | one of the first masters of a cluster |
//! | `--id`, `--join` | a newcomer, which waits until a cluster takes it in |
//!
//! A directory that has been used knows better: there the flags are compared with what it says.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};

use libactor::detect::Address;
use master::registry::MemberId;

use crate::flags::{FlagError, Flags};
use crate::runtime::Listen;

/// The most masters that a cluster may begin with: each change waits for a majority of them.
const MAX_FOUNDERS: usize = 9;

/// What the flags say of this master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `--id`.
    pub id: Option<MemberId>,
    /// How a new directory begins.
    pub begin: Begin,
}

/// How a new directory begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// As a cluster of one.
    Alone,
    /// As one of the first masters of a cluster: all of them, by number, as `host:port`.
    Founder(BTreeMap<MemberId, String>),
    /// As one that is to be added: masters to ask, as `host:port`.
    Newcomer(Vec<String>),
}

impl Plan {
    /// Reads the flags; `port` is the one that others reach this master by.
    ///
    /// # Errors
    /// The first that makes no sense.
    pub fn of(flags: &Flags, port: u16) -> Result<Self, FlagError> {
        let id = flags.text("id").map(str::parse::<MemberId>).transpose();
        let id = id.map_err(|_| flags.refuse("id", "expected a whole number above zero"))?;
        let begin = match (flags.text("peers"), flags.text("join")) {
            (None, None) => Begin::Alone,
            (Some(peers), None) => Begin::Founder(founders(flags, peers, id, port)?),
            (None, Some(join)) => Begin::Newcomer(to_join(flags, join, id)?),
            (Some(_), Some(_)) => {
                let problem = "a new cluster begins with --peers, an existing one is joined with --join; give one of them";
                return Err(flags.refuse("join", problem));
            }
        };
        Ok(Self { id, begin })
    }

    /// The number that a new directory gets.
    pub fn first_id(&self) -> MemberId {
        self.id.unwrap_or(MemberId(1))
    }

    /// Where the others look for this master it must be: where it listens on every address it is reached at the one that
    /// `--peers` has for it; where it listens on one, or another one is advertised, that must be it.
    ///
    /// # Errors
    /// Its address in `--peers` leads nowhere, or to another machine.
    pub async fn advertise(&self, listen: &mut Listen) -> Result<(), String> {
        let Begin::Founder(peers) = &self.begin else { return Ok(()) };
        let Some(own) = self.id.and_then(|id| peers.get(&id)) else { return Ok(()) };
        let failed = |why: String| format!("this master's own address in --peers, {own}, {why}");
        let found = tokio::net::lookup_host(own)
            .await
            .map_err(|error| failed(format!("leads nowhere ({error}); mend --peers or the host's names")))?;
        let mut found: Vec<_> = found.map(|address| address.ip()).collect();
        found.sort_by_key(IpAddr::is_ipv6);
        let told = listen.advertise_ip.or_else(|| (!listen.ip.is_unspecified()).then_some(listen.ip));
        let listed = || found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match told {
            Some(told) if found.contains(&told) => Ok(()),
            Some(told) => Err(failed(format!(
                "is at {}, but this one is reached at {told}: make --ip (or --advertise_ip) and --peers agree, or give the \
                 --id of this machine's master",
                listed()
            ))),
            None => {
                // Only an address of this machine can be bound.
                let here = found.iter().find(|ip| UdpSocket::bind((**ip, 0)).is_ok());
                let other = || {
                    format!(
                        "is at {}, which is another machine: give the --id of this machine's master, or --advertise_ip if \
                         it is reached there",
                        listed()
                    )
                };
                listen.advertise_ip = Some(*here.ok_or_else(|| failed(other()))?);
                Ok(())
            }
        }
    }

    /// Whether `--peers` or `--join` was given.
    pub fn with_others(&self) -> bool {
        self.begin != Begin::Alone
    }
}

fn founders(
    flags: &Flags,
    text: &str,
    id: Option<MemberId>,
    port: u16,
) -> Result<BTreeMap<MemberId, String>, FlagError> {
    let refuse = |problem: String| flags.refuse("peers", problem);
    let mut peers: BTreeMap<MemberId, String> = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (number, address) = member(part).ok_or_else(|| {
            refuse(format!("'{part}' is no master: expected ID=HOST:PORT, such as 1=host:5050"))
        })?;
        if let Some((other, _)) = peers.iter().find(|(_, known)| **known == address) {
            return Err(refuse(format!("masters {other} and {number} have one address; each needs its own")));
        }
        if peers.insert(number, address).is_some() {
            return Err(refuse(format!("there are two masters {number}; each needs a number of its own")));
        }
    }
    if !(1..=MAX_FOUNDERS).contains(&peers.len()) {
        return Err(refuse(format!("expected 1 to {MAX_FOUNDERS} masters; 3 or 5 are best")));
    }
    let numbers: Vec<_> = peers.keys().map(ToString::to_string).collect();
    let Some(id) = id else {
        let problem = format!("--id is missing: which of {} is this master?", numbers.join(", "));
        return Err(refuse(problem));
    };
    let Some(own) = peers.get(&id) else {
        let problem = format!(
            "master {id} (--id) is not among them ({}); give the --id of one of them, or name this master too",
            numbers.join(", ")
        );
        return Err(refuse(problem));
    };
    match port_of(own) {
        Some(named) if named != port => Err(refuse(format!(
            "master {id} is said to be at port {named}, but this one is reached at port {port}; \
             make --port (or --advertise_port) and --peers agree"
        ))),
        _ => Ok(peers),
    }
}

fn to_join(flags: &Flags, text: &str, id: Option<MemberId>) -> Result<Vec<String>, FlagError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let read = |part: &str| {
        let problem = || format!("'{part}' is no address of a master: expected HOST:PORT");
        address(part).ok_or_else(|| flags.refuse("join", problem()))
    };
    let masters: Vec<_> = parts.map(read).collect::<Result<_, _>>()?;
    if masters.is_empty() {
        return Err(flags.refuse("join", "expected the addresses of masters: HOST:PORT,HOST:PORT"));
    }
    if id.is_none() {
        let problem = "--id is missing: give a number that no master of that cluster has or had";
        return Err(flags.refuse("join", problem));
    }
    Ok(masters)
}

/// Reads `ID=HOST:PORT`.
pub fn member(text: &str) -> Option<(MemberId, String)> {
    let (id, place) = text.split_once('=')?;
    Some((id.trim().parse().ok()?, address(place.trim())?))
}

/// Reads `HOST:PORT`.
pub fn address(text: &str) -> Option<String> {
    (!text.contains('@') && text.parse::<Address>().is_ok()).then(|| text.to_ascii_lowercase())
}

/// The port of a readable `HOST:PORT`.
pub fn port_of(address: &str) -> Option<u16> {
    address.parse::<Address>().ok().map(|address| address.port)
}

/// Members as `--peers` has them.
pub fn listed<'a>(members: impl IntoIterator<Item = (&'a MemberId, &'a String)>) -> String {
    let each: Vec<_> = members.into_iter().map(|(id, address)| format!("{id}={address}")).collect();
    each.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::FLAGS;
    use super::*;
    use crate::flags::{Arguments, Surroundings};

    fn plan(words: &[&str]) -> Result<Plan, String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let flags = Flags::load("master", FLAGS, Arguments::None, &words, &Surroundings::default()).unwrap();
        Plan::of(&flags, 5050).map_err(|error| error.to_string())
    }

    #[test]
    fn a_master_is_alone_a_founder_or_a_newcomer() {
        let alone = plan(&[]).unwrap();
        assert_eq!((alone.begin.clone(), alone.id, alone.first_id()), (Begin::Alone, None, MemberId(1)));
        assert_eq!(plan(&["--id=7"]).unwrap().first_id(), MemberId(7));
        let founder = plan(&["--id=2", "--peers= 3=[::1]:1, 1=a:5051 ,2=B:5050,"]).unwrap();
        let Begin::Founder(peers) = &founder.begin else { panic!("{founder:?}") };
        assert_eq!(listed(peers), "1=a:5051,2=b:5050,3=[::1]:1");
        let newcomer = plan(&["--id=4", "--join=a:5050, b:5050"]).unwrap();
        assert_eq!(newcomer.begin, Begin::Newcomer(vec!["a:5050".into(), "b:5050".into()]));
        assert!(newcomer.with_others() && founder.with_others() && !alone.with_others());
    }

    #[tokio::test]
    async fn a_founder_is_reached_where_the_others_look_for_it() {
        let listen = |ip: &str, advertise: Option<&str>| Listen {
            ip: ip.parse().unwrap(),
            port: 5050,
            advertise_ip: advertise.map(|ip| ip.parse().unwrap()),
            advertise_port: None,
            http: Default::default(),
        };
        // 192.0.2.1 is nobody's (RFC 5737).
        for (own, ip, advertise, expected) in [
            ("127.0.0.1", "0.0.0.0", None, Ok(Some("127.0.0.1"))),
            ("127.0.0.1", "127.0.0.1", None, Ok(None)),
            ("192.0.2.1", "0.0.0.0", Some("192.0.2.1"), Ok(Some("192.0.2.1"))),
            ("192.0.2.1", "0.0.0.0", None, Err("is at 192.0.2.1, which is another machine")),
            ("127.0.0.1", "127.0.0.2", None, Err("is at 127.0.0.1, but this one is reached at 127.0.0.2")),
            ("127.0.0.1", "0.0.0.0", Some("192.0.2.1"), Err("but this one is reached at 192.0.2.1")),
            ("no-such-host.invalid", "0.0.0.0", None, Err("leads nowhere")),
        ] {
            let plan = plan(&["--id=1", &format!("--peers=1={own}:5050,2=192.0.2.7:5050")]).unwrap();
            let mut listen = listen(ip, advertise);
            match (plan.advertise(&mut listen).await, expected) {
                (Ok(()), Ok(told)) => {
                    assert_eq!(listen.advertise_ip, told.map(|ip| ip.parse().unwrap()), "{own}")
                }
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{own} {ip}: {said}"),
                (said, expected) => panic!("{own} {ip}: {said:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_way_out() {
        let many: Vec<_> = (1..=10).map(|id| format!("{id}=h{id}:5050")).collect();
        let many = format!("--peers={}", many.join(","));
        for (words, expected) in [
            (&["--id=0"][..], "expected a whole number above zero"),
            (&["--peers=1=a:5050,2=b:5050"], "--id is missing: which of 1, 2 is this master?"),
            (
                &["--id=3", "--peers=1=a:5050,2=b:5050"],
                "master 3 (--id) is not among them (1, 2); give the --id",
            ),
            (&["--id=1", "--peers=1=a:5050,1=b:5050"], "there are two masters 1; each needs a number"),
            (&["--id=1", "--peers=1=a:5050,2=a:5050"], "masters 1 and 2 have one address; each needs"),
            (&["--id=1", "--peers=1=A:5050,2=a:5050"], "masters 1 and 2 have one address; each needs"),
            (&["--id=1", "--peers=a:5050"], "'a:5050' is no master: expected ID=HOST:PORT"),
            (&["--id=1", "--peers=1=a"], "'1=a' is no master: expected ID=HOST:PORT"),
            (&["--id=1", "--peers=0=a:5050"], "'0=a:5050' is no master"),
            (&["--id=1", "--peers=1=master@a:5050"], "is no master: expected ID=HOST:PORT"),
            (
                &["--id=1", "--peers=1=a:5051,2=b:5050"],
                "at port 5051, but this one is reached at port 5050; make",
            ),
            (&["--id=1", "--peers=,"], "expected 1 to 9 masters"),
            (&["--id=1", &many], "expected 1 to 9 masters; 3 or 5 are best"),
            (&["--join=a:5050"], "--id is missing: give a number that no master of that cluster has or had"),
            (&["--id=4", "--join=a"], "'a' is no address of a master: expected HOST:PORT"),
            (&["--id=4", "--join=,"], "expected the addresses of masters"),
            (&["--id=1", "--peers=1=a:5050", "--join=b:5050"], "give one of them"),
        ] {
            let said = plan(words).unwrap_err();
            assert!(said.contains(expected), "{words:?}: {said}");
            assert!(!said.contains('\n') && said.starts_with("flag '--"), "{said}");
        }
    }
}
