//! All open connections, and who looks after them: closes those that take too long, or that hold
//! what others need.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, Mutex, MutexGuard, PoisonError, Weak,
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::Notify,
    time::{interval, timeout, MissedTickBehavior},
};

use super::{
    connection::{Connection, Phase, Seen},
    limits::file_descriptors,
};
use crate::{
    admission::{budget::Kind, network_of, Admission},
    guard,
    settings::Connections as Settings,
};

/// Bytes that a connection holds: its task, its buffers, and a request's head.
const CONNECTION: u64 = 24 << 10;
/// File descriptors that are left to everything else: databases, files, the listeners.
const OTHER_FILES: usize = 128;
/// The part of all connections that is closed at once to make room: to find them takes a look at all.
const SOME: usize = 64;
/// How long a connection is left alone whose first request may be on its way.
const NEW: Duration = Duration::from_millis(250);
/// How often connections are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long a client may send nothing before its rate counts.
const GRACE: Duration = Duration::from_secs(5);
/// Where others wait for memory: how long a client may take nothing, and the least bytes a second.
const SHORT_GRACE: Duration = Duration::from_secs(1);
const SHORT_RATE: u64 = 64 << 10;

/// Why a connection is closed before its client asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Idle for longer than `settings.connections.keep_alive`.
    Idle,
    /// A head that took longer than `settings.connections.head_timeout`.
    Head,
    /// A body slower than `settings.connections.body_rate`.
    Body,
    /// An answer of which nothing was taken for `settings.connections.answer_timeout`.
    Answer,
    /// Slow or idle while memory is short.
    Memory,
    /// Slow or idle while there are too many.
    Room,
}

impl Closed {
    pub const ALL: [Self; 6] = [
        Self::Idle,
        Self::Head,
        Self::Body,
        Self::Answer,
        Self::Memory,
        Self::Room,
    ];

    /// As metrics call it.
    #[cfg(feature = "metrics")]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "slow_head",
            Self::Body => "slow_body",
            Self::Answer => "slow_reader",
            Self::Memory => "memory",
            Self::Room => "room",
        }
    }
}

/// The open connections.
#[derive(Debug)]
pub struct Connections {
    settings: Settings,
    admission: Arc<Admission>,
    most: usize,
    /// Connections of one peer, at most.
    most_of_peer: usize,
    open: Mutex<All>,
    closed: [AtomicU64; Closed::ALL.len()],
    /// Those that were not opened, since their peer had too many.
    refused: AtomicU64,
    removed: Notify,
}

#[derive(Debug, Default)]
struct All {
    connections: HashMap<SocketAddr, Arc<Connection>>,
    by_peer: HashMap<IpAddr, usize>,
}

impl All {
    /// Counts one less of a peer.
    fn forget(&mut self, peer: IpAddr) {
        if let Some(count) = self.by_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&peer);
            }
        }
    }
}

/// An open connection, which counts until this is dropped.
#[derive(Debug)]
pub struct Open {
    connection: Arc<Connection>,
    connections: Arc<Connections>,
}

impl Open {
    pub const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.remove(&self.connection);
    }
}

impl Connections {
    /// Looks after them for as long as the result lives.
    pub fn new(settings: Settings, admission: &Arc<Admission>) -> Arc<Self> {
        let by_files = file_descriptors().map_or(usize::MAX, |files| {
            files.saturating_sub(OTHER_FILES).max(files / 2)
        });
        let by_memory = admission.budget().limit() / 2 / CONNECTION;
        let by_both = by_files.min(usize::try_from(by_memory).unwrap_or(usize::MAX));
        let most = settings
            .max
            .map_or_else(|| by_both.max(1), NonZeroUsize::get);
        // All clients of a proxy come from one address.
        let most_of_peer = if admission.is_behind_proxy() {
            most
        } else {
            most - most / 4
        };
        let connections = Arc::new(Self {
            settings,
            admission: Arc::clone(admission),
            most,
            most_of_peer,
            open: Mutex::default(),
            closed: Default::default(),
            refused: AtomicU64::new(0),
            removed: Notify::new(),
        });
        tokio::spawn(look_after(Arc::downgrade(&connections)));
        connections
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub const fn most(&self) -> usize {
        self.most
    }

    /// How many were closed for this reason.
    #[cfg(feature = "metrics")]
    pub fn closed(&self, why: Closed) -> u64 {
        self.closed[why as usize].load(Ordering::Relaxed)
    }

    #[cfg(feature = "metrics")]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many are in each phase, in the order of [`Phase::ALL`].
    #[cfg(feature = "metrics")]
    pub fn by_phase(&self) -> [usize; Phase::ALL.len()] {
        let mut counts = [0; Phase::ALL.len()];
        for connection in self.lock().connections.values() {
            counts[connection.phase() as usize] += 1;
        }
        counts
    }

    /// Waits until one more may be opened. Where there are too many, those that have been idle for
    /// the longest are closed, some at once.
    pub async fn room(&self) {
        while self.lock().connections.len() >= self.most {
            self.close_longest_idle(self.most.div_ceil(SOME), NEW, None, Closed::Room);
            drop(timeout(LOOK, self.removed.notified()).await);
        }
    }

    /// Opens one, unless its peer has too many: then some that it leaves idle are closed for it, and
    /// without such there is none.
    pub fn add(self: &Arc<Self>, address: SocketAddr) -> Option<Open> {
        let peer = network_of(address.ip());
        let of_peer = self.lock().by_peer.get(&peer).copied();
        if of_peer.is_some_and(|count| count >= self.most_of_peer)
            && self.close_longest_idle(self.most.div_ceil(SOME), NEW, Some(peer), Closed::Room) == 0
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let hold = self.admission.budget().hold(Kind::Connections, CONNECTION);
        let connection = Arc::new(Connection::new(address, hold));
        let mut open = self.lock();
        *open.by_peer.entry(peer).or_default() += 1;
        let same = open.connections.insert(address, Arc::clone(&connection));
        // It has ended, and is about to be removed.
        if same.is_some() {
            open.forget(peer);
        }
        drop(open);
        Some(Open {
            connection,
            connections: Arc::clone(self),
        })
    }

    fn remove(&self, connection: &Arc<Connection>) {
        let address = connection.peer();
        let mut open = self.lock();
        if open
            .connections
            .get(&address)
            .is_some_and(|known| Arc::ptr_eq(known, connection))
        {
            open.connections.remove(&address);
            open.forget(network_of(address.ip()));
            drop(open);
            self.removed.notify_one();
        }
    }

    /// Closes all that are idle.
    pub fn close_idle(&self) {
        self.close_longest_idle(usize::MAX, Duration::ZERO, None, Closed::Memory);
    }

    /// Closes those that have been idle for so long, of this peer or of all, so many at most. Returns
    /// how many.
    fn close_longest_idle(
        &self,
        most: usize,
        for_long: Duration,
        peer: Option<IpAddr>,
        why: Closed,
    ) -> usize {
        let mut idle: Vec<(Instant, Arc<Connection>)> = self
            .lock()
            .connections
            .values()
            .filter(|connection| connection.is_idle())
            .filter(|connection| peer.is_none_or(|peer| peer == network_of(connection.peer().ip())))
            .map(|connection| (connection.last_read(), Arc::clone(connection)))
            .filter(|(since, _)| since.elapsed() >= for_long)
            .collect();
        if most < idle.len() {
            idle.select_nth_unstable_by_key(most, |(since, _)| *since);
            idle.truncate(most);
        }
        // An answer may lie in the kernel since the last look.
        idle.retain(|(_, connection)| {
            connection.look_at_answers();
            connection.is_idle()
        });
        for (_, connection) in &idle {
            self.close(connection, Phase::Idle, why);
        }
        idle.len()
    }

    /// Closes one that was seen in this phase.
    fn close(&self, connection: &Connection, phase: Phase, why: Closed) {
        if phase != Phase::Idle {
            connection.reset_when_closed();
        }
        if connection.close() {
            self.closed[why as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn look(&self, now: Instant) {
        let open: Vec<Arc<Connection>> = self.lock().connections.values().map(Arc::clone).collect();
        let is_shedding = guard::pressure() == guard::Pressure::Shed;
        let shortage = self.admission.shortage();
        let body_shortage = self.admission.body_shortage();
        let idle = open.iter().filter(|connection| connection.is_idle());
        // There are not enough idle ones that could be closed.
        let is_full = open.len() >= self.most && idle.count() < self.most.div_ceil(SOME);
        let why_needed = |connection: &Connection, phase: Phase| {
            let client = connection.client();
            let is_short = is_shedding
                || shortage.concerns(client)
                || phase == Phase::Body && body_shortage.concerns(client);
            if is_short {
                Some(Closed::Memory)
            } else {
                is_full.then_some(Closed::Room)
            }
        };
        let mut slow = Vec::new();
        for connection in open {
            connection.look_at_answers();
            let phase = connection.phase();
            let moved = connection.moved(phase);
            let seen = connection.seen(|seen| {
                // Between two looks an idle connection may have had a request.
                let has_changed = phase == Phase::Idle && seen.bytes != moved;
                if seen.phase == phase && !has_changed {
                    seen
                } else {
                    Seen {
                        phase,
                        since: now,
                        bytes: moved,
                    }
                }
            });
            let waited = now.saturating_duration_since(seen.since);
            // What has come of a body that waits for room may not count.
            let bytes = moved.saturating_sub(seen.bytes);
            let is_slow = is_slow(phase, waited, bytes);
            if let Some(why) = self.is_too_slow(phase, waited, bytes) {
                self.close(&connection, phase, why);
            } else if let Some(why) = is_slow.then(|| why_needed(&connection, phase)).flatten() {
                slow.push((rate(bytes, waited), connection, phase, why));
            } else if is_end_of_window(phase, waited, bytes) {
                connection.seen(|seen| Seen {
                    since: now,
                    bytes: moved,
                    ..seen
                });
            }
        }
        // Not all at once: what they hold may be enough for a while.
        slow.sort_unstable_by_key(|(rate, ..)| *rate);
        let most = slow.len().div_ceil(10);
        for (_, connection, phase, why) in slow.into_iter().take(most) {
            self.close(&connection, phase, why);
        }
        if is_shedding {
            self.close_idle();
        }
    }

    /// Why a connection is closed that has moved so few bytes for so long.
    fn is_too_slow(&self, phase: Phase, waited: Duration, bytes: u64) -> Option<Closed> {
        let settings = &self.settings;
        let is_over = |seconds: u64| seconds > 0 && waited >= Duration::from_secs(seconds);
        match phase {
            Phase::Idle => is_over(settings.keep_alive).then_some(Closed::Idle),
            Phase::Head => is_over(settings.head_timeout).then_some(Closed::Head),
            Phase::Body => (waited >= GRACE && rate(bytes, waited) < settings.body_rate)
                .then_some(Closed::Body),
            Phase::Answer => {
                (bytes == 0 && is_over(settings.answer_timeout)).then_some(Closed::Answer)
            }
            Phase::Work | Phase::Upgraded => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes a second.
fn rate(bytes: u64, waited: Duration) -> u64 {
    bytes * 1000 / u64::try_from(waited.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Whether it keeps others waiting, where memory or connections are short.
fn is_slow(phase: Phase, waited: Duration, bytes: u64) -> bool {
    matches!(phase, Phase::Head | Phase::Body | Phase::Answer)
        && waited >= SHORT_GRACE
        && rate(bytes, waited) < SHORT_RATE
}

/// Whether it is fast enough to be measured from here on anew.
fn is_end_of_window(phase: Phase, waited: Duration, bytes: u64) -> bool {
    match phase {
        Phase::Body => waited >= GRACE,
        Phase::Answer => waited >= GRACE && bytes > 0,
        _ => false,
    }
}

async fn look_after(connections: Weak<Connections>) {
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(connections) = connections.upgrade() else {
            return;
        };
        connections.look(Instant::now());
        // The limit may be farther away than it was.
        connections.admission.admit();
        connections.admission.refusals().tell();
    }
}
