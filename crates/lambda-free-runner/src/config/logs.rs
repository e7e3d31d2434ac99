//! What the file says of logs.

use std::time::Duration;

use healthcore::unit::{Bytes, Seconds};
use healthcore_sources::logs::LogSettings;

use super::tree::Node;

pub(crate) const LOGS: &[&str] = &["lookback", "pods", "bytes-of-container", "bytes", "time"];

pub(super) fn logs(node: &Node<'_>) -> Result<LogSettings, String> {
    let mut out = LogSettings::default();
    for (key, value) in node.map(LOGS)? {
        match key {
            "lookback" => {
                out.lookback = within(&value, Seconds::from_minutes(1.0), Seconds::from_days(30.0))?;
            }
            "pods" => out.pods = within(&value, 1_u32, 1000)? as usize,
            "bytes-of-container" => out.container = within(&value, LEAST, MOST)?,
            "bytes" => out.total = within(&value, LEAST, MOST)?,
            _ => {
                let time = within(&value, Seconds(1.0), Seconds::from_hours(1.0))?;
                out.time = Duration::from_secs_f64(time.get());
            }
        }
    }
    Ok(out)
}

const LEAST: Bytes = Bytes(65_536.0);
const MOST: Bytes = Bytes(1_099_511_627_776.0);

fn within<P: healthcore::params::Param + PartialOrd>(node: &Node<'_>, low: P, high: P) -> Result<P, String> {
    let value: P = node.read()?;
    healthcore::params::within(&value, &node.text()?, &(low..=high))
        .map_err(|why| format!("{}: {why}", node.path()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    fn read(text: &str) -> Result<LogSettings, String> {
        logs(&Node::root(&tree::parse(text)?))
    }

    #[test]
    fn bounds_of_reading() {
        let found = read("{lookback: 6h, pods: 2, bytes-of-container: 1Mi, bytes: 64Mi, time: 30s}").unwrap();
        assert_eq!((found.lookback, found.pods), (Seconds::from_hours(6.0), 2));
        assert_eq!((found.container, found.total), (Bytes::from_mib(1.0), Bytes::from_mib(64.0)));
        assert_eq!(found.time, Duration::from_secs(30));
        assert_eq!(read("").unwrap(), LogSettings::default());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("{pods: 0}", "pods: expected a whole number from `1` to `1000`, got `0`"),
            ("{time: 2d}", "from `1s` to `1h`, got `2d`"),
            ("{bytes: 3}", "from `64Ki` to `1Ti`, got `3`"),
            ("{look-back: 3h}", "look-back: unknown key, did you mean `lookback`?"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
