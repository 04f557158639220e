//! How much memory requests make the service hold, in bytes, against a limit.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{
        atomic::{
            AtomicIsize, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
        Arc, OnceLock, Weak,
    },
};

use super::gate::Gate;

/// A request expected to hold more than 1/256 of the budget leaves the last quarter of it to
/// others, so that a few large responses do not keep all small ones waiting.
const LARGE_DIVISOR: u64 = 256;

/// What memory is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Open connections with their buffers.
    Connections,
    /// Bodies of requests that are waiting, or that are still arriving.
    Bodies,
    /// Active requests.
    Work,
    /// Bodies of responses that the client has not taken yet.
    Responses,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Connections, Self::Bodies, Self::Work, Self::Responses];

    /// The label that metrics use.
    #[cfg(feature = "metrics")]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Bodies => "request_bodies",
            Self::Work => "work",
            Self::Responses => "answers",
        }
    }
}

/// A peer leaves 1/8 of what is available for work and responses to the others.
const PEER_RESERVE_DIVISOR: u64 = 8;

/// What the requests of one peer use.
#[derive(Debug, Default)]
pub struct Peer {
    /// Bytes of their work and responses.
    held: AtomicU64,
    /// Active requests that need the CPU. Briefly negative if a pause is counted before the wake
    /// that preceded it.
    pub busy: AtomicIsize,
    /// Active requests.
    pub active: AtomicUsize,
}

/// Why an amount of memory does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The peer holds all that a single peer may.
    Peer,
    /// Together, all peers hold as much as they may.
    All,
}

/// Who is waiting for memory, and thus whose memory is wanted back.
#[derive(Debug, Default, Clone)]
pub struct Shortage {
    /// Somebody waits for memory that others hold.
    overall: bool,
    /// Peers that wait for memory that they hold themselves.
    peers: HashSet<IpAddr>,
}

impl Shortage {
    /// Adds a waiter of this peer.
    pub fn add(&mut self, full: Full, peer: IpAddr) {
        match full {
            Full::All => self.add_for_all(),
            Full::Peer => drop(self.peers.insert(peer)),
        }
    }

    /// Adds a waiter for memory that anybody may hold.
    pub const fn add_for_all(&mut self) {
        self.overall = true;
    }

    pub fn merge(&mut self, other: Self) {
        self.overall |= other.overall;
        self.peers.extend(other.peers);
    }

    /// Whether somebody waits for memory that this peer holds.
    pub fn concerns(&self, peer: IpAddr) -> bool {
        self.overall || self.peers.contains(&peer)
    }
}

/// Bytes held, by kind, and their limit.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    total: AtomicU64,
    held: [AtomicU64; Kind::ALL.len()],
    /// Requests that wait for memory or for a core.
    waiting: Arc<AtomicUsize>,
    /// Where they are admitted once memory is released.
    gate: OnceLock<Weak<Gate>>,
}

impl Budget {
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            total: AtomicU64::new(0),
            held: Default::default(),
            waiting: Arc::default(),
            gate: OnceLock::new(),
        })
    }

    /// Sets the gate at which requests wait for this budget's memory. Only the first call counts.
    pub fn set_gate(&self, gate: &Arc<Gate>) {
        drop(self.gate.set(Arc::downgrade(gate)));
    }

    pub const fn waiting(&self) -> &Arc<AtomicUsize> {
        &self.waiting
    }

    pub const fn limit(&self) -> u64 {
        self.limit
    }

    pub fn held(&self, kind: Kind) -> u64 {
        self.held[kind as usize].load(Relaxed)
    }

    /// Whether the limit is exceeded, as connections, which are counted without a check, can make
    /// it.
    pub fn is_exceeded(&self) -> bool {
        self.total.load(SeqCst) > self.limit
    }

    /// Whether bodies that are read as they arrive have to wait, so that they leave room for
    /// requests to be worked on.
    pub fn is_full_for_bodies(&self) -> bool {
        self.held(Kind::Bodies) > self.limit / 2 || self.total.load(SeqCst) > self.limit / 8 * 7
    }

    const fn limit_for(&self, bytes: u64) -> u64 {
        if bytes > self.limit / LARGE_DIVISOR {
            self.limit / 4 * 3
        } else {
            self.limit
        }
    }

    /// Counts bytes as held until the result is dropped, whether they fit or not.
    pub fn hold(self: &Arc<Self>, kind: Kind, bytes: u64) -> Hold {
        self.hold_for(None, kind, bytes)
    }

    /// Like [`Self::hold`], and also counts the bytes for a peer, if there is one.
    pub fn hold_for(self: &Arc<Self>, peer: Option<&Arc<Peer>>, kind: Kind, bytes: u64) -> Hold {
        let mut hold = Hold {
            budget: Arc::clone(self),
            kind,
            bytes: 0,
            peer: peer.map(Arc::clone),
        };
        hold.set(bytes);
        hold
    }

    /// Holds bytes for a peer's work, if they fit. A peer may always have one request, provided
    /// that others leave room for it.
    ///
    /// # Errors
    ///
    /// If they do not fit.
    pub fn try_hold_for(self: &Arc<Self>, peer: &Arc<Peer>, bytes: u64) -> Result<Hold, Full> {
        let limit = self.limit_for(bytes);
        let total = self.total.load(SeqCst);
        // Adding first and taking back would keep other requests waiting in the meantime.
        if total + bytes > limit {
            return Err(Full::All);
        }
        let unattributed = self.held(Kind::Connections) + self.held(Kind::Bodies);
        let for_peers = limit.saturating_sub(unattributed);
        let peer_held = peer.held.load(Relaxed);
        if peer_held > 0 && peer_held + bytes > for_peers - for_peers / PEER_RESERVE_DIVISOR {
            return Err(Full::Peer);
        }
        let before = self.total.fetch_add(bytes, SeqCst);
        if before + bytes > limit {
            self.total.fetch_sub(bytes, SeqCst);
            return Err(Full::All);
        }
        self.held[Kind::Work as usize].fetch_add(bytes, Relaxed);
        peer.held.fetch_add(bytes, Relaxed);
        Ok(Hold {
            budget: Arc::clone(self),
            kind: Kind::Work,
            bytes,
            peer: Some(Arc::clone(peer)),
        })
    }
}

/// Adds one to a counter until this is dropped.
#[derive(Debug)]
pub struct CountGuard(Arc<AtomicUsize>);

impl CountGuard {
    pub fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Bytes that count as held until this is dropped.
#[derive(Debug)]
pub struct Hold {
    budget: Arc<Budget>,
    kind: Kind,
    bytes: u64,
    /// The peer that the bytes also count for, if any.
    peer: Option<Arc<Peer>>,
}

impl Hold {
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Changes the number of bytes held.
    pub fn set(&mut self, bytes: u64) {
        if bytes == self.bytes {
            return;
        }
        let held = &self.budget.held[self.kind as usize];
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            held.fetch_add(more, Relaxed);
            self.budget.total.fetch_add(more, SeqCst);
            if let Some(peer) = &self.peer {
                peer.held.fetch_add(more, Relaxed);
            }
            self.bytes = bytes;
        } else {
            let less = self.bytes - bytes;
            held.fetch_sub(less, Relaxed);
            self.budget.total.fetch_sub(less, SeqCst);
            if let Some(peer) = &self.peer {
                peer.held.fetch_sub(less, Relaxed);
            }
            self.bytes = bytes;
            if self.budget.waiting.load(SeqCst) > 0 {
                if let Some(gate) = self.budget.gate.get().and_then(Weak::upgrade) {
                    gate.admit_waiting();
                }
            }
        }
    }

    /// Moves up to `bytes` of its bytes into a hold of their own.
    pub fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            budget: Arc::clone(&self.budget),
            kind: self.kind,
            bytes,
            peer: self.peer.clone(),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_until_it_is_dropped() {
        let budget = Budget::new(1000);
        let mut work = budget.hold(Kind::Work, 300);
        let response = budget.hold(Kind::Responses, 200);
        work.set(100);

        assert_eq!(budget.held(Kind::Work), 100);
        let part = work.split(60);
        drop(work);
        assert_eq!(budget.held(Kind::Work), 60);
        drop((part, response));
        assert_eq!(budget.held(Kind::Responses), 0);
        assert!(budget.try_hold_for(&Arc::default(), 750).is_ok());
    }

    #[test]
    fn large_requests_leave_room_for_small_ones() {
        let budget = Budget::new(1_000_000);
        let _held = budget.hold(Kind::Responses, 700_000);

        let peer = Arc::default();
        let large = budget.try_hold_for(&peer, 100_000);
        assert_eq!(large.err(), Some(Full::All));
        assert_eq!(budget.held(Kind::Work), 0, "what did not fit is not held");
        assert!(budget.try_hold_for(&peer, 3_000).is_ok());
    }

    #[test]
    fn a_peer_leaves_room_for_others() {
        let budget = Budget::new(1_000_000);
        let one = Arc::default();
        let mut first_client_holds = Vec::new();
        let full = loop {
            match budget.try_hold_for(&one, 3_000) {
                Ok(hold) => first_client_holds.push(hold),
                Err(full) => break full,
            }
        };

        assert_eq!((full, first_client_holds.len()), (Full::Peer, 291));
        let other_client_hold = budget.try_hold_for(&Arc::default(), 3_000);
        assert!(other_client_hold.is_ok());
        first_client_holds.pop();
        assert!(budget.try_hold_for(&one, 3_000).is_ok());
    }

    #[test]
    fn responses_that_a_client_has_not_taken_count_towards_its_share() {
        let budget = Budget::new(1_000_000);
        let one = Arc::default();
        let _responses = budget.hold_for(Some(&one), Kind::Responses, 874_000);

        assert_eq!(budget.try_hold_for(&one, 3_000).err(), Some(Full::Peer));
        let other_client_hold = budget.try_hold_for(&Arc::default(), 3_000);
        assert!(other_client_hold.is_ok());
    }
}
