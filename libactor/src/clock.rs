//! The one door to the time of the world.
//!
//! [`Clock::real`] is the wall clock at its creation plus what the monotonic clock has counted since.
//! [`Clock::manual`] stands still until a test advances it, and can be let run.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::Time;
use crate::sync::lock;

/// Tells the time and wakes sleepers. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<Kind>);

enum Kind {
    Real { wall: Time, start: Instant },
    Manual(Mutex<Manual>),
}

struct Manual {
    /// What it shows, or showed when it was let run.
    shown: Time,
    /// Since when it runs; absent while it stands.
    runs_since: Option<Instant>,
    next_key: u64,
    sleepers: BTreeMap<(Time, u64), Waker>,
}

impl Manual {
    fn now(&self) -> Time {
        match self.runs_since {
            Some(since) => self.shown + since.elapsed(),
            None => self.shown,
        }
    }

    /// Wakes sleepers in the order of their deadlines: those that are due, or all.
    fn wake(&mut self, only_due: bool) -> Vec<Waker> {
        let now = self.now();
        let rest = if only_due {
            self.sleepers.split_off(&(now + Duration::from_nanos(1), 0))
        } else {
            BTreeMap::new()
        };
        std::mem::replace(&mut self.sleepers, rest).into_values().collect()
    }
}

impl Clock {
    /// The clock of the world.
    #[allow(clippy::disallowed_methods, reason = "this is the one door to the wall clock")]
    pub fn real() -> Self {
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        Self(Arc::new(Kind::Real { wall: Time::from_nanos(wall), start: Instant::now() }))
    }

    /// A clock that shows `start` and stands until it is advanced or resumed.
    pub fn manual(start: Time) -> Self {
        Self(Arc::new(Kind::Manual(Mutex::new(Manual {
            shown: start,
            runs_since: None,
            next_key: 0,
            sleepers: BTreeMap::new(),
        }))))
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        match &*self.0 {
            Kind::Real { wall, start } => *wall + start.elapsed(),
            Kind::Manual(manual) => lock(manual).now(),
        }
    }

    /// Ends at `at`, at once if that is past.
    ///
    /// # Cancel safety
    /// Dropping it is all that is needed.
    pub fn sleep_until(&self, at: Time) -> Sleep {
        Sleep { clock: self.clone(), at, key: None, timer: None }
    }

    /// Ends after `duration` from now.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Moves a manual clock forward and wakes who is due, in order of their deadlines. A real clock does not obey:
    /// nothing happens.
    pub fn advance(&self, by: Duration) {
        self.change(true, |manual| manual.shown = manual.shown + by);
    }

    /// Stops a manual clock where it is. A real clock does not obey.
    pub fn pause(&self) {
        self.change(false, |manual| {
            manual.shown = manual.now();
            manual.runs_since = None;
        });
    }

    /// Lets a manual clock run with the world's. A real clock runs anyway.
    pub fn resume(&self) {
        self.change(false, |manual| {
            if manual.runs_since.is_none() {
                manual.runs_since = Some(Instant::now());
            }
        });
    }

    fn change(&self, only_due: bool, change: impl FnOnce(&mut Manual)) {
        let Kind::Manual(manual) = &*self.0 else { return };
        let woken = {
            let mut manual = lock(manual);
            change(&mut manual);
            manual.wake(only_due)
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &*self.0 {
            Kind::Real { .. } => "real",
            Kind::Manual(_) => "manual",
        };
        write!(f, "Clock({kind}, {})", self.now().as_nanos())
    }
}

/// Ends at its time; see [`Clock::sleep_until`].
#[derive(Debug)]
pub struct Sleep {
    clock: Clock,
    at: Time,
    /// Where a manual clock keeps the waker.
    key: Option<u64>,
    /// While the clock runs.
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let kind = this.clock.0.clone();
        let until = match &*kind {
            Kind::Real { wall, start } => Some(*start + this.at.since(*wall)),
            Kind::Manual(manual) => {
                let mut manual = lock(manual);
                let now = manual.now();
                if now >= this.at {
                    if let Some(key) = this.key.take() {
                        manual.sleepers.remove(&(this.at, key));
                    }
                    return Poll::Ready(());
                }
                let key = *this.key.get_or_insert_with(|| {
                    manual.next_key += 1;
                    manual.next_key
                });
                manual.sleepers.insert((this.at, key), cx.waker().clone());
                manual.runs_since.map(|_| Instant::now() + this.at.since(now))
            }
        };
        let Some(until) = until else {
            this.timer = None;
            return Poll::Pending;
        };
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() != until && matches!(&*kind, Kind::Manual(_)) {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(key), Kind::Manual(manual)) = (self.key, &*self.clock.0) {
            lock(manual).sleepers.remove(&(self.at, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_stands_until_it_is_advanced() {
        let clock = Clock::manual(Time::from_nanos(5));
        let mut sleep = tokio::spawn(clock.sleep(Duration::from_secs(10)));
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        sleep.await.unwrap();
        assert_eq!(clock.now(), Time::from_nanos(5) + Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_manual_clock_can_be_let_run_and_stopped_again() {
        let clock = Clock::manual(Time::default());
        let sleep = tokio::spawn(clock.sleep(Duration::from_secs(10)));
        clock.resume();
        sleep.await.unwrap();
        clock.pause();
        let stopped = clock.now();
        assert!(stopped >= Time::default() + Duration::from_secs(10));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn the_real_clock_goes_with_tokio() {
        let clock = Clock::real();
        let before = clock.now();
        clock.sleep(Duration::from_secs(3600)).await;
        assert!(clock.now().since(before) >= Duration::from_secs(3600));
        clock.advance(Duration::from_secs(9999));
        assert!(clock.now().since(before) < Duration::from_secs(3700));
    }
}
