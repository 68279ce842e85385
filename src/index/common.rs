//! Values that many facts have in common, such as the namespace of an object, kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Below this many, values that are no longer in use are not looked for.
const FEW: usize = 64;

#[derive(Debug)]
pub(super) struct Common<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// How many there may be before those that are no longer in use are dropped.
    most: usize,
}

impl<T: ?Sized> Default for Common<T> {
    fn default() -> Self {
        Self { known: HashSet::new(), most: FEW }
    }
}

impl<T: ?Sized + Eq + Hash> Common<T> {
    /// Replaces a value by the known one that equals it; it is known from now on.
    pub(super) fn share(&mut self, value: &mut Arc<T>) {
        if let Some(known) = self.known.get(value) {
            *value = known.clone();
            return;
        }
        if self.known.len() >= self.most {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.most = FEW.max(2 * self.known.len());
        }
        self.known.insert(value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_become_one_and_those_out_of_use_are_dropped() {
        let mut common: Common<str> = Common::default();
        let (mut first, mut second): (Arc<str>, Arc<str>) = ("a".into(), "a".into());
        common.share(&mut first);
        common.share(&mut second);
        assert!(Arc::ptr_eq(&first, &second));
        for i in 0..10 * FEW {
            common.share(&mut i.to_string().into());
            assert!(common.known.len() <= FEW);
        }
        let mut third: Arc<str> = "a".into();
        common.share(&mut third);
        assert!(Arc::ptr_eq(&first, &third));
    }
}
