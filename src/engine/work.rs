//! How much is done, counted in tests alone: a clock says little of a busy machine.

#[cfg(test)]
std::thread_local! {
    static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts one step, and gives back what came of it.
pub(crate) fn counted<T>(outcome: T) -> T {
    #[cfg(test)]
    STEPS.set(STEPS.get() + 1);
    outcome
}

/// The steps that this takes, in this thread.
#[cfg(test)]
pub(crate) fn steps<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = STEPS.get();
    let outcome = work();
    (STEPS.get() - before, outcome)
}

#[cfg(test)]
std::thread_local! {
    static PARSES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts an object that is parsed.
pub(crate) fn parsed<T>(declared: T) -> T {
    #[cfg(test)]
    PARSES.set(PARSES.get() + 1);
    declared
}

/// The objects that this parses, in this thread.
#[cfg(test)]
pub(crate) fn parses<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = PARSES.get();
    let outcome = work();
    (PARSES.get() - before, outcome)
}
