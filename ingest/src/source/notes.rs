//! Things noticed that harm nothing, counted by kind with one example each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of what was noticed. The example kept of each kind is the smallest in byte order, so that
/// the notes do not depend on the order of discovery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes {
    kinds: BTreeMap<String, (u64, String)>,
}

impl Notes {
    /// Counts one thing of a kind, such as `files not understood`.
    pub(crate) fn add(&mut self, kind: &str, example: &str) {
        self.add_many(kind, 1, example);
    }

    /// Adds the counts of other notes.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (kind, (count, example)) in &other.kinds {
            self.add_many(kind, *count, example);
        }
    }

    /// One sentence for each kind.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(kind, (count, example)): (&String, &(u64, String))| {
            format!("{kind}: {count}, such as {example}")
        };
        self.kinds.iter().map(line).collect()
    }

    fn add_many(&mut self, kind: &str, count: u64, example: &str) {
        match self.kinds.get_mut(kind) {
            Some((sum, smallest)) => {
                *sum += count;
                if example < smallest.as_str() {
                    example.clone_into(smallest);
                }
            }
            None => {
                self.kinds
                    .insert(kind.to_owned(), (count, example.to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_do_not_depend_on_the_order_of_discovery() {
        let (mut a, mut b) = (Notes::default(), Notes::default());
        for name in ["x", "c", "m"] {
            a.add("files not understood", name);
        }
        for name in ["m", "x"] {
            b.add("files not understood", name);
        }
        let mut rest = Notes::default();
        rest.add("files not understood", "c");
        b.merge(&rest);
        assert_eq!(a, b);
        assert_eq!(a.lines(), ["files not understood: 3, such as c"]);
    }
}
