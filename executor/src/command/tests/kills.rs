//! How long a task has between TERM and KILL, by a clock that the test moves.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A task that ignores TERM, and the clock it is killed by.
struct Stubborn {
    bench: Bench,
    clock: Clock,
    pid: String,
}

impl Stubborn {
    async fn run(own: Option<Duration>, shutdown_grace: Duration) -> Self {
        let clock = Clock::manual(Clock::real().now());
        let mut task = shell("trap '' TERM; echo $$ > ready; while :; do sleep 0.01; done");
        task.kill_policy = own.map(|grace| KillPolicy { grace_period: Some(grace) });
        let bench = Bench::timed(Scope::Marked, clock.clone(), shutdown_grace).with_pipe();
        let mut bench = bench.launched(task).await;
        bench.running().await;
        let pid = bench.ready().await;
        Self { bench, clock, pid }
    }

    /// Kills; the first kill is told.
    async fn kill(&mut self, policy: Option<KillPolicy>, first: bool) {
        self.bench.call(Callback::Kill { task_id: "t".into(), kill_policy: policy }).await;
        if first {
            assert_eq!(self.bench.update().await.state, TaskState::Killing);
        }
        self.bench.returned().await;
    }

    async fn kill_within(&mut self, seconds: u32, first: bool) {
        self.kill(Some(KillPolicy { grace_period: Some(SECOND * seconds) }), first).await;
    }

    /// Moves time to just before, and sees that nothing happens; then on, and sees the end.
    async fn dies_after(mut self, seconds: u32) {
        self.clock.advance(SECOND * seconds - Duration::from_millis(1));
        self.sees_nothing().await;
        self.clock.advance(Duration::from_millis(1));
        self.dies().await;
    }

    /// What is due happens before the second of two callbacks is taken.
    async fn sees_nothing(&mut self) {
        for _ in 0..2 {
            self.bench.call(Callback::Message(Default::default())).await;
            self.bench.returned().await;
        }
        assert!(lives(&self.pid));
    }

    async fn dies(self) {
        let (status, _) = self.bench.ended().await;
        assert_eq!((status.state, status.exit_status), (TaskState::Killed, Some(137)));
        assert!(!lives(&self.pid));
    }
}

#[tokio::test]
async fn the_grace_is_three_seconds_if_nobody_says_otherwise() {
    let mut task = Stubborn::run(None, SECOND).await;
    task.kill(None, true).await;
    task.dies_after(3).await;
}

#[tokio::test]
async fn a_task_may_have_a_grace_of_its_own() {
    let mut task = Stubborn::run(Some(SECOND * 10), SECOND).await;
    task.kill(None, true).await;
    task.dies_after(10).await;
}

#[tokio::test]
async fn a_kill_may_have_another_grace() {
    for (seconds, own) in [(1, 10), (20, 10)] {
        let mut task = Stubborn::run(Some(SECOND * own), SECOND).await;
        task.kill_within(seconds, true).await;
        task.dies_after(seconds).await;
    }
    // A policy that says nothing of the grace leaves the task's own.
    let mut task = Stubborn::run(Some(SECOND * 10), SECOND).await;
    task.kill(Some(KillPolicy { grace_period: None }), true).await;
    task.dies_after(10).await;
}

#[tokio::test]
async fn a_second_kill_shortens_the_grace_which_counts_from_the_first() {
    let mut task = Stubborn::run(None, SECOND).await;
    task.kill_within(20, true).await;
    task.clock.advance(SECOND * 2);
    task.kill_within(5, false).await;
    task.dies_after(3).await;

    // What it shortens it to may be over.
    let mut task = Stubborn::run(None, SECOND).await;
    task.kill_within(20, true).await;
    task.clock.advance(SECOND * 10);
    task.kill_within(5, false).await;
    task.dies().await;
}

#[tokio::test]
async fn a_second_kill_does_not_lengthen_the_grace() {
    let mut task = Stubborn::run(None, SECOND).await;
    task.kill_within(20, true).await;
    task.clock.advance(SECOND * 10);
    task.kill_within(30, false).await;
    task.kill_within(20, false).await;
    task.kill(None, false).await;
    // The default of three seconds was over long ago.
    task.dies().await;

    let mut task = Stubborn::run(Some(SECOND * 20), SECOND).await;
    task.kill(None, true).await;
    task.clock.advance(SECOND * 5);
    task.kill_within(30, false).await;
    task.kill(None, false).await;
    task.dies_after(15).await;
}

#[tokio::test]
async fn a_shutdown_leaves_time_to_report_the_end() {
    // Four fifths of the executor's time.
    let mut task = Stubborn::run(Some(SECOND * 60), SECOND * 10).await;
    task.bench.call(Callback::Shutdown).await;
    assert_eq!(task.bench.update().await.state, TaskState::Killing);
    task.clock.advance(SECOND * 8);
    task.dies().await;

    // A task that wants less gets less.
    let mut task = Stubborn::run(Some(SECOND * 2), SECOND * 10).await;
    task.bench.call(Callback::Shutdown).await;
    assert_eq!(task.bench.update().await.state, TaskState::Killing);
    task.clock.advance(SECOND * 2);
    task.dies().await;
}

#[tokio::test]
async fn a_shutdown_hurries_a_kill_that_is_under_way() {
    let mut task = Stubborn::run(Some(SECOND * 60), SECOND * 10).await;
    task.kill(None, true).await;
    task.clock.advance(SECOND * 30);
    task.sees_nothing().await;
    task.bench.call(Callback::Shutdown).await;
    task.clock.advance(SECOND * 8);
    task.dies().await;
}

#[tokio::test]
async fn a_task_that_took_too_long_has_failed_whoever_kills_it_then() {
    let clock = Clock::manual(Clock::real().now());
    let mut task = shell("trap '' TERM; echo $$ > ready; while :; do sleep 0.01; done");
    task.max_completion_time = Some(SECOND * 100);
    let bench = Bench::timed(Scope::Marked, clock.clone(), SECOND).with_pipe();
    let mut bench = bench.launched(task).await;
    bench.running().await;
    bench.ready().await;
    clock.advance(SECOND * 100);
    // The first may be taken before it is seen that time is up, the second not.
    for _ in 0..2 {
        bench.call(Callback::Message(Default::default())).await;
        bench.returned().await;
    }
    bench.kill(Some(Duration::ZERO)).await;
    bench.returned().await;
    let (status, _) = bench.ended().await;
    assert_eq!((status.state, status.reason), (TaskState::Failed, Some(Reason::MaxCompletionTimeReached)));
    assert_eq!(status.exit_status, Some(137));
}

#[tokio::test]
async fn a_kill_of_another_task_kills_nothing() {
    let mut task = Stubborn::run(None, SECOND).await;
    task.bench.call(Callback::Kill { task_id: "other".into(), kill_policy: None }).await;
    task.bench.returned().await;
    task.clock.advance(SECOND * 100);
    task.sees_nothing().await;
    task.kill_within(0, true).await;
    task.dies().await;
}

#[tokio::test]
async fn what_has_left_the_group_is_asked_too() {
    let text = "trap 'wait $child; exit 5' TERM; \
                setsid sh -c 'trap \"exit 0\" TERM; echo > ready; while :; do sleep 0.01; done' & \
                child=$!; wait";
    let bench = Bench::timed(Scope::Marked, Clock::manual(Clock::real().now()), SECOND).with_pipe();
    let mut bench = bench.launched(shell(text)).await;
    bench.running().await;
    bench.ready().await;
    // The clock stands: nothing is killed.
    bench.kill(None).await;
    assert_eq!(bench.update().await.state, TaskState::Killing);
    bench.returned().await;
    let (status, _) = bench.ended().await;
    assert_eq!((status.state, status.exit_status), (TaskState::Killed, Some(5)));
}
