//! A queue with a sub-queue for each peer. Peers take turns.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};

use tokio::sync::oneshot;

use super::budget::Full;

/// Waiters that have given up are removed once the queue is this long, or twice as long as after
/// the previous sweep.
const MIN_SWEEP_LEN: usize = 1024;

/// Waiters, each with an item that says what it waits for, and each to be granted a `U`.
#[derive(Debug)]
pub struct FairQueue<T, U> {
    queues: HashMap<IpAddr, VecDeque<Waiter<T, U>>>,
    order: VecDeque<IpAddr>,
    /// Includes waiters that have given up.
    len: usize,
    sweep_at: usize,
}

#[derive(Debug)]
struct Waiter<T, U> {
    item: T,
    sender: oneshot::Sender<U>,
}

impl<T, U> Default for FairQueue<T, U> {
    fn default() -> Self {
        Self {
            queues: HashMap::new(),
            order: VecDeque::new(),
            len: 0,
            sweep_at: MIN_SWEEP_LEN,
        }
    }
}

impl<T, U> FairQueue<T, U> {
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Appends a waiter to its peer's queue. Dropping the receiver gives up the place.
    pub fn push(&mut self, peer: IpAddr, item: T) -> oneshot::Receiver<U> {
        if self.len >= self.sweep_at {
            self.sweep();
        }
        let (sender, receiver) = oneshot::channel();
        let queue = self.queues.entry(peer).or_insert_with(|| {
            self.order.push_back(peer);
            VecDeque::new()
        });
        queue.push_back(Waiter { item, sender });
        self.len += 1;
        receiver
    }

    /// Keeps clients that come and go from filling the queue.
    fn sweep(&mut self) {
        self.len = 0;
        self.queues.retain(|_, queue| {
            queue.retain(|waiter| !waiter.sender.is_closed());
            self.len += queue.len();
            !queue.is_empty()
        });
        self.order.retain(|peer| self.queues.contains_key(peer));
        self.sweep_at = MIN_SWEEP_LEN.max(2 * self.len);
    }

    /// Removes the next waiter that `grant` has something for, and returns it with that. A peer for
    /// which `grant` reports [`Full::Peer`] is skipped, so that it holds up no other.
    pub fn grant_next(
        &mut self,
        mut grant: impl FnMut(&T) -> Result<U, Full>,
    ) -> Option<(oneshot::Sender<U>, U)> {
        for _ in 0..self.order.len() {
            let peer = self.order.pop_front()?;
            let queue = self.queues.get_mut(&peer)?;
            while queue
                .front()
                .is_some_and(|waiter| waiter.sender.is_closed())
            {
                queue.pop_front();
                self.len -= 1;
            }
            let Some(waiter) = queue.front() else {
                self.queues.remove(&peer);
                continue;
            };
            match grant(&waiter.item) {
                Ok(granted) => {
                    let waiter = queue.pop_front()?;
                    self.len -= 1;
                    if queue.is_empty() {
                        self.queues.remove(&peer);
                    } else {
                        self.order.push_back(peer);
                    }
                    return Some((waiter.sender, granted));
                }
                Err(Full::Peer) => self.order.push_back(peer),
                Err(Full::All) => {
                    self.order.push_front(peer);
                    return None;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn peers_take_turns() {
        let mut queue = FairQueue::<_, u32>::default();
        let _waiting = [1, 2, 3].map(|number| queue.push(ONE, number));
        let _other = queue.push(OTHER, 4);

        let order: Vec<u32> =
            std::iter::from_fn(|| Some(queue.grant_next(|number| Ok(*number))?.1)).collect();
        assert_eq!(order, [1, 4, 2, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn neither_a_full_peer_nor_a_waiter_that_has_given_up_holds_up_others() {
        let mut queue = FairQueue::<_, u32>::default();
        let _waits = queue.push(ONE, 1);
        drop(queue.push(OTHER, 2));
        let _other = queue.push(OTHER, 3);

        let next = queue.grant_next(|number| {
            if *number == 1 {
                Err(Full::Peer)
            } else {
                Ok(*number)
            }
        });
        assert_eq!(next.expect("one can").1, 3);
        assert!(queue.grant_next(|_| Err(Full::All)).is_none());
        let last = queue.grant_next(|number| Ok(*number));
        assert_eq!(last.expect("it waits").1, 1);
    }

    #[test]
    fn waiters_that_come_and_go_do_not_fill_the_queue() {
        let mut queue = FairQueue::<_, ()>::default();
        let _waits = queue.push(ONE, ());
        for _ in 0..10 * MIN_SWEEP_LEN {
            drop(queue.push(ONE, ()));
        }
        assert!(queue.len <= MIN_SWEEP_LEN, "{}", queue.len);

        for number in 0..10 * MIN_SWEEP_LEN {
            let peer = Ipv4Addr::from_bits(u32::try_from(number).expect("a small number"));
            drop(queue.push(peer.into(), ()));
        }
        assert!(
            queue.queues.len() <= MIN_SWEEP_LEN,
            "{}",
            queue.queues.len()
        );
        assert_eq!(queue.order.len(), queue.queues.len());
    }
}
