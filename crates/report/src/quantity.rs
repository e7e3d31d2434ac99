//! Quantities for readers: units and decimals.

use healthcore::finding::Value;
use healthcore::time::Timestamp;
use healthcore::unit::{Bytes, Cores};

/// A value as people read it.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Bytes(v) => bytes(*v),
        Value::Cores(v) => cores(*v),
        Value::Seconds(v) => duration(*v),
        Value::Ratio(v) => percent(*v),
        Value::BytesPerHour(v) => format!("{}/h", bytes(*v)),
        Value::Count(v) => v.to_string(),
        Value::Number(v) => significant(*v),
        Value::Time(t) => time(*t),
        Value::Text(text) => text.clone(),
        _ => String::new(),
    }
}

/// A value as it is written in a manifest, in the largest unit that is exact: `2Gi`, `2368Mi`, `500m`.
pub(crate) fn setting(value: &Value) -> String {
    match value {
        Value::Bytes(v) => Bytes(*v).to_string(),
        Value::Cores(v) => Cores(*v).to_string(),
        other => show(other),
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

/// `250m`, `1.5 cores`
pub(crate) fn cores(v: f64) -> String {
    if v.abs() < 0.9995 {
        let milli = v * 1000.0;
        if milli != 0.0 && milli.abs() < 1.0 { format!("{milli:.1}m") } else { format!("{milli:.0}m") }
    } else {
        let number = significant(v);
        if number == "1" { "1 core".to_owned() } else { format!("{number} cores") }
    }
}

/// `85.3 %`, `101 %`, and never `-0 %`
pub(crate) fn percent(v: f64) -> String {
    let text = format!("{:.1}", v * 100.0);
    let text = if v.abs() < 0.9995 { text } else { format!("{:.0}", v * 100.0) };
    format!("{} %", plain(&text))
}

/// A probability; one that is too small to be written is still none of 0: `< 0.001`.
pub(crate) fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { plain(&format!("{p:.3}")).to_owned() }
}

/// At most three figures that count, no trailing zeros.
fn significant(v: f64) -> String {
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

/// `3 d 4 h`, `25 min`, `40 s`
pub(crate) fn duration(v: f64) -> String {
    let total = v.abs().round() as u64;
    let (days, hours, minutes, seconds) = (total / 86_400, total / 3600 % 24, total / 60 % 60, total % 60);
    let parts = match (days, hours, minutes) {
        (0, 0, 0) if total < 10 && v.fract() != 0.0 => return format!("{} s", significant(v)),
        (0, 0, 0) => [(seconds, "s"), (0, "")],
        (0, 0, _) => [(minutes, "min"), (if minutes < 10 { seconds } else { 0 }, "s")],
        (0, ..) => [(hours, "h"), (minutes, "min")],
        _ => [(days, "d"), (hours, "h")],
    };
    let words: Vec<String> = parts
        .iter()
        .enumerate()
        .filter(|(i, (n, _))| *i == 0 || *n > 0)
        .map(|(_, (n, unit))| format!("{n} {unit}"))
        .collect();
    words.join(" ")
}

/// `2026-11-21 06:52 UTC`
pub(crate) fn time(t: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(t.0).map_or_else(
        |_| format!("unix {}", t.unix_seconds()),
        |t| t.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
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
            [0.0, 0.0008, 0.25, 1.0, 12.345].map(cores),
            ["0m", "0.8m", "250m", "1 core", "12.3 cores"]
        );
        assert_eq!(
            [0.703, 0.085, 1.0085, 0.9996, -0.0004, -0.0062].map(percent),
            ["70.3 %", "8.5 %", "101 %", "100 %", "0 %", "-0.6 %"]
        );
        assert_eq!([0.0, 1e-9, 0.0123, 1.0].map(probability), ["< 0.001", "< 0.001", "0.012", "1"]);
        assert_eq!(
            [5.0, 1.234, 65.0, 1500.0, 5400.0, 300_000.0].map(duration),
            ["5 s", "1.23 s", "1 min 5 s", "25 min", "1 h 30 min", "3 d 11 h"]
        );
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(setting(&Value::Bytes(2048.0 * 1_048_576.0)), "2Gi");
        assert_eq!(setting(&Value::Bytes(2368.0 * 1_048_576.0)), "2368Mi");
        assert_eq!(setting(&Value::Bytes(4.096e9)), "4096M");
        assert_eq!(setting(&Value::Cores(0.5)), "500m");
        assert_eq!(time(Timestamp::from_unix_seconds(1_795_136_400)), "2026-11-20 01:00 UTC");
    }
}
