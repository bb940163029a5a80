//! A machine behind an actor.

use std::time::Duration;

use libactor::{
    Accept, Clock, Edge, Machine, Me, Node, NodeConfig, Pid, ShellHandle, SpawnError, Time, shell,
};
use tokio::sync::mpsc;

use crate::kit::{Event, Note, Order, local, node, note, until, witness};

/// Sums up what it is given, and says so after a second of quiet.
#[derive(Default)]
struct Sum {
    total: u64,
    due: Option<Time>,
}

enum Input {
    Add(u64),
    Exited(Pid),
}

#[derive(Debug, PartialEq)]
enum Output {
    Say(u64),
    SayExited(Pid),
}

impl Machine for Sum {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Add(number) => {
                self.total += number;
                self.due = Some(now + Duration::from_secs(1));
            }
            Input::Exited(pid) => out.push(Output::SayExited(pid)),
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.due
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            out.push(Output::Say(self.total));
        }
    }
}

struct World {
    said: mpsc::Sender<Output>,
    turns: mpsc::Sender<u64>,
}

impl Edge<Sum> for World {
    fn started(&mut self, shell: &ShellHandle<Input>) {
        // Feeds from a task of its own.
        let shell = shell.clone();
        tokio::spawn(async move { shell.feed(Input::Add(1)).await });
    }

    fn carry_out(&mut self, output: Output, _: &Me) {
        self.said.try_send(output).unwrap();
    }

    fn exited(&mut self, pid: Pid) -> Option<Input> {
        Some(Input::Exited(pid))
    }

    fn after(&mut self, machine: &Sum, _: Time) {
        self.turns.try_send(machine.total).unwrap();
    }
}

impl Accept<Note, Sum> for World {
    fn input(&mut self, from: Pid, note: Note) -> Option<Input> {
        assert_eq!(from.name(), shell::NOBODY);
        (note.number > 0).then_some(Input::Add(note.number))
    }
}

#[tokio::test]
async fn a_machine_is_fed_in_order_and_ticked_when_due() {
    local(async {
        let clock = Clock::manual(Time::default());
        let config = NodeConfig { clock: clock.clone(), check_machines: true, ..NodeConfig::default() };
        let node = Node::bind(config).await.unwrap();
        let (said, mut says) = mpsc::channel(100);
        let (turns, mut turned) = mpsc::channel(100);
        let (pid, handle) = shell::spawn(&node, "sum", Sum::default(), World { said, turns }, |install| {
            install.message::<Note>();
        })
        .unwrap();
        assert_eq!(turned.recv().await, Some(0));
        assert_eq!(turned.recv().await, Some(1));
        node.tell(&pid, note(0)).unwrap();
        node.tell(&pid, note(10)).unwrap();
        handle.try_feed(Input::Add(100)).unwrap();
        // Several inputs are one turn.
        assert_eq!(turned.recv().await, Some(111));
        clock.advance(Duration::from_millis(900));
        handle.try_feed(Input::Add(1000)).unwrap();
        assert_eq!(turned.recv().await, Some(1111));
        // The first deadline passes: it was moved.
        clock.advance(Duration::from_millis(900));
        tokio::task::yield_now().await;
        assert!(says.try_recv().is_err());
        clock.advance(Duration::from_millis(100));
        assert_eq!(says.recv().await, Some(Output::Say(1111)));
        handle.me().link(&node.pid("nobody"));
        assert_eq!(says.recv().await, Some(Output::SayExited(node.pid("nobody"))));
        node.shutdown().await;
        assert!(handle.feed(Input::Add(1)).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_is_always_due_leaves_others_their_turn() {
    struct Always;
    impl Machine for Always {
        type Input = ();
        type Output = ();
        fn handle(&mut self, _: Time, (): (), _: &mut Vec<()>) {}
        fn deadline(&self) -> Option<Time> {
            Some(Time::default())
        }
        fn tick(&mut self, _: Time, _: &mut Vec<()>) {}
    }
    struct Nothing;
    impl Edge<Always> for Nothing {
        fn carry_out(&mut self, (): (), _: &Me) {}
        fn exited(&mut self, _: Pid) -> Option<()> {
            None
        }
    }
    local(async {
        let node = node().await;
        shell::spawn(&node, "always", Always, Nothing, |_| {}).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        node.shutdown().await;
    })
    .await;
}

/// Adds up, and says the sum with each number; says when it has ended.
#[derive(Default)]
struct Tally(u64);

impl Machine for Tally {
    type Input = u64;
    type Output = u64;

    fn handle(&mut self, _: Time, number: u64, out: &mut Vec<u64>) {
        self.0 += number;
        out.push(self.0);
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn tick(&mut self, _: Time, _: &mut Vec<u64>) {}
}

struct Says(u64, mpsc::Sender<(u64, Option<u64>)>);

impl Edge<Tally> for Says {
    fn carry_out(&mut self, sum: u64, _: &Me) {
        self.1.try_send((self.0, Some(sum))).unwrap();
    }

    fn exited(&mut self, _: Pid) -> Option<u64> {
        None
    }

    fn stopped(&mut self, _: &Tally) {
        self.1.try_send((self.0, None)).unwrap();
    }
}

impl Accept<Note, Tally> for Says {
    fn input(&mut self, _: Pid, note: Note) -> Option<u64> {
        Some(note.number)
    }
}

#[tokio::test]
async fn one_takes_the_place_of_another_and_the_name_is_never_without_an_actor() {
    local(async {
        let (here, there) = (node().await, node().await);
        let (said, mut says) = mpsc::channel(100);
        let place = |life: u64| {
            let edge = Says(life, said.clone());
            shell::spawn_in_place(&here, "tally", Tally::default(), edge, |install| {
                install.message::<Note>();
            })
            .unwrap()
        };
        let (pid, first) = place(1);
        let taken = shell::spawn(&here, "tally", Tally::default(), Says(0, said.clone()), |_| {});
        assert!(matches!(taken, Err(SpawnError::NameTaken(_))));
        let mut watchers: Vec<_> =
            [(&here, "near"), (&there, "far")].map(|(home, name)| witness(home, name)).into();
        for (home, (watcher, _)) in [&here, &there].into_iter().zip(&watchers) {
            home.tell(watcher, Order::Link(pid.clone())).unwrap();
        }
        until(&here, "links_in", 1.0).await;
        until(&here, "links_out", 1.0).await;
        // What waits for the first one does not go to those that follow, however fast.
        first.try_feed(100).unwrap();
        place(2);
        place(3);
        assert!(here.has_actor("tally"));
        here.tell(&pid, note(7)).unwrap();
        let mut heard = Vec::new();
        while heard.len() < 3 {
            heard.push(says.recv().await.unwrap());
        }
        heard.sort_unstable();
        assert_eq!(heard, [(1, None), (2, None), (3, Some(7))]);
        assert!(first.try_feed(1).is_err());
        for (_, events) in &mut watchers {
            assert_eq!(events.recv().await, Some(Event::Exited(pid.clone())));
        }
        // A link that is made now is one to the last of them, which the ends of the others do not touch.
        here.tell(&watchers[0].0, Order::Link(pid.clone())).unwrap();
        until(&here, "links_out", 1.0).await;
        here.stop("tally");
        assert_eq!(watchers[0].1.recv().await, Some(Event::Exited(pid)));
        assert_eq!(says.recv().await, Some((3, None)));
        there.shutdown().await;
        here.shutdown().await;
    })
    .await;
}
