//! Levels, and the many words for them.

/// How urgent a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A detail for developers.
    Debug,
    /// A note.
    Info,
    /// A warning.
    Warning,
    /// An error.
    Error,
    /// The process or a part of it cannot go on.
    Fatal,
}

/// Bytes of the longest word for a level.
const LONGEST: usize = 11;

impl Level {
    /// The level that a word names, in any case.
    #[must_use]
    pub(super) fn from_word(word: &[u8]) -> Option<Self> {
        if !(3..=LONGEST).contains(&word.len()) {
            return None;
        }
        let mut lower = [0; LONGEST];
        let lower = &mut lower[..word.len()];
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        match &*lower {
            b"trace" | b"trc" | b"trce" | b"debug" | b"dbg" | b"dbug" | b"fine" | b"finer" | b"finest"
            | b"verbose" => Some(Self::Debug),
            b"info" | b"inf" | b"notice" | b"information" | b"log" => Some(Self::Info),
            b"warn" | b"warning" | b"wrn" => Some(Self::Warning),
            b"error" | b"err" | b"eror" | b"severe" | b"fail" => Some(Self::Error),
            b"fatal" | b"ftl" | b"critical" | b"crit" | b"crt" | b"alert" | b"emerg" | b"emergency"
            | b"panic" | b"pnc" | b"dpanic" => Some(Self::Fatal),
            _ => None,
        }
    }

    /// The level that one letter names, as klog, glog and MongoDB write it.
    pub(super) const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'D' => Some(Self::Debug),
            b'I' => Some(Self::Info),
            b'W' => Some(Self::Warning),
            b'E' => Some(Self::Error),
            b'F' => Some(Self::Fatal),
            _ => None,
        }
    }

    /// The level of a number as bunyan and pino write it: 10 for the smallest detail to 60 for fatal.
    pub(super) const fn from_tens(number: u32) -> Option<Self> {
        match number {
            10..=29 => Some(Self::Debug),
            30..=39 => Some(Self::Info),
            40..=49 => Some(Self::Warning),
            50..=59 => Some(Self::Error),
            60..=69 => Some(Self::Fatal),
            _ => None,
        }
    }

    /// The level of a severity of syslog (RFC 5424, section 6.2.1): 0 for an emergency to 7 for debugging.
    pub(super) const fn from_syslog(severity: u32) -> Option<Self> {
        match severity {
            0..=2 => Some(Self::Fatal),
            3 => Some(Self::Error),
            4 => Some(Self::Warning),
            5 | 6 => Some(Self::Info),
            7 => Some(Self::Debug),
            _ => None,
        }
    }

    /// Whether messages of the level are errors.
    pub(super) fn is_error(self) -> bool {
        self >= Self::Error
    }
}
