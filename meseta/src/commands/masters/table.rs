//! What is known of the masters, put together from what they say, and how it is shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use master::registry::MemberId;
use master::replication::{MasterRole, Status};
use serde_json::{Value, json};

/// What was heard: by number of the master, its own word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard(pub BTreeMap<MemberId, Status>);

/// One master, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    id: MemberId,
    address: String,
    role: &'static str,
    term: Option<u64>,
    index: Option<u64>,
    lag: Option<u64>,
    heard: &'static str,
}

impl Heard {
    /// The word of the master that leads, if it says so itself: of those that say so, the newest.
    pub fn leader(&self) -> Option<&Status> {
        let leads = |status: &&Status| status.leader == Some(status.id);
        self.0.values().filter(leads).max_by_key(|status| status.term)
    }

    /// Whose word of the group counts: the leader's, or the newest.
    pub fn newest(&self) -> Option<&Status> {
        let newest = self.0.values().max_by_key(|status| (status.applied, status.term));
        self.leader().or(newest)
    }

    fn rows(&self) -> Vec<Row> {
        let Some(group) = self.newest() else { return Vec::new() };
        let leader = self.leader();
        let mut rows = Vec::new();
        for member in &group.masters {
            let own = self.0.get(&member.id);
            let matched = leader.and(member.matched);
            let index = own.map(|status| status.applied).or(matched);
            let lag = leader.zip(matched.or(own.map(|status| status.applied)));
            rows.push(Row {
                id: member.id,
                address: member.address.clone(),
                role: match member.role {
                    MasterRole::Learner => "learner",
                    _ if leader.is_some_and(|leader| leader.id == member.id) => "leader",
                    MasterRole::Leader | MasterRole::Follower => "follower",
                },
                term: own.map(|status| status.term),
                index,
                lag: lag.map(|(leader, index)| leader.commit.saturating_sub(index)),
                heard: match (own, leader.and(member.active)) {
                    (Some(_), Some(false)) => "by us, not by the leader",
                    (Some(_), _) => "yes",
                    (None, Some(true)) => "by the leader, not by us",
                    (None, _) => "no",
                },
            });
        }
        rows
    }

    /// For people.
    pub fn text(&self) -> String {
        let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
        let heads = ["ID", "ADDRESS", "ROLE", "TERM", "INDEX", "LAG", "HEARD"].map(ToOwned::to_owned);
        let rows = self.rows().into_iter().map(|row| {
            let Row { id, address, role, term, index, lag, heard } = row;
            [id.to_string(), address, role.into(), number(term), number(index), number(lag), heard.into()]
        });
        let lines: Vec<_> = std::iter::once(heads).chain(rows).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or_default();
        let mut text = String::new();
        for line in &lines {
            let cells = line.iter().enumerate().map(|(column, cell)| format!("{cell:0$}", width(column)));
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        if let Some(cluster) = self.newest().and_then(|group| group.cluster) {
            let _ = writeln!(text, "cluster {cluster}");
        }
        if let Some(change) = self.newest().and_then(|group| group.change.as_deref()) {
            let _ = writeln!(text, "under way: {change}");
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let group = self.newest();
        let by_leader = |id: MemberId| {
            let members = self.leader().map_or(&[][..], |leader| &leader.masters);
            members.iter().find(|member| member.id == id).and_then(|member| member.active)
        };
        let master = |row: Row| {
            let Row { id, address, role, term, index, lag, .. } = row;
            json!({
                "id": id, "address": address, "role": role, "term": term, "index": index, "lag": lag,
                "answers": self.0.contains_key(&id), "heard_by_leader": by_leader(id),
            })
        };
        let masters: Vec<_> = self.rows().into_iter().map(master).collect();
        json!({
            "cluster": group.and_then(|group| group.cluster).map(|cluster| cluster.to_string()),
            "leader": self.leader().map(|leader| leader.id),
            "term": group.map(|group| group.term),
            "commit": group.map(|group| group.commit),
            "change": group.and_then(|group| group.change.clone()),
            "masters": masters,
        })
    }

    /// Why nobody leads, for people; `None`: somebody does.
    pub fn leaderless(&self) -> Option<String> {
        if self.leader().is_some() {
            return None;
        }
        let group = self.newest()?;
        if group.masters.is_empty() {
            let id = group.id;
            return Some(format!(
                "master {id} belongs to no cluster yet: 'meseta masters --master=HOST:PORT add {id}=HOST:PORT', asked of \
                 a master of the cluster, takes it in"
            ));
        }
        let voters = group.masters.iter().filter(|member| member.role != MasterRole::Learner);
        let (answer, all) = voters.fold((0, 0), |(answer, all), member| {
            (answer + usize::from(self.0.contains_key(&member.id)), all + 1)
        });
        let majority = all / 2 + 1;
        Some(if answer < majority {
            format!(
                "no master leads: {answer} of {all} that vote answer, and {majority} must; start the others"
            )
        } else {
            "no master leads at the moment: an election is under way, try again".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use master::replication::MasterStatus;

    use super::*;

    fn member(id: u64, role: MasterRole, matched: Option<u64>, active: Option<bool>) -> MasterStatus {
        MasterStatus { id: MemberId(id), address: format!("host{id}:5050"), role, matched, active }
    }

    fn status(id: u64, term: u64, leader: Option<u64>, applied: u64, masters: Vec<MasterStatus>) -> Status {
        Status {
            cluster: None,
            id: MemberId(id),
            term,
            leader: leader.map(MemberId),
            commit: 120,
            applied,
            log: (1, 130),
            snapshot: (0, 0),
            masters,
            change: None,
        }
    }

    fn three(matched: [Option<u64>; 3], active: [Option<bool>; 3]) -> Vec<MasterStatus> {
        let roles = [MasterRole::Leader, MasterRole::Follower, MasterRole::Learner];
        (0..3).map(|at| member(at as u64 + 1, roles[at], matched[at], active[at])).collect()
    }

    #[test]
    fn the_leaders_word_counts_and_each_says_its_own_term_and_index() {
        let by_leader = three([Some(130), Some(20), None], [Some(true), Some(true), Some(false)]);
        let mut leader = status(1, 7, Some(1), 120, by_leader);
        leader.change = Some("master 3 is taken in".into());
        // It has been away, and is wrong about who leads.
        let old = status(2, 6, Some(2), 15, three([None; 3], [None; 3]));
        let heard = Heard([(MemberId(1), leader), (MemberId(2), old)].into());
        let expected = "\
ID  ADDRESS     ROLE      TERM  INDEX  LAG  HEARD
1   host1:5050  leader    7     120    0    yes
2   host2:5050  follower  6     15     100  yes
3   host3:5050  learner   -     -      -    no
under way: master 3 is taken in
";
        assert_eq!(heard.text(), expected);
        assert_eq!(heard.leaderless(), None);
        let json = heard.json();
        assert_eq!((&json["leader"], &json["term"], &json["commit"]), (&json!(1), &json!(7), &json!(120)));
        let second = json!({
            "id": 2, "address": "host2:5050", "role": "follower", "term": 6, "index": 15, "lag": 100,
            "answers": true, "heard_by_leader": true,
        });
        assert_eq!(json["masters"][1], second);
        assert_eq!(json["masters"][2]["answers"], json!(false));
    }

    #[test]
    fn it_is_said_why_nobody_leads() {
        let voters = || {
            let mut all = three([None; 3], [None; 3]);
            all.iter_mut().for_each(|member| member.role = MasterRole::Follower);
            all
        };
        let alone = Heard([(MemberId(1), status(1, 7, None, 9, voters()))].into());
        assert_eq!(
            alone.leaderless().unwrap(),
            "no master leads: 1 of 3 that vote answer, and 2 must; start the others"
        );
        assert!(alone.text().contains("3   host3:5050  follower  -     -      -    no"), "{}", alone.text());
        let two = [1, 2].map(|id| (MemberId(id), status(id, 7, None, 9, voters())));
        assert!(Heard(two.into()).leaderless().unwrap().contains("an election is under way"));
        let newcomer = Heard([(MemberId(4), status(4, 0, None, 0, Vec::new()))].into());
        assert!(newcomer.leaderless().unwrap().contains("add 4=HOST:PORT"));
    }
}
