//! Quantities for readers: units and decimals.

use healthcore::finding::Value;
use healthcore::time::Timestamp;
use healthcore::unit::{Bytes, Cores};

/// A value as it is written in a manifest, in the largest unit that is exact: `2Gi`, `2368Mi`, `500m`; none for what no
/// manifest holds.
pub(crate) fn setting(value: &Value) -> Option<String> {
    match value {
        Value::Bytes(v) => Some(Bytes(*v).to_string()),
        Value::Cores(v) => Some(Cores(*v).to_string()),
        _ => None,
    }
}

/// `2017 MiB`, `12.5 GiB`: mebibytes up to 10 GiB, as manifests have them, so that a use and its limit can be compared.
pub(crate) fn bytes(v: f64) -> String {
    const MIB: f64 = 1_048_576.0;
    let units = [(1024.0 * MIB * 1024.0 * 1024.0, "PiB"), (MIB * MIB, "TiB"), (1024.0 * MIB, "GiB")];
    match v.abs() {
        a if a < 1023.5 => format!("{v:.0} B"),
        a if a < MIB => format!("{} KiB", significant(v / 1024.0)),
        a if a < 10.0 * MIB => format!("{} MiB", significant(v / MIB)),
        a if a < 10_240.0 * MIB => format!("{:.0} MiB", v / MIB),
        a => {
            let (scale, unit) =
                units.into_iter().find(|(scale, _)| a >= *scale).unwrap_or((1024.0 * MIB, "GiB"));
            format!("{} {unit}", significant(v / scale))
        }
    }
}

/// `85.3 %`, `101 %`, and never `-0 %`. A share that is too small to be written is still more than none: `< 0.1 %`.
pub(crate) fn percent(v: f64) -> String {
    if v > 0.0 && v < 0.0005 {
        return "< 0.1 %".to_owned();
    }
    let text = format!("{:.1}", v * 100.0);
    let text = if v.abs() < 0.9995 { text } else { format!("{:.0}", v * 100.0) };
    format!("{} %", plain(&text))
}

/// A probability; one that is too small to be written is still none of 0: `< 0.001`.
pub(crate) fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { plain(&format!("{p:.3}")).to_owned() }
}

/// At most three figures that count, no trailing zeros.
pub(crate) fn significant(v: f64) -> String {
    let decimals = match v.abs() {
        a if a >= 100.0 => 0,
        a if a >= 10.0 => 1,
        _ => 2,
    };
    plain(&format!("{v:.decimals$}")).to_owned()
}

/// A number without zeros that say nothing, and without the sign of a zero.
fn plain(text: &str) -> &str {
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if text == "-0" { "0" } else { text }
}

/// `2026-11-21T06:52:00Z`
pub(crate) fn rfc3339(t: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(t.0).map_or_else(|_| t.unix_seconds().to_string(), |t| t.to_string())
}

/// `2026-11-21T06:52:00`: as JUnit's schemas want it, UTC without saying so.
pub(crate) fn rfc3339_without_zone(t: Timestamp) -> String {
    rfc3339(t).trim_end_matches('Z').to_owned()
}

/// `1,234,567`
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_for_the_reader() {
        assert_eq!(
            [0.0, 512.0, 2017.0 * 1_048_576.0, 1_048_576.0 * 1023.99, 1.5e15].map(bytes),
            ["0 B", "512 B", "2017 MiB", "1024 MiB", "1.33 PiB"]
        );
        assert_eq!(
            [0.703, 0.085, 1.0085, 0.9996, 0.0, -0.0004, -0.0062].map(percent),
            ["70.3 %", "8.5 %", "101 %", "100 %", "0 %", "0 %", "-0.6 %"]
        );
        assert_eq!([0.0004, 0.0005, 1e-12].map(percent), ["< 0.1 %", "0.1 %", "< 0.1 %"]);
        assert_eq!([0.0, 1e-9, 0.0123, 1.0].map(probability), ["< 0.001", "< 0.001", "0.012", "1"]);
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(setting(&Value::Bytes(2048.0 * 1_048_576.0)).as_deref(), Some("2Gi"));
        assert_eq!(setting(&Value::Bytes(2368.0 * 1_048_576.0)).as_deref(), Some("2368Mi"));
        assert_eq!(setting(&Value::Bytes(4.096e9)).as_deref(), Some("4096M"));
        assert_eq!(setting(&Value::Cores(0.5)).as_deref(), Some("500m"));
    }
}
