use std::sync::{Arc, Mutex};

use actix::{Actor, Context};
use libactor::{Install, Me, Node, NodeConfig, Receive};
use master::group::{Answer, Call};
use master::replication::{MasterStatus, NAME};
use tokio::task::LocalSet;

use super::*;

/// What a master that is none answers to a change; nothing: it says nothing.
type Says = Option<MembersAnswer>;

/// Answers questions as it is told.
struct Fake {
    me: Me,
    says: Arc<Mutex<(Status, Says)>>,
}

impl Actor for Fake {
    type Context = Context<Self>;
}

impl Receive<Call> for Fake {
    fn receive(&mut self, call: Call, from: Option<Pid>, _: &mut Context<Self>) {
        let (status, says) = self.says.lock().unwrap().clone();
        let answer = match call.request {
            MembersRequest::Status => Some(MembersAnswer::Status(Box::new(status))),
            _ => says,
        };
        if let Some(answer) = answer {
            self.me.tell(&from.unwrap(), Answer { number: call.number, answer }).unwrap();
        }
    }
}

struct Group {
    nodes: Vec<Node>,
    says: Vec<Arc<Mutex<(Status, Says)>>>,
    masters: Masters,
}

impl Group {
    /// So many masters; the first leads, and is named last.
    async fn start(count: u64) -> Self {
        let (mut nodes, mut says) = (Vec::new(), Vec::new());
        for id in 1..=count {
            let node = Node::bind(NodeConfig::default()).await.unwrap();
            let status = Status {
                cluster: None,
                id: MemberId(id),
                term: 1,
                leader: Some(MemberId(1)),
                commit: 10,
                applied: 10,
                log: (1, 10),
                snapshot: (0, 0),
                masters: Vec::new(),
                change: None,
            };
            let shared = Arc::new(Mutex::new((status, None)));
            let own = shared.clone();
            node.spawn(
                NAME,
                move |me| Fake { me, says: own },
                |install: &mut Install<Fake>| {
                    install.message::<Call>();
                },
            )
            .unwrap();
            nodes.push(node);
            says.push(shared);
        }
        let addresses: Vec<String> = nodes.iter().map(|node| node.address().to_string()).collect();
        let member = |(at, address): (usize, &String)| MasterStatus {
            id: MemberId(at as u64 + 1),
            address: address.clone(),
            role: if at == 0 { MasterRole::Leader } else { MasterRole::Follower },
            matched: None,
            active: None,
        };
        for one in &says {
            one.lock().unwrap().0.masters = addresses.iter().enumerate().map(member).collect();
        }
        let masters = Masters::new(addresses.into_iter().rev().take(1).collect());
        Self { nodes, says, masters }
    }

    fn say(&self, id: u64, says: MembersAnswer) {
        self.says[id as usize - 1].lock().unwrap().1 = Some(says);
    }

    /// All that still answer agree.
    fn lead(&self, id: u64, term: u64) {
        for one in &self.says {
            let status = &mut one.lock().unwrap().0;
            (status.leader, status.term) = (Some(MemberId(id)), term);
        }
    }

    async fn change(&mut self, change: MembersRequest) -> Result<(), String> {
        let ended = self.masters.change(&change, Duration::from_secs(20), Until::Done, |_| {}).await;
        ended.map_err(|error| error.to_string())
    }

    async fn end(self) {
        self.masters.close().await;
        for node in self.nodes {
            node.shutdown().await;
        }
    }
}

fn remove(id: u64) -> MembersRequest {
    MembersRequest::Remove { id: MemberId(id) }
}

async fn on_a_thread(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn one_address_is_enough_to_find_them_all() {
    on_a_thread(async {
        let mut group = Group::start(3).await;
        group.nodes[1].shutdown().await;
        let heard = group.masters.look().await.unwrap();
        assert_eq!(heard.0.keys().copied().collect::<Vec<_>>(), [MemberId(1), MemberId(3)]);
        assert_eq!(heard.leader().unwrap().id, MemberId(1));
        group.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_change_is_asked_of_the_leader_and_of_whom_it_names() {
    on_a_thread(async {
        let mut group = Group::start(3).await;
        group.say(1, MembersAnswer::NotLeading { leader: Some(group.nodes[1].pid(NAME)) });
        group.say(2, MembersAnswer::Done);
        group.say(3, MembersAnswer::Refused("the third was asked".into()));
        assert_eq!(group.change(remove(3)).await, Ok(()));
        group.say(1, MembersAnswer::Refused("there is no master 9".into()));
        assert_eq!(group.change(remove(9)).await, Err("there is no master 9".into()));
        group.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_change_whose_leader_is_lost_goes_on_with_the_next_one() {
    on_a_thread(async {
        let mut group = Group::start(3).await;
        // The first one says nothing, and is gone.
        group.say(2, MembersAnswer::Done);
        let (first, says, change) = (group.nodes[0].clone(), group.says.clone(), remove(3));
        let lost = async {
            tokio::task::yield_now().await;
            first.shutdown().await;
            for one in says {
                let status = &mut one.lock().unwrap().0;
                (status.leader, status.term) = (Some(MemberId(2)), 2);
            }
        };
        let asked = group.masters.change(&change, Duration::from_secs(20), Until::Done, |_| {});
        let (asked, ()) = tokio::join!(asked, lost);
        asked.unwrap();
        group.end().await;
    })
    .await;
}

#[tokio::test]
async fn what_the_lost_leader_has_done_is_not_asked_for_again() {
    on_a_thread(async {
        let mut group = Group::start(2).await;
        group.say(1, MembersAnswer::NotLeading { leader: None });
        group.say(2, MembersAnswer::Refused("there is no master 9".into()));
        // It is as wanted, but only the second look says so.
        assert_eq!(group.change(remove(9)).await, Ok(()));
        group.lead(2, 2);
        let to = MembersRequest::Transfer { to: None };
        assert_eq!(group.change(to).await, Err("there is no master 9".into()));
        group.end().await;
    })
    .await;
}

#[tokio::test]
async fn who_is_not_there_is_told_of_by_address() {
    on_a_thread(async {
        let mut group = Group::start(1).await;
        let address = group.nodes[0].address();
        group.nodes[0].shutdown().await;
        let said = group.change(remove(1)).await.unwrap_err();
        assert!(said.contains(&format!("no master answers ({address}: no master is there)")), "{said}");
        group.end().await;
        let mut nowhere = Masters::new(vec!["no-such-host.invalid:5050".into()]);
        let said = nowhere.look().await.unwrap_err().to_string();
        assert!(said.contains("no-such-host.invalid:5050: the name can't be looked up"), "{said}");
    })
    .await;
}

#[test]
fn what_a_lost_leader_has_done_of_a_replacement_is_not_undone() {
    let member = |id, role| MasterStatus {
        id: MemberId(id),
        address: "c:5050".into(),
        role,
        matched: None,
        active: None,
    };
    let heard = |third: Option<MasterRole>, answers: bool| {
        let masters: Vec<_> = third.map(|role| member(3, role)).into_iter().collect();
        let status = |id| Status {
            cluster: None,
            id: MemberId(id),
            term: 1,
            leader: Some(MemberId(1)),
            commit: 1,
            applied: 1,
            log: (1, 1),
            snapshot: (0, 0),
            masters: masters.clone(),
            change: None,
        };
        let ids = if answers { vec![1, 3] } else { vec![1] };
        Heard(ids.into_iter().map(|id| (MemberId(id), status(id))).collect())
    };
    let (id, address) = (MemberId(3), "c:5050".to_owned());
    let again = MembersRequest::Replace { old: id, new: id, address: address.clone() };
    let add = MembersRequest::Add { id, address };
    for (third, answers, expected) in [
        (Some(MasterRole::Follower), false, Some(&again)),
        (None, false, Some(&again)),
        (Some(MasterRole::Learner), false, Some(&add)),
        (Some(MasterRole::Learner), true, Some(&add)),
        (Some(MasterRole::Follower), true, None),
    ] {
        let left = what_is_left(&heard(third, answers), &again, Some(MemberId(1)));
        assert_eq!(left.as_ref(), expected, "{third:?} {answers}");
    }
}
