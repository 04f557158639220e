//! Memory for bodies that are read before their request begins: reserved for the whole body, so that
//! what was begun can be read to its end, and shared out so that no peer takes all of it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    time::Duration,
};

use tokio::time::sleep;

use super::budget::{Budget, Hold, Kind};

/// Bytes of a body that needs no reservation: others do not keep it waiting.
const SMALL: u64 = 16 << 10;
/// How often a body looks whether there is room for it.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct Reservations {
    budget: Arc<Budget>,
    reserved: Mutex<Reserved>,
    waiting: AtomicUsize,
}

/// Bytes that are reserved.
#[derive(Debug, Default)]
struct Reserved {
    all: u64,
    by_peer: HashMap<IpAddr, u64>,
}

impl Reservations {
    pub fn new(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            reserved: Mutex::default(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Bodies that wait for room.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until there is room for a body of so many bytes.
    pub async fn reserve(self: &Arc<Self>, peer: IpAddr, bytes: u64) -> Reservation {
        if let Some(reservation) = self.try_reserve(peer, bytes) {
            return reservation;
        }
        let _waiting = Waiting::among(&self.waiting);
        loop {
            sleep(PAUSE).await;
            if let Some(reservation) = self.try_reserve(peer, bytes) {
                return reservation;
            }
        }
    }

    /// All bodies together take a quarter of the budget, those of a peer half of that; one there may
    /// always be.
    fn try_reserve(self: &Arc<Self>, peer: IpAddr, bytes: u64) -> Option<Reservation> {
        let most = self.budget.limit() / 4;
        let fits = |held: u64, most: u64| held == 0 || held + bytes <= most;
        let mut reserved = self.lock();
        let of_peer = reserved.by_peer.get(&peer).copied().unwrap_or(0);
        let fits = bytes <= SMALL || fits(of_peer, most / 2) && fits(reserved.all, most);
        if !fits {
            return None;
        }
        reserved.all += bytes;
        *reserved.by_peer.entry(peer).or_default() += bytes;
        drop(reserved);
        Some(Reservation {
            reservations: Arc::clone(self),
            peer,
            hold: self.budget.hold(Kind::Bodies, bytes),
        })
    }

    fn give_back(&self, peer: IpAddr, bytes: u64) {
        let mut reserved = self.lock();
        reserved.all -= bytes;
        if let Some(of_peer) = reserved.by_peer.get_mut(&peer) {
            *of_peer -= bytes;
            if *of_peer == 0 {
                reserved.by_peer.remove(&peer);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reserved> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits, until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Memory that is reserved for a body until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    reservations: Arc<Reservations>,
    peer: IpAddr,
    hold: Hold,
}

impl Reservation {
    /// The body has only so many bytes.
    pub fn shrink(&mut self, bytes: u64) {
        let less = self.hold.bytes().saturating_sub(bytes);
        self.reservations.give_back(self.peer, less);
        self.hold.set(self.hold.bytes() - less);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::timeout;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    const MIB: u64 = 1 << 20;

    #[test]
    fn a_peer_leaves_room_for_others() {
        let reservations = Reservations::new(&Budget::new(64 * MIB));
        let mut of_one = Vec::new();
        while let Some(reservation) = reservations.try_reserve(ONE, 2 * MIB) {
            of_one.push(reservation);
        }

        assert_eq!(of_one.len(), 4);
        assert!(reservations.try_reserve(ONE, 1000).is_some(), "a small one");
        let of_other = reservations.try_reserve(OTHER, 2 * MIB);
        assert!(of_other.is_some());
    }

    #[test]
    fn one_body_fits_whatever_the_budget() {
        let reservations = Reservations::new(&Budget::new(MIB));

        let first = reservations.try_reserve(ONE, 2 * MIB);
        assert!(first.is_some());
        assert!(reservations.try_reserve(OTHER, 2 * MIB).is_none());
    }

    #[tokio::test]
    async fn what_is_given_back_is_there_for_the_next() {
        let budget = Budget::new(64 * MIB);
        let reservations = Reservations::new(&budget);
        let mut first = reservations.reserve(ONE, 8 * MIB).await;
        let next = reservations.reserve(ONE, 2 * MIB);
        let next = timeout(Duration::from_millis(50), next).await;
        assert!(next.is_err());
        assert_eq!(reservations.waiting(), 0, "it has stopped waiting");

        first.shrink(MIB);
        let next = timeout(Duration::from_secs(5), reservations.reserve(ONE, 2 * MIB)).await;
        assert!(next.is_ok());
        drop((first, next));
        assert_eq!(budget.held(Kind::Bodies), 0);
        assert!(reservations.lock().by_peer.is_empty());
    }
}
