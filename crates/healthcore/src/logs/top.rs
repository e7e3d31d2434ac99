//! The most frequent names of a stream in constant memory.

use std::collections::HashMap;

/// Names that are counted at once.
const NAMES: usize = 48;
/// Bytes of a name that are kept.
const LONGEST: usize = 120;

/// Counts names by the Space-Saving algorithm (Metwally, Agrawal, El Abbadi 2005): a name that is not yet counted takes the
/// place of the rarest, and its count. A name that makes up more than one in [`NAMES`] of all is always among them.
#[derive(Debug, Clone, Default)]
pub(super) struct Top {
    at: HashMap<Box<[u8]>, usize>,
    counted: Vec<Counted>,
    /// The place of the name before: names come in floods.
    last: usize,
}

#[derive(Debug, Clone)]
struct Counted {
    name: Box<[u8]>,
    count: u64,
    /// What it took over from the name before; `count` is too large by this at most.
    inherited: u64,
}

impl Top {
    /// Counts a name; an empty one is none.
    pub(super) fn add(&mut self, name: &[u8]) {
        let name = &name[..name.len().min(LONGEST)];
        if name.is_empty() {
            return;
        }
        if let Some(last) = self.counted.get_mut(self.last).filter(|last| *last.name == *name) {
            last.count += 1;
        } else if let Some(at) = self.at.get(name) {
            self.counted[*at].count += 1;
            self.last = *at;
        } else if self.counted.len() < NAMES {
            self.at.insert(name.into(), self.counted.len());
            self.counted.push(Counted { name: name.into(), count: 1, inherited: 0 });
        } else {
            let (at, rarest) =
                self.counted.iter_mut().enumerate().min_by_key(|(_, c)| c.count).expect("there are names");
            self.at.remove(&rarest.name);
            *rarest = Counted { name: name.into(), count: rarest.count + 1, inherited: rarest.count };
            self.at.insert(name.into(), at);
        }
    }

    /// Names with their counts, the most frequent first; counts are lower bounds.
    pub(super) fn most(&self, number: usize) -> Vec<(String, u64)> {
        let sure = |c: &Counted| (String::from_utf8_lossy(&c.name).into_owned(), c.count - c.inherited);
        let mut all: Vec<_> = self.counted.iter().map(sure).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(number);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequent_name_is_found_among_very_many() {
        let mut top = Top::default();
        for i in 0..100_000_u32 {
            top.add(format!("10.0.{}.{}", i % 251, i % 241).as_bytes());
            if i % 10 == 0 {
                top.add(b"apm:8200");
            }
        }
        let (name, count) = top.most(1).remove(0);
        assert_eq!(name, "apm:8200");
        assert!((8_000..=10_000).contains(&count), "{count}");
    }

    #[test]
    fn few_names_are_counted_exactly() {
        let mut top = Top::default();
        for name in ["b", "a", "b", ""] {
            top.add(name.as_bytes());
        }
        assert_eq!(top.most(9), [("b".to_owned(), 2), ("a".to_owned(), 1)]);
    }
}
