//! When a request begins.
//!
//! A request that has begun and is running, or could run if a core were free, needs the CPU; one
//! that waits for a timer, a database or another service needs none. A new request begins if what
//! its route is known to hold fits the budget, and, unless that is little, while only few need the
//! CPU. So what has begun and holds much is finished before more begins, and waiting costs nothing.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroUsize,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc, Mutex, PoisonError, Weak,
    },
};

use tokio::sync::oneshot;

use super::{
    budget::{Budget, Hold, Kind, Released},
    routes::Route,
};
use crate::{
    cores,
    guard::{self, Pressure},
};

/// Begun requests that need the CPU, for each core, up to which another begins: a core is never
/// without work while a request is polled that waits in the end.
const BUSY_PER_CORE: usize = 2;
/// The same for a request that holds so few bytes that it may as well wait begun as not.
const BUSY_PER_CORE_IF_SMALL: usize = 128;
const SMALL: u64 = 64 << 10;

/// Lets requests begin.
#[derive(Debug)]
pub struct Gate {
    budget: Arc<Budget>,
    most_busy: usize,
    most_busy_if_small: usize,
    /// `settings.requests.in_flight`
    most_begun: Option<usize>,
    /// Begun requests that need the CPU.
    busy: AtomicUsize,
    begun: AtomicUsize,
    /// Some of those that wait do so for memory.
    short_of_memory: AtomicBool,
    queue: Mutex<Queue>,
}

/// Requests that wait, in a line for each route. In a line, peers take turns.
#[derive(Debug, Default)]
struct Queue {
    lines: HashMap<Arc<str>, Line>,
    turns: VecDeque<Arc<str>>,
    /// Those included that have gone.
    length: usize,
}

#[derive(Debug, Default)]
struct Line {
    peers: HashMap<IpAddr, VecDeque<Waiter>>,
    turns: VecDeque<IpAddr>,
}

#[derive(Debug)]
struct Waiter {
    route: Arc<Route>,
    permit: oneshot::Sender<Permit>,
}

impl Gate {
    pub fn new(budget: &Arc<Budget>, in_flight: Option<NonZeroUsize>) -> Arc<Self> {
        let cores = cores();
        let gate = Arc::new(Self {
            budget: Arc::clone(budget),
            most_busy: BUSY_PER_CORE * cores,
            most_busy_if_small: BUSY_PER_CORE_IF_SMALL * cores,
            most_begun: in_flight.map(NonZeroUsize::get),
            busy: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            short_of_memory: AtomicBool::new(false),
            queue: Mutex::default(),
        });
        budget.tell(Box::new(Waiters(Arc::downgrade(&gate))));
        gate
    }

    /// Requests that need the CPU.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// Requests that are worked on, those that wait for something included.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Requests that have not begun.
    pub fn waiting(&self) -> usize {
        self.budget.waiting().load(Ordering::Relaxed)
    }

    /// Whether requests wait for memory that others hold.
    pub fn is_short_of_memory(&self) -> bool {
        self.waiting() > 0 && self.short_of_memory.load(Ordering::Relaxed)
    }

    /// A permit, if the request can begin at once.
    pub fn try_begin(self: &Arc<Self>, route: &Arc<Route>) -> Option<Permit> {
        (self.waiting() == 0).then(|| self.permit(route)).flatten()
    }

    /// Waits until the request can begin. Whoever stops waiting loses nothing: a permit that was
    /// given meanwhile goes to the next.
    pub async fn begin(self: &Arc<Self>, route: &Arc<Route>, peer: IpAddr) -> Permit {
        let (permit, granted) = oneshot::channel();
        let waiter = Waiter {
            route: Arc::clone(route),
            permit,
        };
        let _waiting = Waiting::new(self);
        self.lock().push(waiter, network_of(peer), self.waiting());
        // It may have become free since it was last looked at.
        self.admit();
        granted
            .await
            .unwrap_or_else(|_| unreachable!("the queue drops no waiter that listens"))
    }

    fn has_room(&self, expected: u64) -> bool {
        let most_busy = if expected <= SMALL {
            self.most_busy_if_small
        } else {
            self.most_busy
        };
        self.busy() < most_busy
            && self.most_begun.is_none_or(|most| self.begun() < most)
            && (guard::pressure() == Pressure::None || self.begun() == 0)
    }

    fn permit(self: &Arc<Self>, route: &Arc<Route>) -> Option<Permit> {
        let expected = route.expected();
        if !self.has_room(expected) {
            return None;
        }
        let memory = match self.budget.try_hold(Kind::Work, expected) {
            Some(memory) => memory,
            // Where no other will release any, waiting would not help.
            None if self.begun() == 0 && self.budget.held(Kind::Answers) == 0 => {
                self.budget.hold(Kind::Work, expected)
            }
            None => return None,
        };
        // Another may have been faster since.
        let may_begin = |begun: usize| self.most_begun.is_none_or(|most| begun < most);
        self.begun
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |begun| {
                may_begin(begun).then_some(begun + 1)
            })
            .ok()?;
        self.busy.fetch_add(1, Ordering::Relaxed);
        Some(Permit {
            gate: Arc::clone(self),
            route: Arc::clone(route),
            memory,
            most: 0,
        })
    }

    /// Lets as many waiting requests begin as can.
    fn admit(self: &Arc<Self>) {
        while self.waiting() > 0 && self.has_room(0) {
            let Some((waiter, permit)) = self.lock().next(self) else {
                return;
            };
            // It ends here if the waiter has gone.
            drop(waiter.permit.send(permit));
        }
    }

    /// A begun request waits for something from now on.
    pub fn rest(self: &Arc<Self>) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
        self.admit();
    }

    /// A begun request needs the CPU again.
    pub fn resume(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, waiter: Waiter, peer: IpAddr, waiting: usize) {
        // Clients that come and go must not fill it.
        if self.length > 2 * waiting + 1024 {
            self.forget_those_that_have_gone();
        }
        self.length += 1;
        let name = Arc::clone(&waiter.route.template);
        let line = self.lines.entry(Arc::clone(&name)).or_insert_with(|| {
            self.turns.push_back(name);
            Line::default()
        });
        line.peers
            .entry(peer)
            .or_insert_with(|| {
                line.turns.push_back(peer);
                VecDeque::new()
            })
            .push_back(waiter);
    }

    fn forget_those_that_have_gone(&mut self) {
        for line in self.lines.values_mut() {
            for waiters in line.peers.values_mut() {
                waiters.retain(|waiter| !waiter.permit.is_closed());
            }
        }
        let lines = self.lines.values().flat_map(|line| line.peers.values());
        self.length = lines.map(VecDeque::len).sum();
    }

    /// The next whose memory fits, with its permit.
    fn next(&mut self, gate: &Arc<Gate>) -> Option<(Waiter, Permit)> {
        let mut is_short = false;
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            let line = self.lines.get_mut(&name)?;
            let next = line.next(gate, &mut is_short);
            if line.peers.is_empty() {
                self.lines.remove(&name);
            } else {
                self.turns.push_back(name);
            }
            if next.is_some() {
                self.length = self.length.saturating_sub(1);
                gate.short_of_memory.store(is_short, Ordering::Relaxed);
                return next;
            }
        }
        gate.short_of_memory.store(is_short, Ordering::Relaxed);
        None
    }
}

impl Line {
    fn next(&mut self, gate: &Arc<Gate>, is_short: &mut bool) -> Option<(Waiter, Permit)> {
        while let Some(peer) = self.turns.pop_front() {
            let Some(waiters) = self.peers.get_mut(&peer) else {
                continue;
            };
            while waiters
                .front()
                .is_some_and(|waiter| waiter.permit.is_closed())
            {
                waiters.pop_front();
            }
            let Some(waiter) = waiters.pop_front() else {
                self.peers.remove(&peer);
                continue;
            };
            let Some(permit) = gate.permit(&waiter.route) else {
                *is_short |= gate.has_room(waiter.route.expected());
                waiters.push_front(waiter);
                self.turns.push_front(peer);
                return None;
            };
            if waiters.is_empty() {
                self.peers.remove(&peer);
            } else {
                self.turns.push_back(peer);
            }
            return Some((waiter, permit));
        }
        None
    }
}

/// One network of IPv6 is one peer: a host has as many addresses in it as it likes.
pub const fn network_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => {
            let network = address.to_bits() & !(u64::MAX as u128);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

/// A request that waits, until it is dropped.
struct Waiting<'a>(&'a Gate);

impl<'a> Waiting<'a> {
    fn new(gate: &'a Gate) -> Self {
        gate.budget.waiting().fetch_add(1, Ordering::Relaxed);
        Self(gate)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.budget.waiting().fetch_sub(1, Ordering::Relaxed);
    }
}

/// Memory that is released lets requests begin that wait for it.
#[derive(Debug)]
struct Waiters(Weak<Gate>);

impl Released for Waiters {
    fn released(&self) {
        if let Some(gate) = self.0.upgrade() {
            gate.admit();
        }
    }
}

/// A request that has begun, until this is dropped. It needs the CPU, unless [`Gate::rest`] says
/// otherwise.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    route: Arc<Route>,
    memory: Hold,
    /// Bytes that the request has held at its most.
    most: u64,
}

impl Permit {
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The request holds so many bytes now.
    pub fn holds(&mut self, bytes: u64) {
        if bytes > self.most {
            self.most = bytes;
            self.route.raise(bytes);
        }
        // What it is expected to take stays reserved.
        if bytes > self.memory.bytes() {
            self.memory.set(bytes);
        }
    }

    /// The request holds no more than so many bytes: what it is expected to take besides is free for
    /// others.
    pub fn gives_back(&mut self, bytes: u64) {
        self.memory.set(bytes);
    }

    /// So many bytes, at most all that it holds, to be held for longer than the permit.
    pub fn split(&mut self, bytes: u64) -> Hold {
        self.memory.split(bytes)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.route.learn(self.most);
        self.gate.begun.fetch_sub(1, Ordering::Relaxed);
        self.gate.rest();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn gate(in_flight: usize) -> Arc<Gate> {
        Gate::new(&Budget::new(1 << 30), NonZeroUsize::new(in_flight))
    }

    fn route() -> Arc<Route> {
        Arc::new(Route::new("/", false))
    }

    #[tokio::test]
    async fn a_request_begins_when_another_rests_or_ends() {
        let gate = gate(1000);
        let route = route();
        route.raise(1 << 20);
        let mut permits = Vec::new();
        while let Some(permit) = gate.try_begin(&route) {
            permits.push(permit);
        }
        assert_eq!(permits.len(), gate.most_busy);

        gate.rest();
        let next = gate.begin(&route, ONE).await;
        assert_eq!(gate.busy(), gate.most_busy);
        drop(permits.pop());
        timeout(Duration::from_secs(5), gate.begin(&route, ONE))
            .await
            .expect("one has ended");
        gate.resume();
        drop((next, permits));
        assert_eq!((gate.busy(), gate.begun(), gate.waiting()), (0, 0, 0));
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_no_permit_along() {
        let gate = gate(1);
        let route = route();
        let first = gate.try_begin(&route).expect("it is free");
        let gone = Box::pin(gate.begin(&route, ONE));
        let gone = timeout(Duration::from_millis(10), gone).await;
        assert!(gone.is_err());
        // It is given a permit, and goes without having been told.
        let mut told = Box::pin(gate.begin(&route, ONE));
        assert!(timeout(Duration::from_millis(10), &mut told).await.is_err());
        drop(first);
        drop(told);

        timeout(Duration::from_secs(5), gate.begin(&route, ONE))
            .await
            .expect("nobody else has one");
    }

    #[tokio::test]
    async fn peers_take_turns() {
        let gate = gate(1);
        let route = route();
        let first = gate.try_begin(&route).expect("it is free");
        let begun = Arc::new(Mutex::new(Vec::new()));
        let spawn = |peer| {
            let (gate, route, begun) = (gate.clone(), route.clone(), begun.clone());
            tokio::spawn(async move {
                let _permit = gate.begin(&route, peer).await;
                begun.lock().expect("no panic").push(peer);
            })
        };
        let mut all = Vec::new();
        for (number, peer) in [ONE; 10].into_iter().chain([OTHER; 2]).enumerate() {
            all.push(spawn(peer));
            while gate.waiting() <= number {
                tokio::task::yield_now().await;
            }
        }

        drop(first);
        for one in all {
            one.await.expect("no panic");
        }
        let begun = begun.lock().expect("no panic").clone();
        assert_eq!(begun[..5], [ONE, OTHER, ONE, OTHER, ONE]);
    }

    #[tokio::test]
    async fn a_route_that_does_not_fit_keeps_no_other_waiting() {
        let budget = Budget::new(1 << 20);
        let gate = Gate::new(&budget, None);
        let small = route();
        for _ in 0..40 {
            small.learn(0);
        }
        let large = Arc::new(Route::new("/large", false));
        large.raise(600 << 10);
        let first = gate.try_begin(&large).expect("it is free");
        let waiting = Box::pin(gate.begin(&large, ONE));
        let mut waiting = Box::pin(timeout(Duration::from_millis(50), waiting));
        assert!(timeout(Duration::from_millis(10), &mut waiting)
            .await
            .is_err());
        assert!(gate.is_short_of_memory());

        let permit = timeout(Duration::from_secs(5), gate.begin(&small, ONE)).await;

        assert!(permit.is_ok());
        drop(first);
    }
}
