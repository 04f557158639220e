//! What requests make the service hold, in bytes, beside what they may.

use std::sync::{
    atomic::{AtomicU64, AtomicUsize, Ordering},
    Arc, OnceLock,
};

/// Requests that are expected to hold more than this share of the budget leave the last quarter of
/// it to the others: few large answers must not keep all small ones waiting.
const SMALL: u64 = 256;

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
    Answers,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Connections, Self::Bodies, Self::Work, Self::Answers];

    /// As metrics call it.
    #[cfg(feature = "metrics")]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Bodies => "request_bodies",
            Self::Work => "work",
            Self::Answers => "answers",
        }
    }
}

/// Bytes that are held, by kind, and the most that may be.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    total: AtomicU64,
    held: [AtomicU64; Kind::ALL.len()],
    /// Requests that wait for memory or for a core.
    waiting: AtomicUsize,
    /// Called when less is held while some wait.
    released: OnceLock<Box<dyn Released>>,
}

/// Whoever waits for memory.
pub trait Released: Send + Sync + std::fmt::Debug {
    fn released(&self);
}

impl Budget {
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            total: AtomicU64::new(0),
            held: Default::default(),
            waiting: AtomicUsize::new(0),
            released: OnceLock::new(),
        })
    }

    /// Who is told when memory is released: once for each budget.
    pub fn tell(&self, released: Box<dyn Released>) {
        drop(self.released.set(released));
    }

    pub const fn waiting(&self) -> &AtomicUsize {
        &self.waiting
    }

    pub const fn limit(&self) -> u64 {
        self.limit
    }

    pub fn held(&self, kind: Kind) -> u64 {
        self.held[kind as usize].load(Ordering::Relaxed)
    }

    /// Whether bodies that are read as they come are to wait: they keep no others from being worked
    /// on.
    pub fn is_full_for_bodies(&self) -> bool {
        self.held(Kind::Bodies) > self.limit / 2
            || self.total.load(Ordering::Relaxed) > self.limit / 8 * 7
    }

    const fn share_for(&self, bytes: u64) -> u64 {
        if bytes > self.limit / SMALL {
            self.limit / 4 * 3
        } else {
            self.limit
        }
    }

    /// Counts bytes as held until the result is dropped, whether they fit or not.
    pub fn hold(self: &Arc<Self>, kind: Kind, bytes: u64) -> Hold {
        let mut hold = Hold {
            budget: Arc::clone(self),
            kind,
            bytes: 0,
        };
        hold.set(bytes);
        hold
    }

    /// As [`Self::hold`], if they fit.
    pub fn try_hold(self: &Arc<Self>, kind: Kind, bytes: u64) -> Option<Hold> {
        let share = self.share_for(bytes);
        let before = self.total.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > share {
            self.total.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        }
        self.held[kind as usize].fetch_add(bytes, Ordering::Relaxed);
        Some(Hold {
            budget: Arc::clone(self),
            kind,
            bytes,
        })
    }
}

/// Bytes that are counted as held until this is dropped.
#[derive(Debug)]
pub struct Hold {
    budget: Arc<Budget>,
    kind: Kind,
    bytes: u64,
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
            held.fetch_add(more, Ordering::Relaxed);
            self.budget.total.fetch_add(more, Ordering::Relaxed);
            self.bytes = bytes;
        } else {
            let less = self.bytes - bytes;
            held.fetch_sub(less, Ordering::Relaxed);
            self.budget.total.fetch_sub(less, Ordering::Relaxed);
            self.bytes = bytes;
            if self.budget.waiting.load(Ordering::Relaxed) > 0 {
                if let Some(released) = self.budget.released.get() {
                    released.released();
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
        let answer = budget.hold(Kind::Answers, 200);
        work.set(100);

        assert_eq!(budget.held(Kind::Work), 100);
        let part = work.split(60);
        drop(work);
        assert_eq!(budget.held(Kind::Work), 60);
        drop((part, answer));
        assert_eq!(budget.held(Kind::Answers), 0);
        assert!(budget.try_hold(Kind::Work, 750).is_some());
    }

    #[test]
    fn large_requests_leave_room_for_small_ones() {
        let budget = Budget::new(1_000_000);
        let _held = budget.hold(Kind::Answers, 700_000);

        assert!(budget.try_hold(Kind::Work, 100_000).is_none());
        assert_eq!(budget.held(Kind::Work), 0, "what did not fit is not held");
        assert!(budget.try_hold(Kind::Work, 3_000).is_some());
    }
}
