//! Lets workers into a section in the order of their numbers.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A value that number 0 may use first, then number 1, and so on.
pub struct Turn<T> {
    state: Mutex<State<T>>,
    moved: Condvar,
}

struct State<T> {
    next: u64,
    ended: bool,
    value: T,
}

/// The section, held by the worker whose turn it is; the turn passes on when it is dropped.
pub struct Held<'a, T> {
    guard: Option<MutexGuard<'a, State<T>>>,
    turn: &'a Turn<T>,
}

impl<T> Turn<T> {
    pub fn new(value: T) -> Self {
        Self { state: Mutex::new(State { next: 0, ended: false, value }), moved: Condvar::new() }
    }

    /// Waits for the turn of `number`; `None` when the run has ended meanwhile.
    pub fn wait(&self, number: u64) -> Option<Held<'_, T>> {
        let mut guard = self.lock();
        while !guard.ended && guard.next != number {
            guard = self.moved.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        if guard.ended {
            return None;
        }
        Some(Held { guard: Some(guard), turn: self })
    }

    /// Ends the run: nobody gets a turn any more.
    pub fn end(&self) {
        self.lock().ended = true;
        self.moved.notify_all();
    }

    pub fn into_inner(self) -> T {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).value
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> std::ops::Deref for Held<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.guard {
            Some(guard) => &guard.value,
            None => unreachable!("the guard is taken only on drop"),
        }
    }
}

impl<T> std::ops::DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.guard {
            Some(guard) => &mut guard.value,
            None => unreachable!("the guard is taken only on drop"),
        }
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            guard.next += 1;
            drop(guard);
            self.turn.moved.notify_all();
        }
    }
}
