//! Tracks all open connections, and closes those that take too long or hold what others need.

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
    connection::{Connection, Observation, Phase},
    limits::max_open_files,
};
use crate::{
    admission::{budget::Kind, network_of, Admission},
    guard,
    settings::Connections as Settings,
};

/// Bytes held by a connection: its task, its buffers, and a request's head.
const CONNECTION_BYTES: u64 = 24 << 10;
/// File descriptors left to everything else: databases, files, listeners.
const RESERVED_FILES: usize = 128;
/// To make room, 1/64 of all connections is closed at once, since finding them means scanning all.
const EVICTION_DIVISOR: usize = 64;
/// How long a new connection is spared, as its first request may be on the way.
const NEW_GRACE: Duration = Duration::from_millis(250);
/// How often connections are inspected.
const INSPECTION_INTERVAL: Duration = Duration::from_millis(250);
/// How long a client may send nothing before its rate counts.
const GRACE: Duration = Duration::from_secs(5);
/// While others wait for memory: how long a client may take nothing, and the least bytes per
/// second.
const SHORTAGE_GRACE: Duration = Duration::from_secs(1);
const SHORTAGE_RATE: u64 = 64 << 10;

/// Why the service closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Idle for longer than `settings.connections.keep_alive`.
    Idle,
    /// Its head took longer than `settings.connections.head_timeout`.
    Head,
    /// Its body was slower than `settings.connections.body_rate`.
    Body,
    /// Nothing of its response was taken for `settings.connections.answer_timeout`.
    Response,
    /// Slow or idle while memory is short.
    Memory,
    /// Slow or idle while there are too many connections.
    Room,
}

impl CloseReason {
    pub const ALL: [Self; 6] = [
        Self::Idle,
        Self::Head,
        Self::Body,
        Self::Response,
        Self::Memory,
        Self::Room,
    ];

    /// The label that metrics use.
    #[cfg(feature = "metrics")]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "slow_head",
            Self::Body => "slow_body",
            Self::Response => "slow_reader",
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
    max: usize,
    /// The most connections of one peer.
    max_per_peer: usize,
    open: Mutex<Registry>,
    closed: [AtomicU64; CloseReason::ALL.len()],
    /// Connections refused because their peer had too many.
    refused: AtomicU64,
    removed: Notify,
}

#[derive(Debug, Default)]
struct Registry {
    connections: HashMap<SocketAddr, Arc<Connection>>,
    by_peer: HashMap<IpAddr, usize>,
}

impl Registry {
    /// Counts one connection fewer for a peer.
    fn decrement(&mut self, peer: IpAddr) {
        if let Some(count) = self.by_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&peer);
            }
        }
    }
}

/// An open connection, counted until this is dropped.
#[derive(Debug)]
pub struct OpenConnection {
    connection: Arc<Connection>,
    connections: Arc<Connections>,
}

impl OpenConnection {
    pub const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.remove(&self.connection);
    }
}

impl Connections {
    /// Also starts to supervise the connections, until the result is dropped.
    pub fn new(settings: Settings, admission: &Arc<Admission>) -> Arc<Self> {
        let by_files = max_open_files().map_or(usize::MAX, |files| {
            files.saturating_sub(RESERVED_FILES).max(files / 2)
        });
        let by_memory = admission.budget().limit() / 2 / CONNECTION_BYTES;
        let default_max = by_files.min(usize::try_from(by_memory).unwrap_or(usize::MAX));
        let max = settings
            .max
            .map_or_else(|| default_max.max(1), NonZeroUsize::get);
        // All clients of a proxy share its address.
        let max_per_peer = if admission.is_behind_proxy() {
            max
        } else {
            max - max / 4
        };
        let connections = Arc::new(Self {
            settings,
            admission: Arc::clone(admission),
            max,
            max_per_peer,
            open: Mutex::default(),
            closed: Default::default(),
            refused: AtomicU64::new(0),
            removed: Notify::new(),
        });
        tokio::spawn(supervise(Arc::downgrade(&connections)));
        connections
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub const fn max(&self) -> usize {
        self.max
    }

    /// How many connections were closed for this reason.
    #[cfg(feature = "metrics")]
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed[reason as usize].load(Ordering::Relaxed)
    }

    #[cfg(feature = "metrics")]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many connections are in each phase, in the order of [`Phase::ALL`].
    #[cfg(feature = "metrics")]
    pub fn by_phase(&self) -> [usize; Phase::ALL.len()] {
        let mut counts = [0; Phase::ALL.len()];
        for connection in self.lock().connections.values() {
            counts[connection.phase() as usize] += 1;
        }
        counts
    }

    /// Waits until one more connection may be opened. If there are too many, closes some of those
    /// that have been idle the longest.
    pub async fn wait_for_room(&self) {
        while self.lock().connections.len() >= self.max {
            self.close_longest_idle(
                self.max.div_ceil(EVICTION_DIVISOR),
                NEW_GRACE,
                None,
                CloseReason::Room,
            );
            drop(timeout(INSPECTION_INTERVAL, self.removed.notified()).await);
        }
    }

    /// Registers a connection. If its peer has too many, some of the peer's idle ones are closed to
    /// make room; if none are idle, the connection is refused with `None`.
    pub fn add(self: &Arc<Self>, address: SocketAddr) -> Option<OpenConnection> {
        let peer = network_of(address.ip());
        let peer_count = self.lock().by_peer.get(&peer).copied();
        if peer_count.is_some_and(|count| count >= self.max_per_peer)
            && self.close_longest_idle(
                self.max.div_ceil(EVICTION_DIVISOR),
                NEW_GRACE,
                Some(peer),
                CloseReason::Room,
            ) == 0
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let hold = self
            .admission
            .budget()
            .hold(Kind::Connections, CONNECTION_BYTES);
        let connection = Arc::new(Connection::new(address, hold));
        let mut open = self.lock();
        *open.by_peer.entry(peer).or_default() += 1;
        let stale = open.connections.insert(address, Arc::clone(&connection));
        // That connection has ended, and is about to be removed.
        if stale.is_some() {
            open.decrement(peer);
        }
        drop(open);
        Some(OpenConnection {
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
            open.decrement(network_of(address.ip()));
            drop(open);
            self.removed.notify_one();
        }
    }

    /// Closes all idle connections.
    pub fn close_idle(&self) {
        self.close_longest_idle(usize::MAX, Duration::ZERO, None, CloseReason::Memory);
    }

    /// Closes up to `max` connections, of this peer or of all, that have been idle for at least
    /// `min_idle`, the longest idle first. Returns how many.
    fn close_longest_idle(
        &self,
        max: usize,
        min_idle: Duration,
        peer: Option<IpAddr>,
        reason: CloseReason,
    ) -> usize {
        let mut idle: Vec<(Instant, Arc<Connection>)> = self
            .lock()
            .connections
            .values()
            .filter(|connection| connection.is_idle())
            .filter(|connection| peer.is_none_or(|peer| peer == network_of(connection.peer().ip())))
            .map(|connection| (connection.last_read(), Arc::clone(connection)))
            .filter(|(since, _)| since.elapsed() >= min_idle)
            .collect();
        if max < idle.len() {
            idle.select_nth_unstable_by_key(max, |(since, _)| *since);
            idle.truncate(max);
        }
        // Since the last inspection, a response may have ended up in the kernel's buffer.
        idle.retain(|(_, connection)| {
            connection.measure_unread();
            connection.is_idle()
        });
        for (_, connection) in &idle {
            self.close(connection, Phase::Idle, reason);
        }
        idle.len()
    }

    /// Closes a connection that was found in this phase.
    fn close(&self, connection: &Connection, phase: Phase, reason: CloseReason) {
        if phase != Phase::Idle {
            connection.reset_on_close();
        }
        if connection.close() {
            self.closed[reason as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn inspect(&self, now: Instant) {
        let open: Vec<Arc<Connection>> = self.lock().connections.values().map(Arc::clone).collect();
        let is_shedding = guard::pressure() == guard::Pressure::Shed;
        let shortage = self.admission.shortage();
        let body_shortage = self.admission.body_shortage();
        let idle = open.iter().filter(|connection| connection.is_idle());
        // Full, and there are not enough idle connections to close instead.
        let is_full = open.len() >= self.max && idle.count() < self.max.div_ceil(EVICTION_DIVISOR);
        let needed_for = |connection: &Connection, phase: Phase| {
            let client = connection.client();
            let is_short = is_shedding
                || shortage.concerns(client)
                || phase == Phase::Body && body_shortage.concerns(client);
            if is_short {
                Some(CloseReason::Memory)
            } else {
                is_full.then_some(CloseReason::Room)
            }
        };
        let mut slow = Vec::new();
        for connection in open {
            connection.measure_unread();
            let phase = connection.phase();
            let bytes_moved = connection.bytes_moved(phase);
            let observation = connection.observe(|observation| {
                // An idle connection may have had a request since the last inspection.
                let has_changed = phase == Phase::Idle && observation.bytes != bytes_moved;
                if observation.phase == phase && !has_changed {
                    observation
                } else {
                    Observation {
                        phase,
                        since: now,
                        bytes: bytes_moved,
                    }
                }
            });
            let waited = now.saturating_duration_since(observation.since);
            // A stalled body may have restarted its window in the meantime.
            let bytes = bytes_moved.saturating_sub(observation.bytes);
            let is_slow = is_slow(phase, waited, bytes);
            if let Some(reason) = self.timed_out(phase, waited, bytes) {
                self.close(&connection, phase, reason);
            } else if let Some(reason) = is_slow.then(|| needed_for(&connection, phase)).flatten() {
                slow.push((rate(bytes, waited), connection, phase, reason));
            } else if is_end_of_window(phase, waited, bytes) {
                connection.observe(|observation| Observation {
                    since: now,
                    bytes: bytes_moved,
                    ..observation
                });
            }
        }
        // Not all at once: what these hold may be enough for a while.
        slow.sort_unstable_by_key(|(rate, ..)| *rate);
        let max = slow.len().div_ceil(10);
        for (_, connection, phase, reason) in slow.into_iter().take(max) {
            self.close(&connection, phase, reason);
        }
        if is_shedding {
            self.close_idle();
        }
    }

    /// Why to close a connection that has moved only `bytes` in the time `waited`, if at all.
    fn timed_out(&self, phase: Phase, waited: Duration, bytes: u64) -> Option<CloseReason> {
        let settings = &self.settings;
        let is_over = |seconds: u64| seconds > 0 && waited >= Duration::from_secs(seconds);
        match phase {
            Phase::Idle => is_over(settings.keep_alive).then_some(CloseReason::Idle),
            Phase::Head => is_over(settings.head_timeout).then_some(CloseReason::Head),
            Phase::Body => (waited >= GRACE && rate(bytes, waited) < settings.body_rate)
                .then_some(CloseReason::Body),
            Phase::Response => {
                (bytes == 0 && is_over(settings.answer_timeout)).then_some(CloseReason::Response)
            }
            Phase::Work | Phase::Upgraded => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes per second.
fn rate(bytes: u64, waited: Duration) -> u64 {
    bytes * 1000 / u64::try_from(waited.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Whether a connection is too slow while memory or connections are short.
fn is_slow(phase: Phase, waited: Duration, bytes: u64) -> bool {
    matches!(phase, Phase::Head | Phase::Body | Phase::Response)
        && waited >= SHORTAGE_GRACE
        && rate(bytes, waited) < SHORTAGE_RATE
}

/// Whether a connection is fast enough for a new window of measurement to begin.
fn is_end_of_window(phase: Phase, waited: Duration, bytes: u64) -> bool {
    match phase {
        Phase::Body => waited >= GRACE,
        Phase::Response => waited >= GRACE && bytes > 0,
        _ => false,
    }
}

async fn supervise(connections: Weak<Connections>) {
    let mut tick = interval(INSPECTION_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(connections) = connections.upgrade() else {
            return;
        };
        connections.inspect(Instant::now());
        // Memory pressure may have eased.
        connections.admission.admit_waiting();
        connections.admission.refusals().report();
    }
}
