//! Watches a request at each poll: whether it needs the CPU, and how much memory it holds.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        atomic::{AtomicU8, Ordering},
        Arc, Mutex, PoisonError,
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{
    budget::Peer,
    gate::{Gate, Permit},
};
use crate::{
    server::{Connection, Phase},
    usage::Tally,
};

/// Waiting to be woken.
const PAUSED: u8 = 0;
const RUNNING: u8 = 1;
/// Woken, and waiting to be polled.
const WOKEN: u8 = 2;
const FINISHED: u8 = 3;

/// A request that has begun and not yet ended.
#[derive(Debug)]
pub struct ActiveRequest {
    permit: Permit,
    watch: Arc<Watch>,
    tally: Tally,
}

impl ActiveRequest {
    pub const fn permit_mut(&mut self) -> &mut Permit {
        &mut self.permit
    }

    pub const fn peer(&self) -> &Arc<Peer> {
        self.permit.peer()
    }

    /// Bytes that the request holds.
    pub fn held(&self) -> u64 {
        u64::try_from(self.tally.held).unwrap_or(0)
    }

    /// Polls a part of the request's work, and accounts for its memory.
    pub fn poll<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        let polled = self.tally.count(poll);
        self.permit.set_held(self.held());
        polled
    }

    /// The request passes on `bytes`, which are counted elsewhere from now on.
    pub fn hand_over(&mut self, bytes: usize) {
        self.tally.held -= i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    #[cfg(test)]
    pub fn set_held(&mut self, bytes: u64) {
        self.tally.held = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.permit.set_held(bytes);
    }

    pub const fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.watch.finish();
        #[cfg(feature = "metrics")]
        self.permit.record_memory(&self.tally);
    }
}

/// A future with a permit to run.
pub struct Work<'a, F> {
    future: Pin<&'a mut F>,
    active: ActiveRequest,
    connection: Arc<Connection>,
    waker: Waker,
}

impl<'a, F: Future> Work<'a, F> {
    pub fn new(future: Pin<&'a mut F>, permit: Permit, connection: &Arc<Connection>) -> Self {
        let watch = Arc::new(Watch {
            gate: Arc::clone(permit.gate()),
            peer: Arc::clone(permit.peer()),
            // A new permit counts as needing the CPU.
            state: AtomicU8::new(WOKEN),
            task: Mutex::default(),
        });
        Self {
            future,
            connection: Arc::clone(connection),
            waker: Waker::from(Arc::clone(&watch)),
            active: ActiveRequest {
                permit,
                watch,
                tally: Tally::default(),
            },
        }
    }

    /// Returns the request once its future is done.
    pub fn finish(mut self) -> ActiveRequest {
        self.active.permit.mark_complete();
        self.active
    }
}

impl<F: Future> Future for Work<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.active.watch.start(context.waker());
        let polled = this.active.poll(|| {
            let mut context = Context::from_waker(&this.waker);
            this.future.as_mut().poll(&mut context)
        });
        if polled.is_pending() {
            if this.connection.phase() == Phase::Body {
                let held = this.active.held();
                this.active.permit.shrink_to(held);
            }
            this.active.watch.pause();
        }
        polled
    }
}

/// A waker between a future and its task, to learn when the future needs the CPU.
#[derive(Debug)]
pub struct Watch {
    gate: Arc<Gate>,
    peer: Arc<Peer>,
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

impl Watch {
    /// The future is about to be polled by this task.
    pub fn start(&self, task: &Waker) {
        {
            let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *known {
                Some(known) => known.clone_from(task),
                None => *known = Some(task.clone()),
            }
        }
        // The task may have been woken by something else.
        if self.state.swap(RUNNING, Ordering::AcqRel) == PAUSED {
            self.gate.resume(&self.peer);
        }
    }

    /// The future needs no CPU until it is woken or polled.
    pub fn pause(&self) {
        let paused =
            self.state
                .compare_exchange(RUNNING, PAUSED, Ordering::AcqRel, Ordering::Acquire);
        if paused.is_ok() {
            self.gate.pause(&self.peer);
        }
    }

    fn finish(&self) {
        // Dropping the permit pauses the request, so it must count as needing the CPU until then.
        if self.state.swap(FINISHED, Ordering::AcqRel) == PAUSED {
            self.gate.resume(&self.peer);
        }
    }
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
                (state == PAUSED || state == RUNNING).then_some(WOKEN)
            });
        if before == Ok(PAUSED) {
            self.gate.resume(&self.peer);
        }
        if before.is_ok() {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(task) = &*task {
                task.wake_by_ref();
            }
        }
    }
}

#[cfg(all(test, feature = "jemalloc", not(target_env = "msvc")))]
mod tests {
    use std::{future::pending, pin::pin};

    use axum::body::Bytes;

    use super::*;
    use crate::admission::{
        body::read_ahead,
        budget::{Budget, Kind},
        gate::network_of,
        reservations::Reservations,
        Route,
    };

    const MIB: usize = 1 << 20;

    #[tokio::test]
    async fn what_is_made_of_a_body_is_held_though_the_body_is_dropped() {
        let budget = Budget::new(1 << 30);
        let peer = ([192, 0, 2, 1], 1).into();
        let connection = Connection::new(peer, budget.hold(Kind::Connections, 0));
        let reservations = Reservations::new(&budget);
        let network = network_of(peer.ip());
        let reservation = reservations.reserve(network, MIB as u64).await;
        let body = read_ahead(Bytes::from(vec![0; MIB]), reservation.expect("room"));
        let gate = Gate::new(&budget, None);
        let route = Arc::new(Route::new("/", false));
        let permit = gate
            .try_acquire(&route, &gate.peer(network))
            .expect("it is free");
        let future = pin!(async move {
            let copy = body.to_vec();
            drop(body);
            pending::<()>().await;
            drop(copy);
        });

        let mut work = Work::new(future, permit, &Arc::new(connection));
        let polled = Pin::new(&mut work).poll(&mut Context::from_waker(Waker::noop()));

        assert!(polled.is_pending());
        assert_eq!(budget.held(Kind::Bodies), 0);
        let held = work.active.held();
        assert!(held > MIB as u64 / 2, "{held}");
        assert!(route.expected() >= held);
    }
}
