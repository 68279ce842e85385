//! Weights by the name of a backend. A set has few backends and there are many sets, so that a map of nodes
//! would take several times the room.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Weights by backend name, in the order of the names.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weights(Vec<(String, u32)>);

impl Weights {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// The weight of a backend.
    pub fn get(&self, name: &str) -> Option<&u32> {
        self.place(name).ok().map(|place| &self.0[place].1)
    }

    /// Whether a backend has one.
    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Sets the weight of a backend. Returns the one that it had.
    pub fn insert(&mut self, name: String, weight: u32) -> Option<u32> {
        match self.place(&name) {
            Ok(place) => Some(std::mem::replace(&mut self.0[place].1, weight)),
            Err(place) => {
                self.0.insert(place, (name, weight));
                None
            }
        }
    }

    /// Each backend with its weight.
    pub fn iter(&self) -> Pairs<'_> {
        self.into_iter()
    }

    /// The names of the backends.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &String> + Clone {
        self.0.iter().map(|(name, _)| name)
    }

    /// The weights alone.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &u32> + Clone {
        self.0.iter().map(|(_, weight)| weight)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(there, _)| there.as_str().cmp(name))
    }
}

/// Of two weights of one name the later one counts.
impl FromIterator<(String, u32)> for Weights {
    fn from_iter<T: IntoIterator<Item = (String, u32)>>(weights: T) -> Self {
        let mut weights: Vec<(String, u32)> = weights.into_iter().collect();
        weights.sort_by(|(one, _), (other, _)| one.cmp(other));
        weights.reverse();
        weights.dedup_by(|(earlier, _), (later, _)| earlier == later);
        weights.reverse();
        weights.shrink_to_fit();
        Self(weights)
    }
}

impl<const N: usize> From<[(String, u32); N]> for Weights {
    fn from(weights: [(String, u32); N]) -> Self {
        weights.into_iter().collect()
    }
}

impl IntoIterator for Weights {
    type Item = (String, u32);
    type IntoIter = std::vec::IntoIter<(String, u32)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Each backend with its weight.
type Pairs<'a> = std::iter::Map<
    std::slice::Iter<'a, (String, u32)>,
    fn(&'a (String, u32)) -> (&'a String, &'a u32),
>;

impl<'a> IntoIterator for &'a Weights {
    type Item = (&'a String, &'a u32);
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.0.iter().map(|(name, weight)| (name, weight))
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Weights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(map: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Weights;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of weights")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Weights, M::Error> {
                let mut weights = vec![];
                while let Some(weight) = map.next_entry()? {
                    weights.push(weight);
                }
                Ok(weights.into_iter().collect())
            }
        }

        map.deserialize_map(Map)
    }
}

#[cfg(test)]
impl std::ops::Index<&str> for Weights {
    type Output = u32;

    fn index(&self, name: &str) -> &u32 {
        self.get(name).expect("a backend of this name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Whatever is done with it, it is a map in the order of its names.
        #[test]
        fn it_is_a_map_by_name(pairs in proptest::collection::vec(("[a-c]{1,2}", 0_u32..9), 0..12)) {
            let map: BTreeMap<String, u32> = pairs.iter().cloned().collect();
            let collected: Weights = pairs.iter().cloned().collect();
            let mut inserted = Weights::new();
            let mut in_map = BTreeMap::new();
            for (name, weight) in pairs {
                prop_assert_eq!(inserted.insert(name.clone(), weight), in_map.insert(name, weight));
            }
            prop_assert_eq!(&collected, &inserted);
            prop_assert!(collected.iter().eq(map.iter()));
            for name in ["a", "b", "cc", "zz"] {
                prop_assert_eq!(collected.get(name), map.get(name));
            }
            let text = serde_json::to_string(&map).unwrap();
            prop_assert_eq!(serde_json::to_string(&collected).unwrap(), text.as_str());
            prop_assert_eq!(serde_json::from_str::<Weights>(&text).unwrap(), collected);
        }
    }
}
