//! Objects whose primaries share endpoints, joined: however many they are, that is one loss.
//!
//! A union-find over endpoints, so that the ten-thousandth object costs as little as the first.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Groups {
    of_endpoint: HashMap<u64, usize>,
    /// Of each group the one that it was joined to, itself where to none.
    parents: Vec<usize>,
    objects: Vec<usize>,
    largest: usize,
}

impl Groups {
    /// Adds an object. One without endpoints stands alone.
    pub(super) fn add(&mut self, endpoints: &[u64]) {
        let mut root = self.parents.len();
        self.parents.push(root);
        self.objects.push(1);
        for endpoint in endpoints {
            let there = *self.of_endpoint.entry(*endpoint).or_insert(root);
            let other = self.root(there);
            if other != root {
                // The smaller joins the larger: chains stay short.
                let (child, parent) = if self.objects[other] < self.objects[root] {
                    (other, root)
                } else {
                    (root, other)
                };
                self.parents[child] = parent;
                self.objects[parent] += self.objects[child];
                root = parent;
            }
        }
        self.largest = self.largest.max(self.objects[root]);
    }

    /// How many objects there are.
    pub(super) fn objects(&self) -> usize {
        self.parents.len()
    }

    /// How many objects the largest group has.
    pub(super) fn largest(&self) -> usize {
        self.largest
    }

    fn root(&self, mut group: usize) -> usize {
        while self.parents[group] != group {
            group = self.parents[group];
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest(objects: &[&[u64]]) -> usize {
        let mut groups = Groups::default();
        objects.iter().for_each(|endpoints| groups.add(endpoints));
        groups.largest()
    }

    #[test]
    fn objects_are_joined_by_any_endpoint_that_they_share_also_through_others() {
        assert_eq!(largest(&[]), 0);
        assert_eq!(largest(&[&[1], &[2], &[3]]), 1);
        assert_eq!(largest(&[&[1, 2], &[3, 4], &[2, 3]]), 3);
        assert_eq!(largest(&[&[1], &[], &[], &[1, 1]]), 2);
    }
}
