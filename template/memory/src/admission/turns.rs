//! Those that wait, in a line for each peer. The peers take turns.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};

use tokio::sync::oneshot;

use super::budget::Full;

/// Those that have gone are forgotten where so many wait, or twice as many as the last time.
const SWEEP: usize = 1024;

/// What waits for a `U` each.
#[derive(Debug)]
pub struct Turns<T, U> {
    lines: HashMap<IpAddr, VecDeque<Waiter<T, U>>>,
    order: VecDeque<IpAddr>,
    /// Those included that have gone.
    length: usize,
    sweep_at: usize,
}

#[derive(Debug)]
struct Waiter<T, U> {
    what: T,
    granted: oneshot::Sender<U>,
}

impl<T, U> Default for Turns<T, U> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            order: VecDeque::new(),
            length: 0,
            sweep_at: SWEEP,
        }
    }
}

impl<T, U> Turns<T, U> {
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Puts it at the end of its peer's line. Whoever drops the result waits no longer.
    pub fn push(&mut self, peer: IpAddr, what: T) -> oneshot::Receiver<U> {
        if self.length >= self.sweep_at {
            self.sweep();
        }
        let (granted, receiver) = oneshot::channel();
        let line = self.lines.entry(peer).or_insert_with(|| {
            self.order.push_back(peer);
            VecDeque::new()
        });
        line.push_back(Waiter { what, granted });
        self.length += 1;
        receiver
    }

    /// Clients that come and go must not fill it.
    fn sweep(&mut self) {
        self.length = 0;
        for line in self.lines.values_mut() {
            line.retain(|waiter| !waiter.granted.is_closed());
            self.length += line.len();
        }
        self.sweep_at = SWEEP.max(2 * self.length);
    }

    /// The next that is granted what it waits for. What is full for one peer keeps no other waiting.
    pub fn next(
        &mut self,
        mut grant: impl FnMut(&T) -> Result<U, Full>,
    ) -> Option<(oneshot::Sender<U>, U)> {
        for _ in 0..self.order.len() {
            let peer = self.order.pop_front()?;
            let line = self.lines.get_mut(&peer)?;
            while line
                .front()
                .is_some_and(|waiter| waiter.granted.is_closed())
            {
                line.pop_front();
                self.length -= 1;
            }
            let Some(waiter) = line.front() else {
                self.lines.remove(&peer);
                continue;
            };
            match grant(&waiter.what) {
                Ok(what) => {
                    let waiter = line.pop_front()?;
                    self.length -= 1;
                    if line.is_empty() {
                        self.lines.remove(&peer);
                    } else {
                        self.order.push_back(peer);
                    }
                    return Some((waiter.granted, what));
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
        let mut turns = Turns::<_, u32>::default();
        let _waiting = [1, 2, 3].map(|number| turns.push(ONE, number));
        let _other = turns.push(OTHER, 4);

        let order: Vec<u32> =
            std::iter::from_fn(|| Some(turns.next(|number| Ok(*number))?.1)).collect();
        assert_eq!(order, [1, 4, 2, 3]);
        assert!(turns.is_empty());
    }

    #[test]
    fn a_full_peer_keeps_no_other_waiting_and_those_that_have_gone_keep_nobody() {
        let mut turns = Turns::<_, u32>::default();
        let _waits = turns.push(ONE, 1);
        drop(turns.push(OTHER, 2));
        let _other = turns.push(OTHER, 3);

        let next = turns.next(|number| {
            if *number == 1 {
                Err(Full::Peer)
            } else {
                Ok(*number)
            }
        });
        assert_eq!(next.expect("one can").1, 3);
        assert!(turns.next(|_| Err(Full::All)).is_none());
        assert_eq!(turns.next(|number| Ok(*number)).expect("it waits").1, 1);
    }

    #[test]
    fn those_that_come_and_go_do_not_fill_it() {
        let mut turns = Turns::<_, ()>::default();
        let _waits = turns.push(ONE, ());
        for _ in 0..10 * SWEEP {
            drop(turns.push(ONE, ()));
        }
        assert!(turns.length <= SWEEP, "{}", turns.length);
    }
}
