//! Times of lines, of which most are of the same minute.

use crate::time::Timestamp;

/// Bytes of a time up to its minute: `2026-11-20T01:00`.
const MINUTE: usize = 16;

/// Reads times of RFC 3339, and remembers the minute.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The minute as it is written, and its instant in Unix milliseconds.
    minute: Option<([u8; MINUTE], i64)>,
}

impl Clock {
    /// The instant of a time; none where it is none.
    pub(super) fn read(&mut self, written: &[u8]) -> Option<Timestamp> {
        let Some((minute, within)) = milliseconds(written) else { return parse(written) };
        if let Some((known, at)) = self.minute
            && known == *minute
        {
            return Some(Timestamp(at + within));
        }
        let read = parse(written)?;
        // Before 1970 milliseconds are cut towards zero, and not down.
        self.minute = (read.0 >= 60_000).then_some((*minute, read.0 - within));
        Some(read)
    }
}

fn parse(written: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(written).ok()?;
    Some(Timestamp(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}

/// The minute of a time in UTC as runtimes write it (`2026-11-20T01:00:00.123456789Z`), and the milliseconds in it.
fn milliseconds(written: &[u8]) -> Option<(&[u8; MINUTE], i64)> {
    let (minute, rest) = written.split_first_chunk::<MINUTE>()?;
    let [b':', tens @ b'0'..=b'5', ones @ b'0'..=b'9', fraction @ .., b'Z'] = rest else { return None };
    let seconds = i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    let digits = match fraction {
        [] => &[][..],
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
            digits
        }
        _ => return None,
    };
    let place = |at: usize| digits.get(at).map_or(0, |digit| i64::from(digit - b'0'));
    Some((minute, seconds * 1000 + place(0) * 100 + place(1) * 10 + place(2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_without_memory() {
        let mut clock = Clock::default();
        for text in [
            "2026-11-20T01:00:59.123456789Z",
            "2026-11-20T01:00:00Z",
            "2026-11-20T01:00:00.9Z",
            "2026-11-20T01:00:07.05Z",
            "2026-11-20T01:01:00.999999999Z",
            "2026-11-20T01:01:60Z",
            "2026-11-20T01:01:00+02:00",
            "2026-11-20T01:01:00.1234567890Z",
            "2026-11-20T01:01:00.Z",
            "2026-11-20T01:01:xxZ",
            "2026-13-20T01:01:00Z",
            "1969-12-31T23:59:59.9999Z",
            "1969-12-31T23:59:58.0001Z",
            "1970-01-01T00:00:00.5Z",
            "",
            "Z",
        ] {
            assert_eq!(clock.read(text.as_bytes()), parse(text.as_bytes()), "{text}");
        }
        assert_eq!(clock.read(b"2026-11-20T01:01:00.5Z"), Some(Timestamp(1_795_136_460_500)));
    }

    proptest! {
        #[test]
        fn any_time_is_read_as_without_memory(seconds in prop::collection::vec((0i64..200, 0i32..1_000_000_000, 0usize..10), 1..20)) {
            let mut clock = Clock::default();
            for (second, nanosecond, digits) in seconds {
                let at = jiff::Timestamp::new(1_795_136_400 + second, nanosecond).unwrap();
                let text = format!("{at:.digits$}");
                prop_assert_eq!(clock.read(text.as_bytes()), parse(text.as_bytes()), "{}", text);
            }
        }
    }
}
