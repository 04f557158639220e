//! When a request begins.
//!
//! A request that has begun and is running, or could run if a core were free, needs the CPU; one
//! that waits for a timer, a database or another service needs none. A new request begins if what
//! its route is known to hold fits the budget, and, unless that is little, while only few need the
//! CPU. So what has begun and holds much is finished before more begins, and waiting costs nothing.
//! No peer's requests take all of the budget or of the cores: those of others need not wait until
//! they end.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroUsize,
    sync::{
        atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst},
        Arc, Mutex, MutexGuard, PoisonError, Weak,
    },
};

use tokio::sync::oneshot;

use super::{
    budget::{Budget, CountGuard, Full, Hold, Kind, Peer, Shortage},
    fair_queue::FairQueue,
    routes::Route,
};
use crate::{
    cores,
    guard::{self, Pressure},
};

/// Begun requests that need the CPU, for each core, up to which another begins: a core is never
/// without work while a request is polled that waits in the end.
const BUSY_PER_CORE: isize = 2;
/// The same for a request that holds so few bytes that it may as well wait begun as not.
const BUSY_PER_CORE_IF_SMALL: isize = 128;
const SMALL: u64 = 64 << 10;
/// Requests of one peer, for each core, that keep those of others from beginning. What it has beyond
/// that keeps only its own.
const PEER_BUSY_PER_CORE: isize = 1;
/// The part of `settings.requests.in_flight` that a peer leaves to the others.
const IN_FLIGHT_RESERVE_DIVISOR: usize = 8;
/// The part of the budget that a request is expected to hold at most: where more is expected it would
/// never begin among others, and nothing would tell that it holds less by now.
const MAX_EXPECTED_DIVISOR: u64 = 2;
/// The peers that have gone are forgotten where there are so many, or twice as many as the last time.
const MIN_SWEEP_LEN: usize = 1024;

/// Lets requests begin.
#[derive(Debug)]
pub struct Gate {
    budget: Arc<Budget>,
    max_busy: isize,
    max_busy_if_small: isize,
    max_busy_per_peer: isize,
    /// `settings.requests.in_flight`
    max_active: Option<usize>,
    /// Begun requests that need the CPU.
    busy: AtomicIsize,
    /// The same, of each peer no more than counts for others.
    capped_busy: AtomicIsize,
    active: AtomicUsize,
    /// Begun requests that have not run yet: of what they hold, nothing is known.
    unmeasured: AtomicIsize,
    queue: Mutex<Queue>,
    peers: Mutex<Peers>,
}

/// What a request waits for, and whether that is full for its peer alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    ForCores(Full),
    ForMemory(Full),
}

/// Requests that wait, in a line for each route. The routes take turns.
#[derive(Debug, Default)]
struct Queue {
    queues: HashMap<usize, FairQueue<Waiter, Permit>>,
    order: VecDeque<usize>,
    /// Those that wait for memory.
    shortage: Shortage,
}

#[derive(Debug)]
struct Waiter {
    route: Arc<Route>,
    network: IpAddr,
    peer: Arc<Peer>,
}

/// The peers with requests.
#[derive(Debug, Default)]
struct Peers {
    known: HashMap<IpAddr, Weak<Peer>>,
    sweep_at: usize,
}

impl Gate {
    pub fn new(budget: &Arc<Budget>, in_flight: Option<NonZeroUsize>) -> Arc<Self> {
        let cores = isize::try_from(cores()).unwrap_or(isize::MAX >> 8);
        let gate = Arc::new(Self {
            budget: Arc::clone(budget),
            max_busy: BUSY_PER_CORE * cores,
            max_busy_if_small: BUSY_PER_CORE_IF_SMALL * cores,
            max_busy_per_peer: PEER_BUSY_PER_CORE * cores,
            max_active: in_flight.map(NonZeroUsize::get),
            busy: AtomicIsize::new(0),
            capped_busy: AtomicIsize::new(0),
            active: AtomicUsize::new(0),
            unmeasured: AtomicIsize::new(0),
            queue: Mutex::default(),
            peers: Mutex::default(),
        });
        budget.set_gate(&gate);
        gate
    }

    /// Requests that need the CPU.
    #[cfg(any(feature = "metrics", test))]
    pub fn busy(&self) -> usize {
        usize::try_from(self.busy.load(SeqCst)).unwrap_or(0)
    }

    /// Requests that are worked on, those that wait for something included.
    pub fn active(&self) -> usize {
        self.active.load(SeqCst)
    }

    /// Requests that have not begun.
    pub fn waiting(&self) -> usize {
        self.budget.waiting().load(SeqCst)
    }

    /// Requests that wait for memory.
    pub fn shortage(&self) -> Shortage {
        if self.waiting() == 0 {
            return Shortage::default();
        }
        let mut shortage = self.lock().shortage.clone();
        if guard::pressure() != Pressure::None {
            shortage.add_for_all();
        }
        shortage
    }

    /// A permit, if the request can begin at once.
    pub fn try_acquire(self: &Arc<Self>, route: &Arc<Route>, peer: IpAddr) -> Option<Permit> {
        if self.waiting() > 0 {
            return None;
        }
        self.issue_permit(route, &self.peer(network_of(peer))).ok()
    }

    /// Waits until the request can begin. Whoever stops waiting loses nothing: a permit that was
    /// given meanwhile goes to the next.
    pub async fn acquire(self: &Arc<Self>, route: &Arc<Route>, peer: IpAddr) -> Permit {
        let network = network_of(peer);
        let waiter = Waiter {
            route: Arc::clone(route),
            network,
            peer: self.peer(network),
        };
        let _waiting = CountGuard::new(self.budget.waiting());
        let granted = self.lock().push(waiter);
        // It may have become free since it was last looked at.
        self.admit_waiting();
        granted
            .await
            .unwrap_or_else(|_| unreachable!("the queue drops no waiter that listens"))
    }

    /// Whether a request can begin, as far as its own memory is not concerned. Near the limit of the
    /// container's, small ones begin one after the other, and large ones when all others have ended.
    fn is_open(&self, is_small: bool) -> bool {
        let is_alone = || self.active() == 0 || is_small && self.busy.load(SeqCst) <= 0;
        self.capped_busy.load(SeqCst) < self.max_busy(is_small)
            && self.max_active.is_none_or(|max| self.active() < max)
            && (guard::pressure() == Pressure::None || is_alone())
    }

    /// Whether a peer has as many begun requests as it may, where their number is fixed.
    fn is_at_in_flight_cap(&self, peer: &Peer) -> bool {
        self.max_active
            .is_some_and(|max| peer.active.load(SeqCst) >= max - max / IN_FLIGHT_RESERVE_DIVISOR)
    }

    const fn max_busy(&self, is_small: bool) -> isize {
        if is_small {
            self.max_busy_if_small
        } else {
            self.max_busy
        }
    }

    /// What the requests of a peer take.
    fn peer(&self, network: IpAddr) -> Arc<Peer> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peers.get(network);
        drop(peers);
        peer
    }

    /// A permit, if a request can begin.
    fn issue_permit(
        self: &Arc<Self>,
        route: &Arc<Route>,
        peer: &Arc<Peer>,
    ) -> Result<Permit, Wait> {
        let expected = route
            .expected()
            .min(self.budget.limit() / MAX_EXPECTED_DIVISOR);
        let is_small = expected <= SMALL;
        let may_admit_unmeasured = self.unmeasured.load(SeqCst) < self.max_busy;
        if !self.is_open(is_small) || !may_admit_unmeasured {
            return Err(Wait::ForCores(Full::All));
        }
        if peer.busy.load(SeqCst) >= self.max_busy(is_small) || self.is_at_in_flight_cap(peer) {
            return Err(Wait::ForCores(Full::Peer));
        }
        let active = self
            .active
            .fetch_update(SeqCst, SeqCst, |active| {
                let has_room = self.max_active.is_none_or(|max| active < max);
                has_room.then_some(active + 1)
            })
            .map_err(|_| Wait::ForCores(Full::All))?;
        let memory = match self.budget.try_hold_for(peer, expected) {
            Ok(memory) => memory,
            // Where no other will release any, waiting would not help.
            Err(_) if active == 0 && self.budget.held(Kind::Responses) == 0 => {
                self.budget.hold_for(Some(peer), Kind::Work, expected)
            }
            Err(full) => {
                self.active.fetch_sub(1, SeqCst);
                return Err(Wait::ForMemory(full));
            }
        };
        self.unmeasured.fetch_add(1, SeqCst);
        peer.active.fetch_add(1, SeqCst);
        self.resume(peer);
        Ok(Permit {
            gate: Arc::clone(self),
            route: Arc::clone(route),
            peer: Arc::clone(peer),
            memory,
            peak: 0,
            is_measured: false,
            is_complete: false,
        })
    }

    /// Lets as many waiting requests begin as can.
    pub fn admit_waiting(self: &Arc<Self>) {
        while self.waiting() > 0 && self.is_open(true) {
            let Some((waiter, permit)) = self.lock().next(self) else {
                return;
            };
            // It ends here if the waiter has gone.
            drop(waiter.send(permit));
        }
    }

    /// A begun request of this peer waits for something from now on.
    pub fn pause(self: &Arc<Self>, peer: &Peer) {
        self.busy.fetch_sub(1, SeqCst);
        let before = peer.busy.fetch_sub(1, SeqCst);
        if (1..=self.max_busy_per_peer).contains(&before) {
            self.capped_busy.fetch_sub(1, SeqCst);
        }
        self.admit_waiting();
    }

    /// A begun request of this peer needs the CPU again.
    pub fn resume(&self, peer: &Peer) {
        self.busy.fetch_add(1, SeqCst);
        let before = peer.busy.fetch_add(1, SeqCst);
        if (0..self.max_busy_per_peer).contains(&before) {
            self.capped_busy.fetch_add(1, SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, waiter: Waiter) -> oneshot::Receiver<Permit> {
        let route = waiter.route.id();
        let queue = self.queues.entry(route).or_insert_with(|| {
            self.order.push_back(route);
            FairQueue::default()
        });
        queue.push(waiter.network, waiter)
    }

    /// The next that can begin, with its permit.
    fn next(&mut self, gate: &Arc<Gate>) -> Option<(oneshot::Sender<Permit>, Permit)> {
        let mut shortage = Shortage::default();
        for _ in 0..self.order.len() {
            let route = self.order.pop_front()?;
            let queue = self.queues.get_mut(&route)?;
            let next = queue.grant_next(|waiter| {
                let permit = gate.issue_permit(&waiter.route, &waiter.peer);
                permit.map_err(|wait| {
                    if let Wait::ForMemory(full) = wait {
                        shortage.add(full, waiter.network);
                    }
                    let (Wait::ForCores(full) | Wait::ForMemory(full)) = wait;
                    full
                })
            });
            if queue.is_empty() {
                self.queues.remove(&route);
            } else {
                self.order.push_back(route);
            }
            if next.is_some() {
                // Not all have been looked at.
                self.shortage.merge(shortage);
                return next;
            }
        }
        self.shortage = shortage;
        None
    }
}

impl Peers {
    fn get(&mut self, network: IpAddr) -> Arc<Peer> {
        // Clients that come and go must not fill it.
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, peer| peer.strong_count() > 0);
            self.sweep_at = MIN_SWEEP_LEN.max(2 * self.known.len());
        }
        let known = self.known.entry(network).or_default();
        known.upgrade().unwrap_or_else(|| {
            let peer = Arc::default();
            *known = Arc::downgrade(&peer);
            peer
        })
    }
}

/// One network of IPv6 is one peer: a host has as many addresses in it as it likes. IPv4 is IPv4, in
/// whatever form a socket for both has it.
pub const fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !(u64::MAX as u128);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

/// A request that has begun, until this is dropped. It needs the CPU, unless [`Gate::pause`] says
/// otherwise.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    route: Arc<Route>,
    peer: Arc<Peer>,
    memory: Hold,
    /// Bytes that the request has held at its most.
    peak: u64,
    is_measured: bool,
    is_complete: bool,
}

impl Permit {
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    pub const fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// The request holds so many bytes now.
    pub fn set_held(&mut self, bytes: u64) {
        self.mark_measured();
        if bytes > self.peak {
            self.peak = bytes;
            self.route.raise(bytes);
        }
        // What it is expected to take stays reserved.
        if bytes > self.memory.bytes() {
            self.memory.set(bytes);
        }
    }

    fn mark_measured(&mut self) {
        if !self.is_measured {
            self.is_measured = true;
            self.gate.unmeasured.fetch_sub(1, SeqCst);
            self.gate.admit_waiting();
        }
    }

    /// The request has run to its end: what it has held tells what the next will.
    pub const fn mark_complete(&mut self) {
        self.is_complete = true;
    }

    /// The request holds no more than so many bytes: what it is expected to take besides is free for
    /// others.
    pub fn shrink_to(&mut self, bytes: u64) {
        self.memory.set(bytes);
    }

    /// So many bytes, at most all that it holds, to be held for longer than the permit.
    pub fn split(&mut self, bytes: u64) -> Hold {
        self.memory.split(bytes)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.mark_measured();
        if self.is_complete {
            self.route.learn(self.peak);
        }
        self.gate.active.fetch_sub(1, SeqCst);
        self.peer.active.fetch_sub(1, SeqCst);
        self.gate.pause(&self.peer);
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
        Arc::new(Route::new(&"/".into(), false))
    }

    /// The peer's requests that can begin while all before them rest.
    fn paused<'a>(
        gate: &'a Arc<Gate>,
        route: &'a Arc<Route>,
        peer: IpAddr,
    ) -> impl Iterator<Item = Permit> + 'a {
        std::iter::from_fn(move || {
            let mut permit = gate.try_acquire(route, peer)?;
            permit.set_held(0);
            gate.pause(permit.peer());
            Some(permit)
        })
    }

    #[tokio::test]
    async fn a_request_begins_when_another_pauses_or_ends() {
        let gate = gate(1000);
        let route = route();
        route.raise(1 << 20);
        let mut permits = Vec::new();
        while let Some(mut permit) = gate.try_acquire(&route, ONE) {
            permit.set_held(0);
            permits.push(permit);
        }
        assert_eq!(permits.len(), 2 * cores());

        gate.pause(permits[0].peer());
        let next = gate.acquire(&route, ONE).await;
        assert_eq!(gate.busy(), 2 * cores());
        drop(permits.pop());
        timeout(Duration::from_secs(5), gate.acquire(&route, ONE))
            .await
            .expect("one has ended");
        gate.resume(permits[0].peer());
        drop((next, permits));
        assert_eq!((gate.busy(), gate.active(), gate.waiting()), (0, 0, 0));
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_no_permit_along() {
        let gate = gate(1);
        let route = route();
        let first = gate.try_acquire(&route, ONE).expect("it is free");
        let gone = Box::pin(gate.acquire(&route, ONE));
        let gone = timeout(Duration::from_millis(10), gone).await;
        assert!(gone.is_err());
        // It is given a permit, and goes without having been told.
        let mut unpolled = Box::pin(gate.acquire(&route, ONE));
        assert!(timeout(Duration::from_millis(10), &mut unpolled)
            .await
            .is_err());
        drop(first);
        drop(unpolled);

        timeout(Duration::from_secs(5), gate.acquire(&route, ONE))
            .await
            .expect("nobody else has one");
    }

    #[tokio::test]
    async fn peers_take_turns() {
        let gate = gate(1);
        let route = route();
        let first = gate.try_acquire(&route, ONE).expect("it is free");
        let order = Arc::new(Mutex::new(Vec::new()));
        let spawn = |peer| {
            let (gate, route, order) = (gate.clone(), route.clone(), order.clone());
            tokio::spawn(async move {
                let _permit = gate.acquire(&route, peer).await;
                order.lock().expect("no panic").push(peer);
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
        let order = order.lock().expect("no panic").clone();
        assert_eq!(order[..5], [ONE, OTHER, ONE, OTHER, ONE]);
    }

    #[tokio::test]
    async fn a_route_that_does_not_fit_keeps_no_other_waiting() {
        let budget = Budget::new(1 << 20);
        let gate = Gate::new(&budget, None);
        let small = route();
        for _ in 0..40 {
            small.learn(0);
        }
        let large = Arc::new(Route::new(&"/large".into(), false));
        large.raise(600 << 10);
        let first = gate.try_acquire(&large, ONE).expect("it is free");
        let waiting = Box::pin(gate.acquire(&large, ONE));
        let mut waiting = Box::pin(timeout(Duration::from_millis(50), waiting));
        assert!(timeout(Duration::from_millis(10), &mut waiting)
            .await
            .is_err());
        assert!(gate.shortage().concerns(ONE));

        let permit = timeout(Duration::from_secs(5), gate.acquire(&small, ONE)).await;

        assert!(permit.is_ok());
        drop(first);
    }

    #[tokio::test]
    async fn a_peer_that_holds_as_much_as_one_may_keeps_no_other_waiting() {
        let gate = Gate::new(&Budget::new(1 << 20), None);
        let route = route();
        for _ in 0..12 {
            route.learn(0);
        }
        let mut permits = Vec::new();
        while let Some(mut permit) = gate.try_acquire(&route, ONE) {
            permit.set_held(0);
            permits.push(permit);
        }
        let next = tokio::spawn({
            let gate = Arc::clone(&gate);
            let route = Arc::clone(&route);
            async move { gate.acquire(&route, ONE).await }
        });
        while gate.waiting() == 0 {
            tokio::task::yield_now().await;
        }

        let of_other = timeout(Duration::from_secs(5), gate.acquire(&route, OTHER)).await;

        assert!(of_other.is_ok());
        assert_eq!(gate.waiting(), 1);
        drop(permits);
        next.await.expect("no panic");
    }

    #[tokio::test]
    async fn a_peer_that_keeps_the_cores_busy_keeps_no_other_waiting() {
        let gate = gate(1000);
        let route = route();
        let permits: Vec<Permit> = paused(&gate, &route, ONE).take(100).collect();
        for permit in &permits {
            gate.resume(permit.peer());
        }
        assert_eq!(gate.busy(), 100);
        assert!(gate.try_acquire(&route, ONE).is_none());

        let of_other = gate.try_acquire(&route, OTHER);
        assert!(of_other.is_some());
        drop((of_other, permits));
        assert_eq!((gate.busy(), gate.capped_busy.load(SeqCst)), (0, 0));
    }

    #[test]
    fn a_peer_leaves_others_a_part_of_a_fixed_number() {
        let gate = gate(8);
        let route = route();
        let permits: Vec<Permit> = paused(&gate, &route, ONE).collect();

        assert_eq!(permits.len(), 7);
        assert!(gate.try_acquire(&route, OTHER).is_some());
        for permit in &permits {
            gate.resume(permit.peer());
        }
        drop(permits);
        assert!(gate.try_acquire(&route, ONE).is_some());
    }

    #[tokio::test]
    async fn few_begin_before_it_is_known_what_they_hold() {
        let gate = gate(1000);
        let small = route();
        for _ in 0..40 {
            small.learn(0);
        }
        let mut permits = Vec::new();
        while let Some(permit) = gate.try_acquire(&small, ONE) {
            permits.push(permit);
        }
        assert_eq!(permits.len(), 2 * cores());

        // Small as it was, it is large now.
        permits[0].set_held(600 << 20);
        permits[1].set_held(600 << 20);
        assert!(gate.try_acquire(&small, OTHER).is_none());
        drop(permits);
        assert_eq!(gate.unmeasured.load(SeqCst), 0);
    }

    #[test]
    fn addresses_of_ipv4_are_peers_in_whatever_form() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().expect("an address");

        assert_eq!(network_of(mapped), ONE);
        let [one, other, elsewhere] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
            .map(|address| network_of(address.parse().expect("an address")));
        assert_eq!(one, other);
        assert_ne!(one, elsewhere);
    }

    #[test]
    fn a_request_that_is_cut_off_tells_nothing_of_what_the_next_holds() {
        let gate = gate(1000);
        let route = route();
        route.raise(1 << 20);
        for _ in 0..40 {
            drop(gate.try_acquire(&route, ONE).expect("it is free"));
        }
        assert_eq!(route.expected(), 1 << 20);

        let mut permit = gate.try_acquire(&route, ONE).expect("it is free");
        permit.mark_complete();
        drop(permit);
        assert!(route.expected() < 1 << 20);
    }

    #[test]
    fn a_request_that_is_expected_to_hold_more_than_there_is_begins_beside_others() {
        let gate = Gate::new(&Budget::new(1 << 20), None);
        let huge = route();
        huge.raise(1 << 30);
        let small = route();
        small.raise(1 << 10);

        let _small = gate.try_acquire(&small, ONE).expect("it is free");
        assert!(gate.try_acquire(&huge, OTHER).is_some());
    }

    #[test]
    fn a_pause_counted_before_its_wake_leaves_nothing_behind() {
        let gate = gate(1000);
        let peer = Peer::default();
        for _ in 0..10 {
            gate.pause(&peer);
            gate.resume(&peer);
        }
        let busy = peer.busy.load(SeqCst);
        let capped_busy = gate.capped_busy.load(SeqCst);
        assert_eq!((busy, capped_busy, gate.busy()), (0, 0, 0));
    }
}
