//! The cache of counters.

use std::collections::HashMap;
use std::hash::Hash;

/// Places the hand passes before it evicts the next entry, used or not.
const PATIENCE: u32 = 107;

/// A cache with the CLOCK replacement of repoze.lru 0.7: every use of an entry marks it; the hand
/// goes round, takes marks away, and puts the new entry in the first place without one.
#[derive(Clone, Debug)]
pub struct Clock<K, V> {
    places: Vec<Option<K>>,
    used: Vec<bool>,
    entries: HashMap<K, (usize, V)>,
    hand: usize,
}

impl<K: Copy + Eq + Hash, V> Clock<K, V> {
    /// Room for `size` entries, at least 1.
    pub fn new(size: usize) -> Self {
        Self { places: vec![None; size], used: vec![false; size], entries: HashMap::new(), hand: 0 }
    }

    /// The value of a key, which is marked as used.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        let (place, value) = self.entries.get(key)?;
        self.used[*place] = true;
        Some(value)
    }

    /// Sets the value of a key; if the key is new and there is no room, another one goes.
    pub fn put(&mut self, key: K, value: V) {
        if let Some((place, old)) = self.entries.get_mut(&key) {
            self.used[*place] = true;
            *old = value;
            return;
        }
        let mut passed = 0;
        while self.used[self.hand] {
            self.used[self.hand] = false;
            self.forward();
            passed += 1;
            if passed >= PATIENCE {
                self.used[self.hand] = false;
            }
        }
        if let Some(old) = self.places[self.hand].replace(key) {
            self.entries.remove(&old);
        }
        self.used[self.hand] = true;
        self.entries.insert(key, (self.hand, value));
        self.forward();
    }

    fn forward(&mut self) {
        self.hand = (self.hand + 1) % self.places.len();
    }
}
