//! Groups messages by their pattern while they stream past.
//!
//! Drain (He, Zhu, Zheng, Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017): a tree of fixed
//! depth leads from the number of words and the first word of a message to a few groups, of which the most similar takes
//! it. Similarity is the share of words that are equal at the same place. Words that differ become `<*>`. Only words with
//! letters count, in the tree and for similarity: punctuation and numbers that are masked are equal in every message.
//!
//! Groups are counted by the Space-Saving algorithm (Metwally, Agrawal, El Abbadi 2005), so that a pattern that makes up more
//! than one in [`GROUPS`] of all messages is found whenever it begins.

use std::collections::HashMap;

use super::mask::ANY;
use crate::time::Timestamp;

/// Groups that are kept at once; the rarest makes room for a new one, which takes over its count.
const GROUPS: usize = 256;
/// Words of a message that are compared.
const WORDS: usize = 40;
/// Smallest share of equal words of a message that joins a group.
const SIMILAR: f64 = 0.5;
/// Characters of a pattern that are shown.
const SHOWN: usize = 240;

/// The groups of a stream of messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Miner {
    /// Groups below each leaf of the tree.
    leaves: HashMap<u64, Vec<usize>>,
    groups: Vec<Group>,
    /// Messages so far; tells which group was used last.
    seen: u64,
    /// Where the words of the message at hand begin and end.
    words: Vec<(usize, usize)>,
}

#[derive(Debug, Clone)]
struct Group {
    words: Vec<Box<[u8]>>,
    leaf: u64,
    used: u64,
    /// What it took over from the group before; what it is ranked by is larger than its count by this.
    inherited: u64,
    found: Found,
}

impl Group {
    /// Messages at most, by which it is ranked.
    const fn rank(&self) -> u64 {
        self.inherited + self.found.count
    }
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
        let mut best: Option<(f64, usize)> = None;
        for at in self.leaves.get(&leaf)? {
            let words = &self.groups[*at].words;
            // A leaf is a hash, and others may have the same.
            if words.len() != self.words.len() {
                continue;
            }
            if words.iter().enumerate().all(|(i, own)| **own == *word(i)) {
                return Some(*at);
            }
            let similar = similarity(words.iter().enumerate().map(|(i, own)| (&**own, word(i))));
            if best.is_none_or(|(most, _)| similar > most) {
                best = Some((similar, *at));
            }
        }
        let (_, at) = best.filter(|(similar, _)| *similar >= SIMILAR)?;
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
        let mut group = Group { words, leaf, used: self.seen, inherited: 0, found };
        let at = if self.groups.len() < GROUPS {
            self.groups.push(group);
            self.groups.len() - 1
        } else {
            let rarest = self.groups.iter().enumerate().min_by_key(|(_, g)| (g.rank(), g.used));
            let at = rarest.map_or(0, |(at, _)| at);
            group.inherited = self.groups[at].rank();
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

    /// The most frequent patterns, the most frequent first; counts are lower bounds.
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

/// The leaf of the tree to which the number of words and the first word with letters lead (FNV-1a); one with a part that
/// changes leads nowhere.
fn leaf(message: &[u8], words: &[(usize, usize)]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    eat(words.len() as u8);
    let changes = |word: &[u8]| memchr::memchr_iter(ANY[0], word).any(|at| word[at..].starts_with(ANY));
    let mut speaking = words.iter().map(|(from, to)| &message[*from..*to]).filter(|word| speaks(word));
    if let Some(word) = speaking.find(|word| !changes(word)) {
        word.iter().copied().for_each(&mut eat);
    }
    hash
}

/// Whether a word has letters.
fn speaks(word: &[u8]) -> bool {
    word.iter().any(|b| b.is_ascii_alphabetic() || *b >= 0x80)
}

/// The share of words that are equal, of the places where one of the two has letters; 0 where none has.
fn similarity<'w>(pairs: impl Iterator<Item = (&'w [u8], &'w [u8])>) -> f64 {
    let (mut equal, mut all) = (0_u32, 0_u32);
    for (one, other) in pairs.filter(|(one, other)| speaks(one) || speaks(other)) {
        all += 1;
        equal += u32::from(one == other);
    }
    f64::from(equal) / f64::from(all.max(1))
}

/// A pattern for a reader: without what stands before its first word, and not too long.
fn shown(words: &[Box<[u8]>]) -> String {
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

    /// Two words that were searched for: with the numbers of words their leaves have one hash.
    #[test]
    fn leaves_with_one_hash_stay_apart() {
        for messages in [["nEcvjjahzpsFa x", "eaunCusloejfh"], ["eaunCusloejfh", "nEcvjjahzpsFa x"]] {
            let mut miner = Miner::default();
            let leaves = messages.map(|message| {
                miner.add(message.as_bytes(), false, None);
                leaf(message.as_bytes(), &miner.words)
            });
            assert_eq!(leaves[0], leaves[1], "the words still collide");
            assert_eq!(mined(messages).len(), 2);
        }
    }

    /// Masked numbers and punctuation are equal in all messages, and say nothing.
    #[test]
    fn what_says_nothing_makes_no_two_messages_alike() {
        let found = mined([
            "<*> --- [nio-<*>-exec-<*>] Cart : payment failed",
            "<*> --- [nio-<*>-exec-<*>] Order : disk full",
            "<*> --- [nio-<*>-exec-<*>] Auth : token expired",
        ]);
        assert_eq!(found.len(), 3, "{found:?}");
        // Nor where the tree does not tell them apart already.
        assert_eq!(mined(["<*> --- shop : payment failed", "<*> --- shop : disk full"]).len(), 2);
        assert_eq!(mined(["<*> <*> - failed: alice", "<*> <*> - unreachable: bob"]).len(), 2);
        // What is the same but for numbers is one.
        assert_eq!(mined(["order <*> <*> <*>"; 3]).len(), 1);
        assert_eq!(mined(["<*> <*>"; 3]), [("<*> <*>".to_owned(), 3)]);
        assert_eq!(
            mined(["lease <*> <*> <*> of alice", "lease <*> <*> <*> of bob", "lease <*> <*> <*> of carol"]),
            [("lease <*> <*> <*> of <*>".to_owned(), 3)]
        );
    }

    /// Two errors that take turns after the groups are full once drove each other out.
    #[test]
    fn a_late_flood_of_two_errors_is_found() {
        let letters =
            |n: u32| -> String { n.to_string().bytes().map(|d| char::from(b'a' + (d - b'0'))).collect() };
        let mut miner = Miner::default();
        // All groups have more messages than a new one.
        for i in 0..20_000_u32 {
            let noise = letters(i);
            (0..2).for_each(|_| miner.add(format!("{noise} {noise} broke").as_bytes(), false, None));
        }
        for _ in 0..5_000 {
            miner.add(b"cannot reach the broker", false, None);
            miner.add(b"payment refused by bank", false, None);
        }
        let found: Vec<_> = miner.most(2).into_iter().map(|f| (f.text, f.count)).collect();
        let flood = |text: &str| (text.to_owned(), 5_000);
        assert_eq!(found, [flood("cannot reach the broker"), flood("payment refused by bank")]);
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
