//! What frameworks refused and for how long.
//!
//! A filter belongs to a framework in a role on an agent, and blocks what is a part of what was refused; more than
//! that passes. Filters on one agent for the same resources are kept as one group, because most of them are equal:
//! a group has one bit a client, so that asking about a client costs next to nothing.

use std::collections::BTreeMap;

use libactor::Time;
use protocol::Resources;

use super::bits::Bits;

/// Most different refusals for one role on one agent. Past it the oldest is forgotten, which costs offers that
/// are declined again, and nothing else.
const MAX_GROUPS: usize = 64;

/// The filters on one agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters(Vec<RoleFilters>);

#[derive(Clone, Debug)]
struct RoleFilters {
    role: u32,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
struct Group {
    refused: Resources,
    clients: Bits,
    until: BTreeMap<u32, Time>,
}

impl Group {
    fn drop_client(&mut self, client: u32) -> bool {
        self.clients.remove(client);
        self.until.remove(&client).is_some()
    }
}

impl Filters {
    /// Adds one. Gives back the clients that have no filter for this role any more, because they were forgotten.
    pub(super) fn add(&mut self, role: u32, client: u32, refused: &Resources, until: Time) -> Vec<u32> {
        let at = match self.0.binary_search_by_key(&role, |filters| filters.role) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, RoleFilters { role, groups: Vec::new() });
                at
            }
        };
        let groups = &mut self.0[at].groups;
        let mut forgotten = Vec::new();
        if let Some(group) = groups.iter_mut().find(|group| group.refused == *refused) {
            let end = group.until.entry(client).or_insert(until);
            *end = until.max(*end);
            group.clients.insert(client);
        } else {
            if groups.len() == MAX_GROUPS {
                forgotten.extend(groups.remove(0).until.into_keys());
                forgotten.retain(|one| *one != client && !groups.iter().any(|g| g.clients.contains(*one)));
            }
            let mut clients = Bits::default();
            clients.insert(client);
            groups.push(Group { refused: refused.clone(), clients, until: [(client, until)].into() });
        }
        forgotten
    }

    /// Drops those of a client that have ended, or all without a time. Says whether it has none left.
    pub(super) fn remove(&mut self, role: u32, client: u32, ended_by: Option<Time>) -> bool {
        let Ok(at) = self.0.binary_search_by_key(&role, |filters| filters.role) else { return true };
        let groups = &mut self.0[at].groups;
        let mut left = false;
        groups.retain_mut(|group| {
            match (group.until.get(&client), ended_by) {
                (None, _) => return true,
                (Some(until), Some(now)) if *until > now => left = true,
                _ => {
                    group.drop_client(client);
                }
            }
            !group.until.is_empty()
        });
        if groups.is_empty() {
            self.0.remove(at);
        }
        !left
    }

    /// Whether there are any for a role.
    pub(super) fn any(&self, role: u32) -> bool {
        self.0.binary_search_by_key(&role, |filters| filters.role).is_ok()
    }

    /// Whom an offer of this for a role is blocked for.
    pub(super) fn blocked(&self, role: u32, offered: &Resources) -> Vec<&Bits> {
        self.covering(role, offered).map(|group| &group.clients).collect()
    }

    /// Until when an offer is blocked for a client, if it is.
    pub(super) fn blocked_until(
        &self,
        now: Time,
        role: u32,
        client: u32,
        offered: &Resources,
    ) -> Option<Time> {
        let ends = self.covering(role, offered).filter_map(|group| group.until.get(&client).copied());
        ends.filter(|until| *until > now).max()
    }

    fn covering(&self, role: u32, offered: &Resources) -> impl Iterator<Item = &Group> {
        let at = self.0.binary_search_by_key(&role, |filters| filters.role).ok();
        let groups = at.map_or(&[][..], |at| &self.0[at].groups);
        groups.iter().filter(move |group| group.refused.contains(offered))
    }

    /// Every (role, client) that has filters, with their ends.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32, Time)> {
        self.0.iter().flat_map(|filters| {
            let groups = filters.groups.iter();
            groups.flat_map(|group| group.until.iter().map(|(client, until)| (filters.role, *client, *until)))
        })
    }
}

/// Whose filters end when.
#[derive(Clone, Debug, Default)]
pub(super) struct Expiries {
    due: BTreeMap<Time, Vec<Expiry>>,
    len: usize,
}

/// A filter that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    pub(super) agent: u32,
    pub(super) role: u32,
    pub(super) client: u32,
}

impl Expiries {
    /// Notes an end. Filters may go before it: whoever takes the note looks whether there is one.
    pub(super) fn add(&mut self, until: Time, expiry: Expiry) {
        self.due.entry(until).or_default().push(expiry);
        self.len += 1;
    }

    /// Takes all that end at one time, if that has come.
    pub(super) fn pop(&mut self, now: Time) -> Option<Vec<Expiry>> {
        if *self.due.first_key_value()?.0 > now {
            return None;
        }
        let (_, due) = self.due.pop_first()?;
        self.len -= due.len();
        Some(due)
    }

    /// How many notes there are, also of filters that are gone.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether an end is noted.
    pub(super) fn has(&self, until: Time, expiry: &Expiry) -> bool {
        self.due.get(&until).is_some_and(|due| due.contains(expiry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(text: &str) -> Resources {
        text.parse().unwrap()
    }

    fn blocks(filters: &Filters, client: u32, offered: &str) -> bool {
        filters.blocked(7, &resources(offered)).iter().any(|bits| bits.contains(client))
    }

    #[test]
    fn a_filter_blocks_parts_of_what_was_refused() {
        let mut filters = Filters::default();
        filters.add(7, 3, &resources("cpus:2;mem:64;ports:[1-9]"), Time::from_nanos(10));
        for (offered, blocked) in [
            ("cpus:2;mem:64;ports:[1-9]", true),
            ("cpus:1", true),
            ("ports:[2-3, 9-9]", true),
            ("cpus:2.001", false),
            ("cpus:1;gpus:1", false),
            ("ports:[9-10]", false),
            ("cpus(prod):1", false),
        ] {
            assert_eq!(blocks(&filters, 3, offered), blocked, "{offered}");
            assert!(!blocks(&filters, 4, offered));
        }
        assert!(filters.blocked(8, &resources("cpus:1")).is_empty());
    }

    #[test]
    fn equal_refusals_share_a_group_and_end_one_by_one() {
        let mut filters = Filters::default();
        let refused = resources("cpus:2");
        filters.add(7, 3, &refused, Time::from_nanos(10));
        filters.add(7, 4, &refused, Time::from_nanos(20));
        filters.add(7, 3, &refused, Time::from_nanos(5));
        assert_eq!(filters.blocked(7, &refused).len(), 1);
        let until = |client| filters.blocked_until(Time::from_nanos(9), 7, client, &refused);
        assert_eq!((until(3), until(4)), (Some(Time::from_nanos(10)), Some(Time::from_nanos(20))));
        assert!(!filters.remove(7, 3, Some(Time::from_nanos(9))));
        assert!(filters.remove(7, 3, Some(Time::from_nanos(10))));
        assert!(!blocks(&filters, 3, "cpus:2") && blocks(&filters, 4, "cpus:2"));
        assert!(filters.remove(7, 4, None));
        assert!(!filters.any(7));
    }

    #[test]
    fn different_refusals_are_bounded() {
        let mut filters = Filters::default();
        for port in 0..MAX_GROUPS as u64 {
            filters.add(7, 3, &resources(&format!("ports:[{port}-{port}]")), Time::from_nanos(10));
        }
        filters.add(7, 1, &resources("ports:[0-0]"), Time::from_nanos(10));
        assert!(blocks(&filters, 3, "ports:[0-0]"));
        assert_eq!(filters.add(7, 4, &resources("cpus:1"), Time::from_nanos(10)), vec![1]);
        assert!(!blocks(&filters, 3, "ports:[0-0]") && blocks(&filters, 3, "ports:[1-1]"));
    }
}
