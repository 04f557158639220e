//! Decides when a request begins.
//!
//! An active request needs the CPU while it runs, or could run if a core were free; one that waits
//! for a timer, a database or another service does not. A new request begins if what its route is
//! known to hold fits the budget and, unless that is little, if only a few active requests need the
//! CPU. So requests that hold much are finished before more of them begin, and waiting for I/O is
//! free. A busy runtime fires its timers late, and until it has, requests whose wait is over seem
//! not to need the CPU, so only a few that hold much begin meanwhile. No peer takes all of the
//! budget or all cores, so others need not wait for its requests to end.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroUsize,
    sync::{
        atomic::{AtomicIsize, AtomicU64, AtomicUsize, Ordering::SeqCst},
        Arc, Mutex, MutexGuard, PoisonError, Weak,
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot, time::sleep};

use super::{
    budget::{Budget, CountGuard, Full, Hold, Kind, Peer, Shortage},
    fair_queue::FairQueue,
    routes::Route,
};
#[cfg(feature = "metrics")]
use crate::usage::Tally;
use crate::{
    cores,
    guard::{self, Pressure},
};

/// Active requests per core that may need the CPU before further ones wait. With two, a core has
/// work left when the request it is polling starts to wait.
const BUSY_PER_CORE: isize = 2;
/// The same for requests that hold so little, in bytes, that they may as well be active as wait.
const BUSY_PER_CORE_IF_SMALL: isize = 128;
const SMALL: u64 = 64 << 10;
/// CPU-bound requests per core with which one peer may delay others; beyond that, it delays only
/// itself.
const PEER_BUSY_PER_CORE: isize = 1;
/// Bytes per core that all requests which begin between two ticks may be expected to hold, not
/// counting small ones. A tick shows that the runtime has fired its timers.
const BYTES_PER_TICK_PER_CORE: u64 = 4 << 20;
/// The time between two ticks, or longer if the runtime fires its timers late.
const TICK: Duration = Duration::from_millis(1);
/// A peer leaves 1/8 of `settings.requests.in_flight` to the others.
const IN_FLIGHT_RESERVE_DIVISOR: usize = 8;
/// A request is expected to hold at most half of the budget. If more were expected, it would never
/// begin beside others, and nothing would reveal that it holds less by now.
const MAX_EXPECTED_DIVISOR: u64 = 2;
/// Peers without requests are removed once there are this many peers, or twice as many as after the
/// previous sweep.
const MIN_SWEEP_LEN: usize = 1024;

/// Admits requests.
#[derive(Debug)]
pub struct Gate {
    budget: Arc<Budget>,
    max_busy: isize,
    max_busy_if_small: isize,
    max_busy_per_peer: isize,
    max_per_tick: u64,
    /// `settings.requests.in_flight`
    max_active: Option<usize>,
    /// Active requests that need the CPU.
    busy: AtomicIsize,
    /// The same, with each peer's requests capped at `max_busy_per_peer`.
    capped_busy: AtomicIsize,
    active: AtomicUsize,
    /// Active requests that have not been polled yet, so that nothing is known about what they
    /// hold.
    unmeasured: AtomicIsize,
    /// Bytes that the requests begun since the last tick are expected to hold, not counting small
    /// ones.
    since_tick: AtomicU64,
    queue: Mutex<Queue>,
    peers: Mutex<Peers>,
}

/// What a request waits for, and whether that is exhausted for its peer alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    ForCores(Full),
    ForMemory(Full),
}

/// Waiting requests, in one queue per route. Routes take turns.
#[derive(Debug, Default)]
struct Queue {
    queues: HashMap<usize, FairQueue<Waiter, Permit>>,
    order: VecDeque<usize>,
    /// Which of them wait for memory.
    shortage: Shortage,
}

#[derive(Debug)]
struct Waiter {
    route: Arc<Route>,
    network: IpAddr,
    peer: Arc<Peer>,
}

/// The peers that have requests.
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
            max_per_tick: BYTES_PER_TICK_PER_CORE * cores.unsigned_abs() as u64,
            max_active: in_flight.map(NonZeroUsize::get),
            busy: AtomicIsize::new(0),
            capped_busy: AtomicIsize::new(0),
            active: AtomicUsize::new(0),
            unmeasured: AtomicIsize::new(0),
            since_tick: AtomicU64::new(0),
            queue: Mutex::default(),
            peers: Mutex::default(),
        });
        budget.set_gate(&gate);
        gate
    }

    /// Active requests that need the CPU.
    #[cfg(any(feature = "metrics", test))]
    pub fn busy(&self) -> usize {
        usize::try_from(self.busy.load(SeqCst)).unwrap_or(0)
    }

    /// Requests that are worked on, including those that wait for something.
    pub fn active(&self) -> usize {
        self.active.load(SeqCst)
    }

    /// Requests that have not begun.
    pub fn waiting(&self) -> usize {
        self.budget.waiting().load(SeqCst)
    }

    /// Who is waiting for memory.
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

    /// Returns a permit if a request of this peer can begin at once.
    pub fn try_acquire(self: &Arc<Self>, route: &Arc<Route>, peer: &Arc<Peer>) -> Option<Permit> {
        if self.waiting() > 0 {
            return None;
        }
        self.issue_permit(route, peer).ok()
    }

    /// Waits until the request can begin. Cancel-safe: a permit granted to a dropped future goes to
    /// the next request.
    pub async fn acquire(
        self: &Arc<Self>,
        route: &Arc<Route>,
        network: IpAddr,
        peer: Arc<Peer>,
    ) -> Permit {
        let waiter = Waiter {
            route: Arc::clone(route),
            network,
            peer,
        };
        let _waiting = CountGuard::new(self.budget.waiting());
        let granted = self.lock().push(waiter);
        // A permit may have been released since the caller last tried.
        self.admit_waiting();
        granted
            .await
            .unwrap_or_else(|_| unreachable!("the queue drops no waiter that is still listening"))
    }

    /// Whether a request can begin as far as everything but its own memory is concerned. Near the
    /// container's limit, small requests begin one at a time, and large ones once all others have
    /// ended.
    fn is_open(&self, is_small: bool) -> bool {
        let is_alone = || self.active() == 0 || is_small && self.busy.load(SeqCst) <= 0;
        self.capped_busy.load(SeqCst) < self.max_busy(is_small)
            && self.max_active.is_none_or(|max| self.active() < max)
            && (guard::pressure() == Pressure::None || is_alone())
    }

    /// Whether a peer has as many active requests as it may, if their number is limited.
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

    /// The counters of a peer's requests, by its network.
    pub fn peer(&self, network: IpAddr) -> Arc<Peer> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peers.get(network);
        drop(peers);
        peer
    }

    /// Returns a permit if the request can begin.
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
        let awaits_tick = !is_small && self.since_tick.load(SeqCst) >= self.max_per_tick;
        if !self.is_open(is_small) || !may_admit_unmeasured || awaits_tick {
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
            // Nobody else will release memory, so waiting would not help.
            Err(_) if active == 0 && self.budget.held(Kind::Responses) == 0 => {
                self.budget.hold_for(Some(peer), Kind::Work, expected)
            }
            Err(full) => {
                self.active.fetch_sub(1, SeqCst);
                return Err(Wait::ForMemory(full));
            }
        };
        if !is_small && self.since_tick.fetch_add(expected, SeqCst) == 0 {
            self.schedule_tick();
        }
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

    fn schedule_tick(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            // There are no timers.
            self.since_tick.store(0, SeqCst);
            return;
        };
        let gate = Arc::clone(self);
        drop(runtime.spawn(async move {
            sleep(TICK).await;
            gate.since_tick.store(0, SeqCst);
            gate.admit_waiting();
        }));
    }

    /// Admits as many waiting requests as possible.
    pub fn admit_waiting(self: &Arc<Self>) {
        while self.waiting() > 0 && self.is_open(true) {
            let Some((waiter, permit)) = self.lock().next(self) else {
                return;
            };
            // If the waiter has gone, this drops the permit.
            drop(waiter.send(permit));
        }
    }

    /// An active request of this peer stops needing the CPU.
    pub fn pause(self: &Arc<Self>, peer: &Peer) {
        self.busy.fetch_sub(1, SeqCst);
        let before = peer.busy.fetch_sub(1, SeqCst);
        if (1..=self.max_busy_per_peer).contains(&before) {
            self.capped_busy.fetch_sub(1, SeqCst);
        }
        self.admit_waiting();
    }

    /// An active request of this peer needs the CPU again.
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

    /// The next request that can begin, with its permit.
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
                // Only some of the queues have been examined.
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
        // Clients that come and go must not fill the map.
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

/// The network that counts as one peer: for IPv6 a /64, in which a host can have any number of
/// addresses. An IPv4 address stays itself, even if mapped to IPv6 as by a dual-stack socket.
pub const fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !(u64::MAX as u128);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

/// Keeps a request active until this is dropped. It counts as needing the CPU, except between
/// [`Gate::pause`] and [`Gate::resume`].
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    route: Arc<Route>,
    peer: Arc<Peer>,
    memory: Hold,
    /// The most bytes that the request has held so far.
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

    /// Records how many bytes the request holds now.
    pub fn set_held(&mut self, bytes: u64) {
        self.mark_measured();
        if bytes > self.peak {
            self.peak = bytes;
            self.route.raise(bytes);
        }
        // What the request is expected to take stays reserved.
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

    /// The request ran to completion, so that its peak tells what the next one will hold.
    pub const fn mark_complete(&mut self) {
        self.is_complete = true;
    }

    /// Releases the memory reserved for the request beyond what it holds.
    pub fn shrink_to(&mut self, bytes: u64) {
        self.memory.set(bytes);
    }

    #[cfg(feature = "metrics")]
    pub fn record_memory(&self, tally: &Tally) {
        self.route.metrics.record_memory(tally);
    }

    /// Splits off up to `bytes` that outlive the permit.
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

    /// Permits for a peer's requests, each paused before the next one is tried.
    fn paused<'a>(
        gate: &'a Arc<Gate>,
        route: &'a Arc<Route>,
        peer: IpAddr,
    ) -> impl Iterator<Item = Permit> + 'a {
        std::iter::from_fn(move || {
            let mut permit = gate.try_acquire(route, &gate.peer(peer))?;
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
        while let Some(mut permit) = gate.try_acquire(&route, &gate.peer(ONE)) {
            permit.set_held(0);
            permits.push(permit);
        }
        assert_eq!(permits.len(), 2 * cores());

        gate.pause(permits[0].peer());
        let next = gate.acquire(&route, ONE, gate.peer(ONE)).await;
        assert_eq!(gate.busy(), 2 * cores());
        drop(permits.pop());
        timeout(
            Duration::from_secs(5),
            gate.acquire(&route, ONE, gate.peer(ONE)),
        )
        .await
        .expect("one has ended");
        gate.resume(permits[0].peer());
        drop((next, permits));
        assert_eq!((gate.busy(), gate.active(), gate.waiting()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_cancelled_waiter_does_not_keep_its_permit() {
        let gate = gate(1);
        let route = route();
        let first = gate
            .try_acquire(&route, &gate.peer(ONE))
            .expect("it is free");
        let gone = Box::pin(gate.acquire(&route, ONE, gate.peer(ONE)));
        let gone = timeout(Duration::from_millis(10), gone).await;
        assert!(gone.is_err());
        // This one is granted a permit, but is dropped before it is polled again.
        let mut unpolled = Box::pin(gate.acquire(&route, ONE, gate.peer(ONE)));
        assert!(timeout(Duration::from_millis(10), &mut unpolled)
            .await
            .is_err());
        drop(first);
        drop(unpolled);

        timeout(
            Duration::from_secs(5),
            gate.acquire(&route, ONE, gate.peer(ONE)),
        )
        .await
        .expect("nobody else has one");
    }

    #[tokio::test]
    async fn peers_take_turns() {
        let gate = gate(1);
        let route = route();
        let first = gate
            .try_acquire(&route, &gate.peer(ONE))
            .expect("it is free");
        let order = Arc::new(Mutex::new(Vec::new()));
        let spawn = |peer| {
            let (gate, route, order) = (gate.clone(), route.clone(), order.clone());
            tokio::spawn(async move {
                let _permit = gate.acquire(&route, peer, gate.peer(peer)).await;
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
        let large = Arc::new(Route::new("/large", false));
        large.raise(600 << 10);
        let first = gate
            .try_acquire(&large, &gate.peer(ONE))
            .expect("it is free");
        let waiting = Box::pin(gate.acquire(&large, ONE, gate.peer(ONE)));
        let mut waiting = Box::pin(timeout(Duration::from_millis(50), waiting));
        assert!(timeout(Duration::from_millis(10), &mut waiting)
            .await
            .is_err());
        assert!(gate.shortage().concerns(ONE));

        let permit = timeout(
            Duration::from_secs(5),
            gate.acquire(&small, ONE, gate.peer(ONE)),
        )
        .await;

        assert!(permit.is_ok());
        drop(first);
    }

    #[tokio::test]
    async fn a_peer_at_its_share_of_memory_keeps_no_other_waiting() {
        let gate = Gate::new(&Budget::new(1 << 20), None);
        let route = route();
        for _ in 0..12 {
            route.learn(0);
        }
        let mut permits = Vec::new();
        while let Some(mut permit) = gate.try_acquire(&route, &gate.peer(ONE)) {
            permit.set_held(0);
            permits.push(permit);
        }
        let next = tokio::spawn({
            let gate = Arc::clone(&gate);
            let route = Arc::clone(&route);
            async move { gate.acquire(&route, ONE, gate.peer(ONE)).await }
        });
        while gate.waiting() == 0 {
            tokio::task::yield_now().await;
        }

        let other_client_permit = timeout(
            Duration::from_secs(5),
            gate.acquire(&route, OTHER, gate.peer(OTHER)),
        )
        .await;

        assert!(other_client_permit.is_ok());
        assert_eq!(gate.waiting(), 1);
        drop(permits);
        next.await.expect("no panic");
    }

    #[test]
    fn a_peer_that_keeps_the_cores_busy_keeps_no_other_waiting() {
        let gate = gate(1000);
        let route = route();
        let permits: Vec<Permit> = paused(&gate, &route, ONE).take(100).collect();
        for permit in &permits {
            gate.resume(permit.peer());
        }
        assert_eq!(gate.busy(), 100);
        assert!(gate.try_acquire(&route, &gate.peer(ONE)).is_none());

        let other_client_permit = gate.try_acquire(&route, &gate.peer(OTHER));
        assert!(other_client_permit.is_some());
        drop((other_client_permit, permits));
        assert_eq!((gate.busy(), gate.capped_busy.load(SeqCst)), (0, 0));
    }

    #[test]
    fn a_peer_leaves_others_a_part_of_a_fixed_number() {
        let gate = gate(8);
        let route = route();
        let permits: Vec<Permit> = paused(&gate, &route, ONE).collect();

        assert_eq!(permits.len(), 7);
        assert!(gate.try_acquire(&route, &gate.peer(OTHER)).is_some());
        for permit in &permits {
            gate.resume(permit.peer());
        }
        drop(permits);
        assert!(gate.try_acquire(&route, &gate.peer(ONE)).is_some());
    }

    #[tokio::test]
    async fn few_large_requests_begin_before_timers_have_fired() {
        let gate = gate(1000);
        let route = route();
        route.raise(1 << 20);

        let permits: Vec<Permit> = paused(&gate, &route, ONE).collect();

        assert_eq!(permits.len(), 4 * cores());
        timeout(
            Duration::from_secs(5),
            gate.acquire(&route, ONE, gate.peer(ONE)),
        )
        .await
        .expect("they have fired");
        drop(permits);
    }

    #[tokio::test]
    async fn few_requests_begin_before_their_memory_is_known() {
        let gate = gate(1000);
        let small = route();
        for _ in 0..40 {
            small.learn(0);
        }
        let mut permits = Vec::new();
        while let Some(permit) = gate.try_acquire(&small, &gate.peer(ONE)) {
            permits.push(permit);
        }
        assert_eq!(permits.len(), 2 * cores());

        // Expected to be small, they turn out large.
        permits[0].set_held(600 << 20);
        permits[1].set_held(600 << 20);
        assert!(gate.try_acquire(&small, &gate.peer(OTHER)).is_none());
        drop(permits);
        assert_eq!(gate.unmeasured.load(SeqCst), 0);
    }

    #[test]
    fn a_mapped_ipv4_address_is_the_same_client() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().expect("an address");

        assert_eq!(network_of(mapped), ONE);
        let [one, other, elsewhere] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
            .map(|address| network_of(address.parse().expect("an address")));
        assert_eq!(one, other);
        assert_ne!(one, elsewhere);
    }

    #[test]
    fn an_aborted_request_does_not_lower_the_estimate() {
        let gate = gate(1000);
        let route = route();
        route.raise(1 << 20);
        for _ in 0..40 {
            drop(
                gate.try_acquire(&route, &gate.peer(ONE))
                    .expect("it is free"),
            );
        }
        assert_eq!(route.expected(), 1 << 20);

        let mut permit = gate
            .try_acquire(&route, &gate.peer(ONE))
            .expect("it is free");
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

        let _small = gate
            .try_acquire(&small, &gate.peer(ONE))
            .expect("it is free");
        assert!(gate.try_acquire(&huge, &gate.peer(OTHER)).is_some());
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
