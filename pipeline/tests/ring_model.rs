//! The ring of slots under a model checker: thousands of interleavings of feeders and consumer.
//!
//! The code under test is `src/ring.rs` itself. Its channels, counters and pointers come from
//! `crate::sync`; here that is a module on shuttle's locks, under which shuttle chooses who runs next at
//! every step. A deadlock fails a test, as does a lost or repeated item.

#![cfg(test)]

#[path = "../src/ring.rs"]
mod ring;

/// What `src/sync.rs` gives, on shuttle's primitives: bounded channels for many senders and receivers.
mod sync {
    use std::collections::VecDeque;
    use std::time::Duration;

    pub(crate) use shuttle::sync::Arc;
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use shuttle::sync::{Condvar, Mutex};

    struct Channel<T> {
        state: Mutex<State<T>>,
        changed: Condvar,
        capacity: usize,
    }

    struct State<T> {
        queue: VecDeque<T>,
        senders: usize,
        receivers: usize,
    }

    pub(crate) struct Sender<T>(Arc<Channel<T>>);
    pub(crate) struct Receiver<T>(Arc<Channel<T>>);

    /// The other end is gone.
    #[derive(Debug)]
    pub(crate) struct Gone;

    #[expect(dead_code, reason = "time does not pass in a model")]
    pub(crate) enum RecvTimeoutError {
        Timeout,
        Disconnected,
    }

    pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let state = Mutex::new(State {
            queue: VecDeque::new(),
            senders: 1,
            receivers: 1,
        });
        let channel = Arc::new(Channel {
            state,
            changed: Condvar::new(),
            capacity,
        });
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, value: T) -> Result<(), Gone> {
            let mut state = self.0.state.lock().unwrap();
            // The ring promises that nobody who sends ever waits.
            assert!(state.queue.len() < self.0.capacity, "a channel is full");
            if state.receivers == 0 {
                return Err(Gone);
            }
            state.queue.push_back(value);
            self.0.changed.notify_all();
            Ok(())
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.state.lock().unwrap().senders += 1;
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.state.lock().unwrap().senders -= 1;
            self.0.changed.notify_all();
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn recv(&self) -> Result<T, Gone> {
            let mut state = self.0.state.lock().unwrap();
            loop {
                if let Some(value) = state.queue.pop_front() {
                    return Ok(value);
                }
                if state.senders == 0 {
                    return Err(Gone);
                }
                state = self.0.changed.wait(state).unwrap();
            }
        }

        pub(crate) fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
            self.recv().map_err(|Gone| RecvTimeoutError::Disconnected)
        }

        pub(crate) fn try_recv(&self) -> Result<T, Gone> {
            self.0.state.lock().unwrap().queue.pop_front().ok_or(Gone)
        }

        pub(crate) fn len(&self) -> usize {
            self.0.state.lock().unwrap().queue.len()
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            self.0.state.lock().unwrap().receivers -= 1;
        }
    }
}

use std::time::Duration;

use ring::{InOrder, Lease, Made, Ring, feed};
use shuttle::sync::Mutex;
use shuttle::thread::JoinHandle;
use sync::{Arc, bounded};

/// Memory that says which thing was made in it.
type Slot = Option<u64>;
type Item = Result<Lease<Slot>, (u64, Lease<Slot>)>;

struct Model {
    ring: Arc<Ring<Slot>>,
    items: InOrder<Item>,
    feeders: Vec<JoinHandle<()>>,
    slots: usize,
}

impl Model {
    /// Feeders that make `count` things in a ring of `slots`; things for which `fails` holds fail.
    fn start(slots: usize, feeders: usize, count: u64, fails: fn(u64) -> bool) -> Self {
        Self::growing(slots, slots, feeders, count, fails)
    }

    /// The same, `begin` of the slots being there from the start.
    fn growing(
        slots: usize,
        begin: usize,
        feeders: usize,
        count: u64,
        fails: fn(u64) -> bool,
    ) -> Self {
        let ring = Ring::new(slots, feeders);
        for _ in 0..begin {
            ring.add();
        }
        let (ready, items) = bounded::<Made<Item>>(slots);
        let plan = Arc::new(Mutex::new(0));
        let start = |_| {
            let (ring, ready, plan) = (Arc::clone(&ring), ready.clone(), Arc::clone(&plan));
            shuttle::thread::spawn(move || {
                let next = |_: &mut Slot| {
                    let mut next = plan.lock().unwrap();
                    *next += 1;
                    (*next <= count).then_some((*next - 1, *next - 1))
                };
                let make = |number: u64, mut lease: Lease<Slot>| {
                    shuttle::thread::yield_now();
                    lease.slot = Some(number);
                    if fails(number) {
                        Err((number, lease))
                    } else {
                        Ok(lease)
                    }
                };
                feed(&ring, next, make, &ready);
            })
        };
        let feeders = (0..feeders).map(start).collect();
        Self {
            ring,
            items: InOrder::new(items, slots),
            feeders,
            slots,
        }
    }

    fn next(&mut self) -> Option<Item> {
        let item = self.items.next(Duration::ZERO, || ());
        assert!(self.items.waiting() <= self.slots);
        assert!(self.ring.lent() <= self.slots);
        item
    }

    /// As the loader's drop does it.
    fn end(mut self) -> usize {
        self.ring.stop();
        for feeder in self.feeders.drain(..) {
            feeder.join().unwrap();
        }
        self.items.clear();
        self.ring.drain();
        assert!(self.ring.lent_most() <= self.slots);
        self.ring.lent()
    }
}

fn holds(item: &Item, number: u64) {
    match item {
        Ok(lease) => assert_eq!(lease.slot, Some(number)),
        Err((failed, lease)) => {
            assert_eq!((*failed, lease.slot), (number, Some(number)));
        }
    }
}

const SCHEDULES: usize = 2_000;

/// Runs the model under random schedules and under those with few preemptions, which find other bugs.
fn check(model: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(model.clone(), SCHEDULES);
    shuttle::check_pct(model, SCHEDULES, 3);
}

#[test]
fn everything_comes_once_and_in_order_and_then_there_is_an_end() {
    for (slots, feeders) in [(2, 1), (2, 2), (3, 2), (4, 3)] {
        check(move || {
            let mut model = Model::start(slots, feeders, 6, |number| number % 3 == 1);
            for number in 0..6 {
                holds(&model.next().unwrap(), number);
            }
            assert!(model.next().is_none());
            assert_eq!(model.end(), 0);
        });
    }
}

#[test]
fn the_consumer_may_hold_all_slots_but_one() {
    check(|| {
        let mut model = Model::start(3, 2, 6, |_| false);
        let mut held = std::collections::VecDeque::new();
        for number in 0..6 {
            held.push_back(model.next().unwrap());
            holds(held.back().unwrap(), number);
            // What is held keeps its content whatever is made beside it.
            holds(&held[0], number.saturating_sub(1));
            if held.len() == 2 {
                held.pop_front();
            }
        }
        assert_eq!(model.end(), 1);
    });
}

#[test]
fn the_end_may_come_at_any_moment_and_no_feeder_stays() {
    for taken in 0..=4 {
        check(move || {
            let mut model = Model::start(3, 2, u64::MAX, |number| number % 2 == 1);
            let mut held: Vec<Item> = Vec::new();
            for number in 0..taken {
                held.push(model.next().unwrap());
                holds(&held[held.len() - 1], number);
                if held.len() > 2 {
                    drop(held.remove(0));
                }
            }
            // What outlives the ring keeps its content.
            assert_eq!(model.end(), held.len());
            let first = taken - held.len() as u64;
            for (number, item) in (first..).zip(&held) {
                holds(item, number);
            }
        });
    }
}

#[test]
fn slots_may_be_added_while_all_is_under_way() {
    check(|| {
        let mut model = Model::growing(3, 2, 2, 6, |_| false);
        let more = Arc::clone(&model.ring);
        let adding = shuttle::thread::spawn(move || more.add());
        for number in 0..6 {
            holds(&model.next().unwrap(), number);
        }
        adding.join().unwrap();
        assert_eq!(model.end(), 0);
    });
}
