//! A request's work, watched at each of its polls: does it need the CPU, and what does it hold?

use std::{
    future::Future,
    pin::Pin,
    sync::{
        atomic::{AtomicU8, Ordering},
        Arc, Mutex, PoisonError,
    },
    task::{Context, Poll, Wake, Waker},
};

use super::gate::{Gate, Permit};
use crate::{
    allocator::held_by_thread,
    server::{Connection, Phase},
};

/// It waits to be woken.
const RESTING: u8 = 0;
const POLLED: u8 = 1;
/// It was woken, and waits to be polled.
const WOKEN: u8 = 2;
const ENDED: u8 = 3;

/// A request that has begun, until its answer is there.
#[derive(Debug)]
pub struct Begun {
    permit: Permit,
    watch: Arc<Watch>,
}

impl Begun {
    pub const fn permit(&mut self) -> &mut Permit {
        &mut self.permit
    }

    pub const fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.watch.end();
    }
}

/// A future with the permit to run.
pub struct Work<'a, F> {
    future: Pin<&'a mut F>,
    begun: Begun,
    connection: Arc<Connection>,
    waker: Waker,
    /// Bytes allocated less bytes freed, over all polls.
    held: i64,
}

impl<'a, F: Future> Work<'a, F> {
    pub fn new(future: Pin<&'a mut F>, permit: Permit, connection: &Arc<Connection>) -> Self {
        let watch = Arc::new(Watch {
            gate: Arc::clone(permit.gate()),
            // With the permit it counts as one that needs the CPU.
            state: AtomicU8::new(WOKEN),
            task: Mutex::default(),
        });
        Self {
            future,
            connection: Arc::clone(connection),
            waker: Waker::from(Arc::clone(&watch)),
            begun: Begun { permit, watch },
            held: 0,
        }
    }

    #[cfg(test)]
    pub fn holds(&mut self, bytes: u64) {
        self.held = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.begun.permit.holds(bytes);
    }

    /// What has begun, once the future is done, and the bytes that are held from then on.
    pub fn end(self) -> (Begun, u64) {
        (self.begun, u64::try_from(self.held).unwrap_or(0))
    }
}

impl<F: Future> Future for Work<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.begun.watch.start(context.waker());
        let before = held_by_thread();
        let polled = this
            .future
            .as_mut()
            .poll(&mut Context::from_waker(&this.waker));
        this.held += held_by_thread() - before;
        let held = u64::try_from(this.held).unwrap_or(0);
        this.begun.permit.holds(held);
        if polled.is_pending() {
            if this.connection.phase() == Phase::Body {
                this.begun.permit.gives_back(held);
            }
            this.begun.watch.pause();
        }
        polled
    }
}

/// Stands between the future and its task.
#[derive(Debug)]
pub struct Watch {
    gate: Arc<Gate>,
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

impl Watch {
    /// It is polled, by this task.
    pub fn start(&self, task: &Waker) {
        {
            let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *known {
                Some(known) => known.clone_from(task),
                None => *known = Some(task.clone()),
            }
        }
        // Its task may have been woken by something else.
        if self.state.swap(POLLED, Ordering::AcqRel) == RESTING {
            self.gate.resume();
        }
    }

    /// It needs no CPU until it is woken or polled.
    pub fn pause(&self) {
        let paused =
            self.state
                .compare_exchange(POLLED, RESTING, Ordering::AcqRel, Ordering::Acquire);
        if paused.is_ok() {
            self.gate.rest();
        }
    }

    fn end(&self) {
        // The permit counts as one that needs the CPU.
        if self.state.swap(ENDED, Ordering::AcqRel) == RESTING {
            self.gate.resume();
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
                (state == RESTING || state == POLLED).then_some(WOKEN)
            });
        if before == Ok(RESTING) {
            self.gate.resume();
        }
        if before.is_ok() {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(task) = &*task {
                task.wake_by_ref();
            }
        }
    }
}
