//! Cuts a stream of bytes into lines, of which the beginnings are kept.

use memchr::memchr;

/// Bytes of a line that are looked at; the rest is passed over.
pub(super) const LONGEST_LINE: usize = 16 * 1024;

/// The part of a line that has arrived so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
    /// Whether bytes of a line have arrived and its end has not.
    open: bool,
}

impl Lines {
    /// Gives every line that ends in `bytes` to `each`, without its line end.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = memchr(b'\n', bytes) {
            let line = &bytes[..end];
            if self.open {
                self.keep(line);
                each(trimmed(&self.begun));
                self.begun.clear();
                self.open = false;
            } else {
                each(trimmed(&line[..line.len().min(LONGEST_LINE)]));
            }
            bytes = &bytes[end + 1..];
        }
        if !bytes.is_empty() {
            self.open = true;
            self.keep(bytes);
        }
    }

    /// The last line, when nothing ends it.
    pub(super) fn end(&mut self, each: impl FnOnce(&[u8])) {
        if std::mem::take(&mut self.open) {
            each(trimmed(&self.begun));
            self.begun.clear();
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| out.push(line.to_vec()));
        }
        lines.end(|line| out.push(line.to_vec()));
        out
    }

    #[test]
    fn a_line_of_10_mb_is_cut_and_the_next_is_whole() {
        let long = vec![b'x'; 10 << 20];
        let chunks: Vec<&[u8]> = long.chunks(8192).chain([&b"\nnext\r\n\nlast"[..]]).collect();
        let out = cut(&chunks);
        assert_eq!(out.iter().map(Vec::len).collect::<Vec<_>>(), [LONGEST_LINE, 4, 0, 4]);
        assert_eq!(out[3], b"last");
    }

    proptest! {
        #[test]
        fn where_chunks_end_does_not_matter(text in prop::collection::vec(prop::sample::select(&b"ab\r\n\xff"[..]), 0..60), at in 0usize..60) {
            let at = at.min(text.len());
            prop_assert_eq!(cut(&[&text[..at], &text[at..]]), cut(&[&text]));
        }
    }
}
