//! Reserves memory for bodies that are read before their request begins. Memory is reserved for the
//! whole body, so that a body once started can be read to the end, and is shared so that no client
//! takes all of it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    budget::{Budget, Full, Hold, Kind, Shortage},
    fair_queue::FairQueue,
};
use crate::server::KERNEL_BUFFER;

/// Bodies of at most this many bytes need no reservation, so others never keep them waiting.
pub const SMALL: u64 = 16 << 10;
/// The most bytes of an unread body that the kernel buffers.
const MAX_UNREAD: u64 = KERNEL_BUFFER as u64;

#[derive(Debug)]
pub struct Reservations {
    budget: Arc<Budget>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reserved: Totals,
    /// What the kernel may be buffering for the bodies that wait.
    waiting: Totals,
    /// Bodies that wait, each with the bytes it claims.
    queue: FairQueue<Claim, Reservation>,
    shortage: Shortage,
}

/// Bytes, in total and by peer.
#[derive(Debug, Default)]
struct Totals {
    total: u64,
    by_peer: HashMap<IpAddr, u64>,
}

/// Bytes that a peer claims.
#[derive(Debug, Clone, Copy)]
struct Claim {
    peer: IpAddr,
    bytes: u64,
}

impl Reservations {
    pub fn new(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            state: Mutex::default(),
        })
    }

    /// Whose bodies wait for memory.
    pub fn shortage(&self) -> Shortage {
        self.lock().shortage.clone()
    }

    /// Waits until there is room for a body of `bytes`. `None` if too many bodies are waiting
    /// already.
    pub async fn reserve(self: &Arc<Self>, peer: IpAddr, bytes: u64) -> Option<Reservation> {
        if bytes <= SMALL {
            return Some(Reservation {
                hold: self.budget.hold(Kind::Bodies, bytes),
                reserved: None,
            });
        }
        let (_waiting, granted) = self.enqueue(Claim { peer, bytes })?;
        self.grant_waiting();
        let reservation = granted
            .await
            .unwrap_or_else(|_| unreachable!("the queue drops no waiter that is still listening"));
        Some(reservation)
    }

    /// Queues a body, unless too many are waiting.
    fn enqueue(
        self: &Arc<Self>,
        claim: Claim,
    ) -> Option<(WaitGuard<'_>, oneshot::Receiver<Reservation>)> {
        let unread = Claim {
            bytes: claim.bytes.min(MAX_UNREAD),
            ..claim
        };
        let mut state = self.lock();
        state.waiting.try_add(unread, self.limit()).ok()?;
        let granted = state.queue.push(claim.peer, claim);
        drop(state);
        let waiting = WaitGuard {
            reservations: self,
            unread,
            _hold: self.budget.hold(Kind::Bodies, unread.bytes),
        };
        Some((waiting, granted))
    }

    /// Bytes for all reserved bodies together; as many again for those that wait.
    fn limit(&self) -> u64 {
        self.budget.limit() / 4
    }

    /// Grants reservations to waiting bodies while there is room.
    fn grant_waiting(self: &Arc<Self>) {
        while let Some((waiter, reservation)) = self.grant_next() {
            // If the waiter has gone, this drops the reservation.
            drop(waiter.send(reservation));
        }
    }

    fn grant_next(self: &Arc<Self>) -> Option<(oneshot::Sender<Reservation>, Reservation)> {
        let limit = self.limit();
        let mut state = self.lock();
        let State {
            reserved,
            queue,
            shortage,
            ..
        } = &mut *state;
        *shortage = Shortage::default();
        let next = queue.grant_next(|claim| {
            reserved
                .try_add(*claim, limit)
                .inspect_err(|full| shortage.add(*full, claim.peer))?;
            Ok(Reservation {
                hold: self.budget.hold(Kind::Bodies, claim.bytes),
                reserved: Some((Arc::clone(self), *claim)),
            })
        });
        drop(state);
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    /// Adds the claim if the total stays within the limit, and that of its peer within half of it.
    /// A claim on its own always fits.
    fn try_add(&mut self, Claim { peer, bytes }: Claim, limit: u64) -> Result<(), Full> {
        let fits = |held: u64, limit: u64| held == 0 || held + bytes <= limit;
        let peer_total = self.by_peer.get(&peer).copied().unwrap_or(0);
        if !fits(peer_total, limit / 2) {
            return Err(Full::Peer);
        }
        if !fits(self.total, limit) {
            return Err(Full::All);
        }
        self.total += bytes;
        *self.by_peer.entry(peer).or_default() += bytes;
        Ok(())
    }

    fn subtract(&mut self, Claim { peer, bytes }: Claim) {
        self.total -= bytes;
        if let Some(peer_total) = self.by_peer.get_mut(&peer) {
            *peer_total -= bytes;
            if *peer_total == 0 {
                self.by_peer.remove(&peer);
            }
        }
    }
}

/// Counts a body as waiting until this is dropped.
struct WaitGuard<'a> {
    reservations: &'a Arc<Reservations>,
    unread: Claim,
    _hold: Hold,
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.reservations.lock();
        state.waiting.subtract(self.unread);
        let has_others = !state.queue.is_empty();
        drop(state);
        // The waiter that has given up may have held up others.
        if has_others {
            self.reservations.grant_waiting();
        }
    }
}

/// Memory reserved for a body until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    hold: Hold,
    reserved: Option<(Arc<Reservations>, Claim)>,
}

impl Reservation {
    /// Releases what exceeds `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let freed = self.hold.bytes().saturating_sub(bytes);
        if freed == 0 {
            return;
        }
        if let Some((reservations, claim)) = &mut self.reserved {
            claim.bytes -= freed;
            let Claim { peer, .. } = *claim;
            let released = Claim { peer, bytes: freed };
            reservations.lock().reserved.subtract(released);
            reservations.grant_waiting();
        }
        self.hold.set(self.hold.bytes() - freed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use tokio::time::timeout;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    const MIB: u64 = 1 << 20;
    const SOON: Duration = Duration::from_millis(50);

    async fn reserve(
        reservations: &Arc<Reservations>,
        peer: IpAddr,
        bytes: u64,
    ) -> Option<Reservation> {
        let reservation = timeout(SOON, reservations.reserve(peer, bytes)).await;
        reservation.ok().flatten()
    }

    #[tokio::test]
    async fn waiting_bodies_are_limited_by_what_the_kernel_may_buffer() {
        let budget = Budget::new(64 * MIB);
        let reservations = Reservations::new(&budget);
        let all: Vec<_> = (0..100)
            .map(|_| {
                let reservations = Arc::clone(&reservations);
                tokio::spawn(async move { reservations.reserve(ONE, 2 * MIB).await })
            })
            .collect();
        tokio::time::sleep(SOON).await;

        // Four are granted, and 8 MiB hold what the kernel may buffer for those that wait.
        let refused = all.iter().filter(|one| one.is_finished()).count() - 4;
        assert_eq!(refused, 100 - 4 - 32);
        assert!(reserve(&reservations, OTHER, 2 * MIB).await.is_some());
        for one in all {
            one.abort();
            drop(one.await);
        }
        assert_eq!(budget.held(Kind::Bodies), 0);
    }

    #[tokio::test]
    async fn a_peer_leaves_room_for_others() {
        let reservations = Reservations::new(&Budget::new(64 * MIB));
        let mut first_client_reservations = Vec::new();
        while let Some(reservation) = reserve(&reservations, ONE, 2 * MIB).await {
            first_client_reservations.push(reservation);
        }

        assert_eq!(first_client_reservations.len(), 4);
        let small = reserve(&reservations, ONE, 1000).await;
        assert!(small.is_some());
        let other_client_reservation = reserve(&reservations, OTHER, 2 * MIB).await;
        assert!(other_client_reservation.is_some());
        let mut next = Box::pin(reservations.reserve(ONE, 2 * MIB));
        assert!(timeout(SOON, &mut next).await.is_err());
        let shortage = reservations.shortage();
        assert!(shortage.concerns(ONE) && !shortage.concerns(OTHER));
    }

    #[tokio::test]
    async fn one_body_fits_whatever_the_budget() {
        let reservations = Reservations::new(&Budget::new(MIB));

        let first = reserve(&reservations, ONE, 2 * MIB).await;
        assert!(first.is_some());
        let mut next = Box::pin(reservations.reserve(OTHER, 2 * MIB));
        assert!(timeout(SOON, &mut next).await.is_err());
        assert!(reservations.shortage().concerns(ONE));
        drop(next);
        let shortage = reservations.shortage();
        assert!(!shortage.concerns(ONE), "it has stopped waiting");
    }

    #[tokio::test]
    async fn many_small_bodies_keep_no_large_one_waiting() {
        let reservations = Reservations::new(&Budget::new(MIB));
        let mut small = Vec::new();
        for _ in 0..100 {
            small.push(reservations.reserve(ONE, SMALL).await.expect("room"));
        }

        assert!(reserve(&reservations, OTHER, MIB / 8).await.is_some());
        drop(small);
    }

    #[tokio::test]
    async fn what_is_given_back_is_there_for_the_next() {
        let budget = Budget::new(64 * MIB);
        let reservations = Reservations::new(&budget);
        let mut first = reservations.reserve(ONE, 8 * MIB).await.expect("room");
        let mut next = Box::pin(reservations.reserve(ONE, 2 * MIB));
        assert!(timeout(SOON, &mut next).await.is_err());

        first.shrink_to(MIB);
        let next = timeout(Duration::from_secs(5), next).await;
        assert!(next.is_ok());
        drop((first, next));
        assert_eq!(budget.held(Kind::Bodies), 0);
        assert!(reservations.lock().reserved.by_peer.is_empty());
    }
}
