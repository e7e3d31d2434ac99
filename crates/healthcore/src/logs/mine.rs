//! Groups messages by their pattern while they stream past.
//!
//! Drain (He, Zhu, Zheng, Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017): a tree of fixed
//! depth leads from the number of words and the first words of a message to a few groups, of which the most similar takes
//! it. Similarity is the share of words that are equal at the same place. Words that differ become `<*>`.

use std::collections::HashMap;

use super::mask::ANY;
use crate::time::Timestamp;

/// Groups that are kept at once; the rarest makes room for a new one.
const GROUPS: usize = 256;
/// Words of a message that are compared.
const WORDS: usize = 40;
/// First words that lead through the tree, beside the number of words.
const DEPTH: usize = 1;
/// Smallest share of equal words of a message that joins a group.
const SIMILAR: f64 = 0.5;
/// Characters of a pattern that are shown.
const SHOWN: usize = 240;

/// The groups of a stream of messages.
#[derive(Debug, Default)]
pub(super) struct Miner {
    /// Groups below each leaf of the tree.
    leaves: HashMap<u64, Vec<usize>>,
    groups: Vec<Group>,
    /// Messages so far; tells which group was used last.
    seen: u64,
    /// Where the words of the message at hand begin and end.
    words: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Group {
    words: Vec<Box<[u8]>>,
    leaf: u64,
    used: u64,
    found: Found,
}

/// What is known of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) count: u64,
    pub(super) fatal: bool,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

impl Miner {
    /// Takes in a masked message.
    pub(super) fn add(&mut self, message: &[u8], fatal: bool, at: Option<Timestamp>) {
        self.seen += 1;
        split(message, &mut self.words);
        let leaf = leaf(message, &self.words);
        let group = self.similar(message, leaf).unwrap_or_else(|| self.make(message, leaf));
        let group = &mut self.groups[group];
        group.used = self.seen;
        group.found.count += 1;
        group.found.fatal |= fatal;
        group.found.first = [group.found.first, at].into_iter().flatten().min();
        group.found.last = group.found.last.max(at);
    }

    /// The most similar group of the leaf, generalized so that the message fits.
    fn similar(&mut self, message: &[u8], leaf: u64) -> Option<usize> {
        let word = |at: usize| {
            let (from, to) = self.words[at];
            &message[from..to]
        };
        let mut best: Option<(usize, usize)> = None;
        for at in self.leaves.get(&leaf)? {
            let words = &self.groups[*at].words;
            let equal = words.iter().enumerate().filter(|(i, own)| &***own == word(*i)).count();
            if best.is_none_or(|(most, _)| equal > most) {
                best = Some((equal, *at));
            }
            if equal == self.words.len() {
                return Some(*at);
            }
        }
        let (equal, at) = best.filter(|(equal, _)| *equal as f64 >= SIMILAR * self.words.len() as f64)?;
        debug_assert!(equal < self.words.len());
        for (i, own) in self.groups[at].words.iter_mut().enumerate() {
            let (from, to) = self.words[i];
            if **own != message[from..to] && **own != *ANY {
                *own = ANY.into();
            }
        }
        Some(at)
    }

    fn make(&mut self, message: &[u8], leaf: u64) -> usize {
        let words = self.words.iter().map(|(from, to)| message[*from..*to].into()).collect();
        let found = Found { text: String::new(), count: 0, fatal: false, first: None, last: None };
        let group = Group { words, leaf, used: self.seen, found };
        let at = if self.groups.len() < GROUPS {
            self.groups.push(group);
            self.groups.len() - 1
        } else {
            let rarest = self.groups.iter().enumerate().min_by_key(|(_, g)| (g.found.count, g.used));
            let at = rarest.map_or(0, |(at, _)| at);
            let gone = std::mem::replace(&mut self.groups[at], group);
            if let Some(others) = self.leaves.get_mut(&gone.leaf) {
                others.retain(|own| *own != at);
                if others.is_empty() {
                    self.leaves.remove(&gone.leaf);
                }
            }
            at
        };
        self.leaves.entry(leaf).or_default().push(at);
        at
    }

    /// The most frequent patterns, the most frequent first.
    pub(super) fn most(&self, number: usize) -> Vec<Found> {
        // Groups that became the same pattern count as one.
        let mut by_text: HashMap<String, Found> = HashMap::new();
        for group in &self.groups {
            let text = shown(&group.words);
            let of = by_text.entry(text.clone());
            of.and_modify(|known| {
                known.count += group.found.count;
                known.fatal |= group.found.fatal;
                known.first = [known.first, group.found.first].into_iter().flatten().min();
                known.last = known.last.max(group.found.last);
            })
            .or_insert_with(|| Found { text, ..group.found.clone() });
        }
        let mut all: Vec<Found> = by_text.into_values().collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
        all.truncate(number);
        all
    }
}

fn split(message: &[u8], words: &mut Vec<(usize, usize)>) {
    words.clear();
    let mut from = 0;
    for at in memchr::memchr_iter(b' ', message).chain([message.len()]) {
        if at > from && words.len() < WORDS {
            words.push((from, at));
        }
        from = at + 1;
    }
}

/// The leaf of the tree to which the number of words and the first words lead (FNV-1a). A word that changes leads where any
/// word leads.
fn leaf(message: &[u8], words: &[(usize, usize)]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    eat(words.len() as u8);
    for (from, to) in words.iter().take(DEPTH) {
        let word = &message[*from..*to];
        let changes = memchr::memchr_iter(ANY[0], word).any(|at| word[at..].starts_with(ANY));
        let word = if changes { ANY } else { word };
        word.iter().copied().for_each(&mut eat);
        eat(b' ');
    }
    hash
}

/// A pattern for a reader: without what stands before its first word, and not too long.
fn shown(words: &[Box<[u8]>]) -> String {
    let speaks = |word: &[u8]| word.iter().any(|b| b.is_ascii_alphabetic() || *b >= 0x80);
    let from = words.iter().position(|w| speaks(w)).unwrap_or(0);
    let text: Vec<_> = words[from..].iter().map(|w| String::from_utf8_lossy(w)).collect();
    let text = text.join(" ");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mined<'m>(messages: impl IntoIterator<Item = &'m str>) -> Vec<(String, u64)> {
        let mut miner = Miner::default();
        messages.into_iter().for_each(|m| miner.add(m.as_bytes(), false, None));
        miner.most(20).into_iter().map(|f| (f.text, f.count)).collect()
    }

    #[test]
    fn messages_that_differ_in_a_word_are_one_pattern() {
        let found = mined([
            "user alice may not read the ledger",
            "user bob may not read the ledger",
            "user carol may not read the journal",
            "cannot reach the broker",
        ]);
        assert_eq!(
            found,
            [("user <*> may not read the <*>".to_owned(), 3), ("cannot reach the broker".to_owned(), 1)]
        );
    }

    #[test]
    fn messages_of_other_length_or_words_are_others() {
        assert_eq!(mined(["disk full", "disk full now", "queue full"]).len(), 3);
    }

    #[test]
    fn a_flood_is_found_among_very_many_single_messages() {
        let mut miner = Miner::default();
        for i in 0..50_000_u32 {
            let noise: String = i.to_string().bytes().map(|d| char::from(b'a' + (d - b'0'))).collect();
            miner.add(format!("{noise} {noise} broke").as_bytes(), false, None);
            if i % 5 == 0 {
                miner.add(b"cannot reach the broker", i == 5, Some(Timestamp(i64::from(i))));
            }
        }
        let first = miner.most(1).remove(0);
        assert_eq!(
            (first.text.as_str(), first.count, first.fatal),
            ("cannot reach the broker", 10_000, true)
        );
        assert_eq!((first.first, first.last), (Some(Timestamp(0)), Some(Timestamp(49_995))));
        assert!(miner.groups.len() <= GROUPS && miner.leaves.len() <= GROUPS);
    }

    #[test]
    fn patterns_are_short_and_begin_with_a_word() {
        let long = format!("<*> [<*>] {}", "word ".repeat(100));
        let text = mined([long.as_str()]).remove(0).0;
        assert!(text.starts_with("word word") && text.chars().count() <= SHOWN + 1, "{text}");
        assert_eq!(mined([""]), [(String::new(), 1)]);
    }
}
