//! What requests make the service hold, in bytes, beside what they may.

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

/// Requests that are expected to hold more than this part of the budget leave the last quarter of
/// it to the others: few large answers must not keep all small ones waiting.
const LARGE_DIVISOR: u64 = 256;

/// What memory is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Open connections, each with its buffers.
    Connections,
    /// Bodies of requests that wait or are on their way in.
    Bodies,
    /// Requests that are worked on.
    Work,
    /// Bodies of answers that the client has not taken yet.
    Responses,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Connections, Self::Bodies, Self::Work, Self::Responses];

    /// As metrics call it.
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

/// The part of what there is for work and answers that a peer leaves to the others.
const PEER_RESERVE_DIVISOR: u64 = 8;

/// What the requests of one peer take.
#[derive(Debug, Default)]
pub struct Peer {
    /// Bytes of their work and of their answers.
    held: AtomicU64,
    /// Begun requests that need the CPU. For a moment it can be less than none: a request that rests may
    /// be counted before the waking that came before.
    pub busy: AtomicIsize,
    /// Begun requests.
    pub active: AtomicUsize,
}

/// Why bytes do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The peer holds as much as one may.
    Peer,
    /// All together hold as much as they may.
    All,
}

/// Who waits for memory.
#[derive(Debug, Default, Clone)]
pub struct Shortage {
    /// Some wait for what others hold.
    overall: bool,
    /// These peers wait for what they hold themselves.
    peers: HashSet<IpAddr>,
}

impl Shortage {
    /// One more waits.
    pub fn add(&mut self, full: Full, peer: IpAddr) {
        match full {
            Full::All => self.add_for_all(),
            Full::Peer => drop(self.peers.insert(peer)),
        }
    }

    /// One more waits for what others hold.
    pub const fn add_for_all(&mut self) {
        self.overall = true;
    }

    pub fn merge(&mut self, other: Self) {
        self.overall |= other.overall;
        self.peers.extend(other.peers);
    }

    /// Whether somebody waits for what this peer holds.
    pub fn concerns(&self, peer: IpAddr) -> bool {
        self.overall || self.peers.contains(&peer)
    }
}

/// Bytes that are held, by kind, and the most that may be.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    total: AtomicU64,
    held: [AtomicU64; Kind::ALL.len()],
    /// Requests that wait for memory or for a core.
    waiting: Arc<AtomicUsize>,
    /// Lets them begin when less is held.
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

    /// The gate at which requests wait for memory: one for each budget.
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

    /// Whether more is held than may be: by connections, which are not asked.
    pub fn is_exceeded(&self) -> bool {
        self.total.load(SeqCst) > self.limit
    }

    /// Whether bodies that are read as they come are to wait: they keep no others from being worked
    /// on.
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

    /// The same for a peer, where there is one.
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

    /// The same for a peer's work, if they fit. A peer may always have one request, as far as others
    /// leave room for it.
    ///
    /// # Errors
    ///
    /// When they do not.
    pub fn try_hold_for(self: &Arc<Self>, peer: &Arc<Peer>, bytes: u64) -> Result<Hold, Full> {
        let limit = self.limit_for(bytes);
        let total = self.total.load(SeqCst);
        // What is added and taken back would keep others from beginning meanwhile.
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

/// One more is counted until this is dropped.
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

/// Bytes that are counted as held until this is dropped.
#[derive(Debug)]
pub struct Hold {
    budget: Arc<Budget>,
    kind: Kind,
    bytes: u64,
    /// Whose request it is for, where that is counted.
    peer: Option<Arc<Peer>>,
}

impl Hold {
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds so many bytes from now on.
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

    /// Takes so many of its bytes, at most all, into a hold of their own.
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
        let answer = budget.hold(Kind::Responses, 200);
        work.set(100);

        assert_eq!(budget.held(Kind::Work), 100);
        let part = work.split(60);
        drop(work);
        assert_eq!(budget.held(Kind::Work), 60);
        drop((part, answer));
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
        let mut of_one = Vec::new();
        let full = loop {
            match budget.try_hold_for(&one, 3_000) {
                Ok(hold) => of_one.push(hold),
                Err(full) => break full,
            }
        };

        assert_eq!((full, of_one.len()), (Full::Peer, 291));
        let of_other = budget.try_hold_for(&Arc::default(), 3_000);
        assert!(of_other.is_ok());
        of_one.pop();
        assert!(budget.try_hold_for(&one, 3_000).is_ok());
    }

    #[test]
    fn answers_that_a_peer_does_not_take_count_for_it() {
        let budget = Budget::new(1_000_000);
        let one = Arc::default();
        let _answers = budget.hold_for(Some(&one), Kind::Responses, 874_000);

        assert_eq!(budget.try_hold_for(&one, 3_000).err(), Some(Full::Peer));
        let of_other = budget.try_hold_for(&Arc::default(), 3_000);
        assert!(of_other.is_ok());
    }
}
