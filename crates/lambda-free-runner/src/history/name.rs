//! Names of the objects of the history: `CLUSTER-HASH/20261120T010000Z-HASH.ndjson.zst`.
//!
//! The time is that of the data, so names sort as the runs do. The hash is that of the content: the same run has the
//! same name wherever and however often it is written, and two different runs at the same second have two names.

use healthcore::time::Timestamp;

const ENDING: &str = ".ndjson.zst";

/// Folder of a cluster: its name as far as any store takes it, and a hash that tells names apart that look alike.
pub(super) fn folder(cluster: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' };
    let readable: String = cluster.chars().take(40).map(plain).collect();
    format!("{readable}-{:08x}", fnv1a(cluster.as_bytes()) & 0xffff_ffff)
}

/// Name of a run in the folder of its cluster.
pub(super) fn object(taken_at: Timestamp, content: &[u8]) -> String {
    let time =
        jiff::Timestamp::from_second(taken_at.unix_seconds()).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ");
    format!("{time}-{:016x}{ENDING}", fnv1a(content))
}

/// When the run of a name was taken; none for anything else that lies there.
pub(super) fn taken_at(name: &str) -> Option<Timestamp> {
    let (time, hash) = name.strip_suffix(ENDING)?.split_once('-')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok().filter(|_| is_hash)?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_unix_seconds(time.timestamp().as_second()))
}

/// 64-bit FNV-1a (Fowler, Noll, Vo).
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_and_sort_by_time() {
        let at = Timestamp::from_unix_seconds(1_795_136_400);
        let name = object(at, b"a");
        assert_eq!(name, "20261120T010000Z-af63dc4c8601ec8c.ndjson.zst");
        assert_eq!(taken_at(&name), Some(at));
        assert!(object(at.plus_seconds(1.0), b"a") > name);
        assert_ne!(object(at, b"b"), name);
    }

    #[test]
    fn other_names_are_no_runs() {
        for name in [
            "README.md",
            "20261120T010000Z-af63dc4c8601ec8c.ndjson",
            "20261320T010000Z-af63dc4c8601ec8c.ndjson.zst",
            "",
        ] {
            assert_eq!(taken_at(name), None, "{name}");
        }
    }

    #[test]
    fn folders_are_safe_and_told_apart() {
        assert_eq!(folder("prod"), "prod-3537be14");
        assert_eq!(folder("../../etc/passwd")[..16], *"------etc-passwd");
        assert_ne!(folder("A"), folder("a"));
        assert_ne!(folder("東京"), folder("台北"));
    }
}
