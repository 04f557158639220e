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
    budget::{Budget, Full, Gauge, Hold, Kind, Peer, Shortage},
    routes::Route,
    turns::Turns,
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
const BUSY_OF_PEER_PER_CORE: isize = 1;
/// The part of `settings.requests.in_flight` that a peer leaves to the others.
const IN_FLIGHT_LEFT_BY_PEER: usize = 8;
/// The part of the budget that a request is expected to hold at most: where more is expected it would
/// never begin among others, and nothing would tell that it holds less by now.
const LARGEST: u64 = 2;
/// The peers that have gone are forgotten where there are so many, or twice as many as the last time.
const SWEEP: usize = 1024;

/// Lets requests begin.
#[derive(Debug)]
pub struct Gate {
    budget: Arc<Budget>,
    most_busy: isize,
    most_busy_if_small: isize,
    most_busy_of_peer: isize,
    /// `settings.requests.in_flight`
    most_begun: Option<usize>,
    /// Begun requests that need the CPU.
    busy: AtomicIsize,
    /// The same, of each peer no more than counts for others.
    shared: AtomicIsize,
    begun: AtomicUsize,
    /// Begun requests that have not run yet: of what they hold, nothing is known.
    unknown: AtomicIsize,
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
    lines: HashMap<usize, Turns<Waiter, Permit>>,
    turns: VecDeque<usize>,
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
            most_busy: BUSY_PER_CORE * cores,
            most_busy_if_small: BUSY_PER_CORE_IF_SMALL * cores,
            most_busy_of_peer: BUSY_OF_PEER_PER_CORE * cores,
            most_begun: in_flight.map(NonZeroUsize::get),
            busy: AtomicIsize::new(0),
            shared: AtomicIsize::new(0),
            begun: AtomicUsize::new(0),
            unknown: AtomicIsize::new(0),
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
    pub fn begun(&self) -> usize {
        self.begun.load(SeqCst)
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
    pub fn try_begin(self: &Arc<Self>, route: &Arc<Route>, peer: IpAddr) -> Option<Permit> {
        if self.waiting() > 0 {
            return None;
        }
        self.permit(route, &self.peer(network_of(peer))).ok()
    }

    /// Waits until the request can begin. Whoever stops waiting loses nothing: a permit that was
    /// given meanwhile goes to the next.
    pub async fn begin(self: &Arc<Self>, route: &Arc<Route>, peer: IpAddr) -> Permit {
        let network = network_of(peer);
        let waiter = Waiter {
            route: Arc::clone(route),
            network,
            peer: self.peer(network),
        };
        let _waiting = Gauge::count(self.budget.waiting());
        let granted = self.lock().push(waiter);
        // It may have become free since it was last looked at.
        self.admit();
        granted
            .await
            .unwrap_or_else(|_| unreachable!("the queue drops no waiter that listens"))
    }

    /// Whether a request can begin, as far as its own memory is not concerned. Near the limit of the
    /// container's, small ones begin one after the other, and large ones when all others have ended.
    fn is_open(&self, is_small: bool) -> bool {
        let is_alone = || self.begun() == 0 || is_small && self.busy.load(SeqCst) <= 0;
        self.shared.load(SeqCst) < self.most_busy(is_small)
            && self.most_begun.is_none_or(|most| self.begun() < most)
            && (guard::pressure() == Pressure::None || is_alone())
    }

    /// Whether a peer has as many begun requests as it may, where their number is fixed.
    fn has_its_share(&self, peer: &Peer) -> bool {
        self.most_begun
            .is_some_and(|most| peer.begun.load(SeqCst) >= most - most / IN_FLIGHT_LEFT_BY_PEER)
    }

    const fn most_busy(&self, is_small: bool) -> isize {
        if is_small {
            self.most_busy_if_small
        } else {
            self.most_busy
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
    fn permit(self: &Arc<Self>, route: &Arc<Route>, peer: &Arc<Peer>) -> Result<Permit, Wait> {
        let expected = route.expected().min(self.budget.limit() / LARGEST);
        let is_small = expected <= SMALL;
        let are_known = self.unknown.load(SeqCst) < self.most_busy;
        if !self.is_open(is_small) || !are_known {
            return Err(Wait::ForCores(Full::All));
        }
        if peer.busy.load(SeqCst) >= self.most_busy(is_small) || self.has_its_share(peer) {
            return Err(Wait::ForCores(Full::Peer));
        }
        let begun = self
            .begun
            .fetch_update(SeqCst, SeqCst, |begun| {
                let is_one_more = self.most_begun.is_none_or(|most| begun < most);
                is_one_more.then_some(begun + 1)
            })
            .map_err(|_| Wait::ForCores(Full::All))?;
        let memory = match self.budget.try_hold_for(peer, expected) {
            Ok(memory) => memory,
            // Where no other will release any, waiting would not help.
            Err(_) if begun == 0 && self.budget.held(Kind::Answers) == 0 => {
                self.budget.hold_of(Some(peer), Kind::Work, expected)
            }
            Err(full) => {
                self.begun.fetch_sub(1, SeqCst);
                return Err(Wait::ForMemory(full));
            }
        };
        self.unknown.fetch_add(1, SeqCst);
        peer.begun.fetch_add(1, SeqCst);
        self.resume(peer);
        Ok(Permit {
            gate: Arc::clone(self),
            route: Arc::clone(route),
            peer: Arc::clone(peer),
            memory,
            most: 0,
            is_known: false,
            has_ended: false,
        })
    }

    /// Lets as many waiting requests begin as can.
    pub fn admit(self: &Arc<Self>) {
        while self.waiting() > 0 && self.is_open(true) {
            let Some((waiter, permit)) = self.lock().next(self) else {
                return;
            };
            // It ends here if the waiter has gone.
            drop(waiter.send(permit));
        }
    }

    /// A begun request of this peer waits for something from now on.
    pub fn rest(self: &Arc<Self>, peer: &Peer) {
        self.busy.fetch_sub(1, SeqCst);
        let before = peer.busy.fetch_sub(1, SeqCst);
        if (1..=self.most_busy_of_peer).contains(&before) {
            self.shared.fetch_sub(1, SeqCst);
        }
        self.admit();
    }

    /// A begun request of this peer needs the CPU again.
    pub fn resume(&self, peer: &Peer) {
        self.busy.fetch_add(1, SeqCst);
        let before = peer.busy.fetch_add(1, SeqCst);
        if (0..self.most_busy_of_peer).contains(&before) {
            self.shared.fetch_add(1, SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, waiter: Waiter) -> oneshot::Receiver<Permit> {
        let route = waiter.route.id();
        let line = self.lines.entry(route).or_insert_with(|| {
            self.turns.push_back(route);
            Turns::default()
        });
        line.push(waiter.network, waiter)
    }

    /// The next that can begin, with its permit.
    fn next(&mut self, gate: &Arc<Gate>) -> Option<(oneshot::Sender<Permit>, Permit)> {
        let mut shortage = Shortage::default();
        for _ in 0..self.turns.len() {
            let route = self.turns.pop_front()?;
            let line = self.lines.get_mut(&route)?;
            let next = line.next(|waiter| {
                let permit = gate.permit(&waiter.route, &waiter.peer);
                permit.map_err(|wait| {
                    if let Wait::ForMemory(full) = wait {
                        shortage.add(full, waiter.network);
                    }
                    let (Wait::ForCores(full) | Wait::ForMemory(full)) = wait;
                    full
                })
            });
            if line.is_empty() {
                self.lines.remove(&route);
            } else {
                self.turns.push_back(route);
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
            self.sweep_at = SWEEP.max(2 * self.known.len());
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

/// A request that has begun, until this is dropped. It needs the CPU, unless [`Gate::rest`] says
/// otherwise.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    route: Arc<Route>,
    peer: Arc<Peer>,
    memory: Hold,
    /// Bytes that the request has held at its most.
    most: u64,
    is_known: bool,
    has_ended: bool,
}

impl Permit {
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    pub const fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// The request holds so many bytes now.
    pub fn holds(&mut self, bytes: u64) {
        self.become_known();
        if bytes > self.most {
            self.most = bytes;
            self.route.raise(bytes);
        }
        // What it is expected to take stays reserved.
        if bytes > self.memory.bytes() {
            self.memory.set(bytes);
        }
    }

    fn become_known(&mut self) {
        if !self.is_known {
            self.is_known = true;
            self.gate.unknown.fetch_sub(1, SeqCst);
            self.gate.admit();
        }
    }

    /// The request has run to its end: what it has held tells what the next will.
    pub const fn ends(&mut self) {
        self.has_ended = true;
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
        self.become_known();
        if self.has_ended {
            self.route.learn(self.most);
        }
        self.gate.begun.fetch_sub(1, SeqCst);
        self.peer.begun.fetch_sub(1, SeqCst);
        self.gate.rest(&self.peer);
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
    fn resting<'a>(
        gate: &'a Arc<Gate>,
        route: &'a Arc<Route>,
        peer: IpAddr,
    ) -> impl Iterator<Item = Permit> + 'a {
        std::iter::from_fn(move || {
            let mut permit = gate.try_begin(route, peer)?;
            permit.holds(0);
            gate.rest(permit.peer());
            Some(permit)
        })
    }

    #[tokio::test]
    async fn a_request_begins_when_another_rests_or_ends() {
        let gate = gate(1000);
        let route = route();
        route.raise(1 << 20);
        let mut permits = Vec::new();
        while let Some(mut permit) = gate.try_begin(&route, ONE) {
            permit.holds(0);
            permits.push(permit);
        }
        assert_eq!(permits.len(), 2 * cores());

        gate.rest(permits[0].peer());
        let next = gate.begin(&route, ONE).await;
        assert_eq!(gate.busy(), 2 * cores());
        drop(permits.pop());
        timeout(Duration::from_secs(5), gate.begin(&route, ONE))
            .await
            .expect("one has ended");
        gate.resume(permits[0].peer());
        drop((next, permits));
        assert_eq!((gate.busy(), gate.begun(), gate.waiting()), (0, 0, 0));
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_no_permit_along() {
        let gate = gate(1);
        let route = route();
        let first = gate.try_begin(&route, ONE).expect("it is free");
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
        let first = gate.try_begin(&route, ONE).expect("it is free");
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
        let large = Arc::new(Route::new(&"/large".into(), false));
        large.raise(600 << 10);
        let first = gate.try_begin(&large, ONE).expect("it is free");
        let waiting = Box::pin(gate.begin(&large, ONE));
        let mut waiting = Box::pin(timeout(Duration::from_millis(50), waiting));
        assert!(timeout(Duration::from_millis(10), &mut waiting)
            .await
            .is_err());
        assert!(gate.shortage().concerns(ONE));

        let permit = timeout(Duration::from_secs(5), gate.begin(&small, ONE)).await;

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
        while let Some(mut permit) = gate.try_begin(&route, ONE) {
            permit.holds(0);
            permits.push(permit);
        }
        let next = tokio::spawn({
            let gate = Arc::clone(&gate);
            let route = Arc::clone(&route);
            async move { gate.begin(&route, ONE).await }
        });
        while gate.waiting() == 0 {
            tokio::task::yield_now().await;
        }

        let of_other = timeout(Duration::from_secs(5), gate.begin(&route, OTHER)).await;

        assert!(of_other.is_ok());
        assert_eq!(gate.waiting(), 1);
        drop(permits);
        next.await.expect("no panic");
    }

    #[tokio::test]
    async fn a_peer_that_keeps_the_cores_busy_keeps_no_other_waiting() {
        let gate = gate(1000);
        let route = route();
        let permits: Vec<Permit> = resting(&gate, &route, ONE).take(100).collect();
        for permit in &permits {
            gate.resume(permit.peer());
        }
        assert_eq!(gate.busy(), 100);
        assert!(gate.try_begin(&route, ONE).is_none());

        let of_other = gate.try_begin(&route, OTHER);
        assert!(of_other.is_some());
        drop((of_other, permits));
        assert_eq!((gate.busy(), gate.shared.load(SeqCst)), (0, 0));
    }

    #[test]
    fn a_peer_leaves_others_a_part_of_a_fixed_number() {
        let gate = gate(8);
        let route = route();
        let permits: Vec<Permit> = resting(&gate, &route, ONE).collect();

        assert_eq!(permits.len(), 7);
        assert!(gate.try_begin(&route, OTHER).is_some());
        for permit in &permits {
            gate.resume(permit.peer());
        }
        drop(permits);
        assert!(gate.try_begin(&route, ONE).is_some());
    }

    #[tokio::test]
    async fn few_begin_before_it_is_known_what_they_hold() {
        let gate = gate(1000);
        let small = route();
        for _ in 0..40 {
            small.learn(0);
        }
        let mut permits = Vec::new();
        while let Some(permit) = gate.try_begin(&small, ONE) {
            permits.push(permit);
        }
        assert_eq!(permits.len(), 2 * cores());

        // Small as it was, it is large now.
        permits[0].holds(600 << 20);
        permits[1].holds(600 << 20);
        assert!(gate.try_begin(&small, OTHER).is_none());
        drop(permits);
        assert_eq!(gate.unknown.load(SeqCst), 0);
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
            drop(gate.try_begin(&route, ONE).expect("it is free"));
        }
        assert_eq!(route.expected(), 1 << 20);

        let mut permit = gate.try_begin(&route, ONE).expect("it is free");
        permit.ends();
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

        let _small = gate.try_begin(&small, ONE).expect("it is free");
        assert!(gate.try_begin(&huge, OTHER).is_some());
    }

    #[test]
    fn a_rest_that_is_counted_before_its_waking_leaves_nothing_behind() {
        let gate = gate(1000);
        let peer = Peer::default();
        for _ in 0..10 {
            gate.rest(&peer);
            gate.resume(&peer);
        }
        let busy = peer.busy.load(SeqCst);
        let shared = gate.shared.load(SeqCst);
        assert_eq!((busy, shared, gate.busy()), (0, 0, 0));
    }
}
