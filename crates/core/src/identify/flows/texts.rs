//! Names seen in flows, each kept once.

use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of text that are kept, with 64 for each; names beyond are not, and counted.
pub const MAX_TEXT: usize = 128 << 20;

/// Texts by number; 0 is none.
#[derive(Debug, Default)]
pub struct Texts {
    list: Vec<Arc<str>>,
    known: HashMap<Arc<str>, u32>,
    bytes: usize,
    left_out: u64,
}

impl Texts {
    /// The number of a text; 0 for an empty one, or when there is no room.
    pub fn put(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&number) = self.known.get(text) {
            return number;
        }
        if self.bytes + text.len() + 64 > MAX_TEXT {
            self.left_out += 1;
            return 0;
        }
        self.bytes += text.len() + 64;
        let text: Arc<str> = text.into();
        self.list.push(text.clone());
        let number = self.list.len() as u32;
        self.known.insert(text, number);
        number
    }

    /// The text of a number.
    pub fn get(&self, number: u32) -> Option<&str> {
        self.list.get((number as usize).checked_sub(1)?).map(|text| &**text)
    }

    /// Texts for which there was no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}
