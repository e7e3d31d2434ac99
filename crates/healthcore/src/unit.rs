//! Quantities in base units, and the notations in which people write them.
//!
//! Every quantity is a newtype over `f64` in its base unit (bytes, cores, seconds, ratio, bytes per
//! hour), as Prometheus keeps them. The text form round-trips: `parse(x.to_string()) == x`.

use std::fmt;
use std::str::FromStr;

/// A text that is not the quantity that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got `{given}`")]
pub struct UnitError {
    expected: &'static str,
    given: String,
}

impl UnitError {
    /// An error for `given`, where `expected` describes the notation with an example.
    #[must_use]
    pub fn new(expected: &'static str, given: &str) -> Self {
        Self { expected, given: given.chars().take(80).collect() }
    }

    /// The notation that was expected, with an example.
    #[must_use]
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

const QUANTITY: &str = "a Kubernetes quantity such as `512Mi`, `1.5G`, `250m` or `2e3`";

/// Parses the notation of `k8s.io/apimachinery/pkg/api/resource.Quantity` into its base unit.
///
/// A signed decimal number, then one suffix of `n u m k M G T P E`, `Ki Mi Gi Ti Pi Ei`, or a decimal
/// exponent `e3` / `E3`. No white space is allowed. Unlike the Go type the value is a double, so more than
/// 15 significant digits are rounded.
///
/// # Errors
/// The text is not in that notation.
///
/// ```
/// use healthcore::unit::parse_quantity;
/// assert_eq!(parse_quantity("512Mi").unwrap(), 536_870_912.0);
/// assert_eq!(parse_quantity("250m").unwrap(), 0.25);
/// assert_eq!(parse_quantity("2E").unwrap(), 2e18);
/// assert_eq!(parse_quantity("2e3").unwrap(), 2000.0);
/// assert_eq!(
///     parse_quantity("512MB").unwrap_err().to_string(),
///     "expected a Kubernetes quantity such as `512Mi`, `1.5G`, `250m` or `2e3`, got `512MB`"
/// );
/// ```
pub fn parse_quantity(text: &str) -> Result<f64, UnitError> {
    let error = || UnitError::new(QUANTITY, text);
    let (number, suffix) = split_number(text).ok_or_else(error)?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => MIB,
        "Gi" => MIB * 1024.0,
        "Ti" => MIB * MIB,
        "Pi" => MIB * MIB * 1024.0,
        "Ei" => MIB * MIB * MIB,
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or_else(error)?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(error());
            }
            let value: f64 = format!("{number}e{exponent}").parse().map_err(|_| error())?;
            return if value.is_finite() { Ok(value) } else { Err(error()) };
        }
    };
    let number: f64 = number.parse().map_err(|_| error())?;
    // Division is exact where the reciprocal factor (0.001) is not.
    Ok(if factor < 1.0 { number / (1.0 / factor).round() } else { number * factor })
}

/// Splits `-1.5Gi` into `-1.5` and `Gi`; `None` when there is no digit.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let length = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let number = &unsigned[..length];
    if !number.bytes().any(|b| b.is_ascii_digit()) || number.matches('.').count() > 1 {
        return None;
    }
    Some(text.split_at(text.len() - unsigned.len() + length))
}

const MIB: f64 = 1024.0 * 1024.0;

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $parse:path, $show:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
        pub struct $name(pub f64);

        impl $name {
            /// The number in the base unit.
            #[must_use]
            pub fn get(self) -> f64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&$show(self.0))
            }
        }

        impl FromStr for $name {
            type Err = UnitError;
            fn from_str(text: &str) -> Result<Self, UnitError> {
                $parse(text.trim()).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a quantity as text or a number in the base unit")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<$name, E> {
                        Ok($name(v))
                    }
                    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<$name, E> {
                        Ok($name(v as f64))
                    }
                    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<$name, E> {
                        Ok($name(v as f64))
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }
    };
}

quantity!(
    /// An amount of memory. Text form: `512Mi` (also `512MiB`, `512MB`, `1.5G`, plain bytes).
    Bytes, parse_bytes, show_bytes
);
quantity!(
    /// An amount of CPU, in cores. Text form: `250m`, `1.5`.
    Cores, parse_cores, show_cores
);
quantity!(
    /// A length of time, in seconds. Text form as in Prometheus: `7d`, `1h30m`, `90s`, `500ms`.
    Seconds, parse_seconds, show_seconds
);
quantity!(
    /// A share of a whole, 0..=1 for a part of it, above 1 for more. Text form: `85%`, `0.85`.
    Ratio, parse_ratio, show_ratio
);
quantity!(
    /// A rate of growth, in bytes per hour. Text form: `10MB/h` (also `/s`, `/min`, `/d`).
    BytesPerHour, parse_rate, show_rate
);

impl Bytes {
    /// From mebibytes (1,048,576 bytes).
    #[must_use]
    pub fn from_mib(mib: f64) -> Self {
        Self(mib * MIB)
    }
    /// From megabytes (1,000,000 bytes).
    #[must_use]
    pub fn from_mb(mb: f64) -> Self {
        Self(mb * 1e6)
    }
}
impl BytesPerHour {
    /// From megabytes (1,000,000 bytes) per hour.
    #[must_use]
    pub fn from_mb(mb: f64) -> Self {
        Self(mb * 1e6)
    }
}
impl Ratio {
    /// From percent.
    #[must_use]
    pub fn from_percent(percent: f64) -> Self {
        Self(percent / 100.0)
    }
}
impl Seconds {
    /// From minutes.
    #[must_use]
    pub fn from_minutes(minutes: f64) -> Self {
        Self(minutes * 60.0)
    }
    /// From hours.
    #[must_use]
    pub fn from_hours(hours: f64) -> Self {
        Self(hours * 3600.0)
    }
    /// From days of 24 hours.
    #[must_use]
    pub fn from_days(days: f64) -> Self {
        Self(days * 86400.0)
    }
}

fn parse_bytes(text: &str) -> Result<f64, UnitError> {
    let quantity = text.strip_suffix('B').map_or(text, |rest| {
        if rest.ends_with(|c: char| c.is_ascii_digit() || c == '.')
            || rest.ends_with(['k', 'M', 'G', 'T', 'P', 'E', 'i', 'K'])
        {
            rest
        } else {
            text
        }
    });
    let kilo = quantity.strip_suffix('K').filter(|_| quantity.len() < text.len()).map(|q| format!("{q}k"));
    parse_quantity(kilo.as_deref().unwrap_or(quantity))
        .ok()
        .filter(|_| !text.ends_with('m') && !text.ends_with('n') && !text.ends_with('u'))
        .ok_or_else(|| UnitError::new("an amount of memory such as `512Mi` or `2GB`", text))
}

fn parse_cores(text: &str) -> Result<f64, UnitError> {
    parse_quantity(text).map_err(|_| UnitError::new("an amount of CPU such as `250m` or `1.5`", text))
}

fn parse_ratio(text: &str) -> Result<f64, UnitError> {
    let error = || UnitError::new("a share such as `85%` or `0.85`", text);
    let (number, scale) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text, 1.0),
    };
    let value: f64 = number.parse().map_err(|_| error())?;
    if value.is_finite() { Ok(value / scale) } else { Err(error()) }
}

const DURATION_UNITS: [(&str, f64); 7] = [
    ("ms", 0.001),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86400.0),
    ("w", 604_800.0),
    ("y", 31_536_000.0),
];

fn parse_seconds(text: &str) -> Result<f64, UnitError> {
    let error = || UnitError::new("a duration such as `7d`, `1h30m` or `90s`", text);
    let mut rest = text;
    let mut total = 0.0;
    let mut previous = f64::INFINITY;
    if rest == "0" {
        return Ok(0.0);
    }
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(error)?;
        let number: f64 = rest[..digits].parse().map_err(|_| error())?;
        rest = &rest[digits..];
        let length = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let factor = DURATION_UNITS.iter().find(|(u, _)| *u == &rest[..length]).ok_or_else(error)?.1;
        if factor >= previous {
            return Err(error());
        }
        previous = factor;
        total += if factor < 1.0 { number / 1000.0 } else { number * factor };
        rest = &rest[length..];
    }
    Ok(total)
}

fn parse_rate(text: &str) -> Result<f64, UnitError> {
    let error = || UnitError::new("a rate such as `10MB/h`", text);
    let (amount, per) = text.split_once('/').ok_or_else(error)?;
    let hours = match per {
        "s" => 1.0 / 3600.0,
        "min" => 1.0 / 60.0,
        "h" => 1.0,
        "d" => 24.0,
        _ => return Err(error()),
    };
    parse_bytes(amount).map(|bytes| bytes / hours).map_err(|_| error())
}

fn show_bytes(bytes: f64) -> String {
    // The largest exact unit: 4096000000 is 4096M and not 4000000Ki.
    let units = [
        (MIB * MIB, "Ti"),
        (1e12, "T"),
        (MIB * 1024.0, "Gi"),
        (1e9, "G"),
        (MIB, "Mi"),
        (1e6, "M"),
        (1024.0, "Ki"),
        (1e3, "k"),
    ];
    for (unit, suffix) in units {
        if bytes != 0.0 && bytes % unit == 0.0 {
            return format!("{}{suffix}", bytes / unit);
        }
    }
    format!("{bytes}")
}

fn show_cores(cores: f64) -> String {
    let milli = (cores * 1000.0).round();
    if cores.fract() != 0.0 && milli / 1000.0 == cores { format!("{milli}m") } else { format!("{cores}") }
}

fn show_seconds(seconds: f64) -> String {
    if seconds == 0.0 {
        return "0s".into();
    }
    for (unit, suffix) in [(86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s")] {
        if seconds % unit == 0.0 {
            return format!("{}{suffix}", seconds / unit);
        }
    }
    let milli = (seconds * 1000.0).round();
    if milli / 1000.0 == seconds { format!("{milli}ms") } else { format!("{seconds}s") }
}

fn show_ratio(ratio: f64) -> String {
    let percent = (ratio * 1e4).round() / 100.0;
    if percent / 100.0 == ratio { format!("{percent}%") } else { format!("{ratio}") }
}

fn show_rate(rate: f64) -> String {
    if rate != 0.0 && rate % 1e6 == 0.0 {
        format!("{}MB/h", rate / 1e6)
    } else {
        format!("{}/h", show_bytes(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn quantity(text: &str, expected: f64) {
        assert_eq!(parse_quantity(text), Ok(expected), "{text}");
    }

    #[test]
    fn kubernetes_notation() {
        for (text, value) in [
            ("0", 0.0),
            ("1", 1.0),
            ("-1", -1.0),
            ("+1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("100m", 0.1),
            ("1n", 1e-9),
            ("3u", 3e-6),
            ("1k", 1e3),
            ("1M", 1e6),
            ("1G", 1e9),
            ("1T", 1e12),
            ("1P", 1e15),
            ("1E", 1e18),
            ("1Ki", 1024.0),
            ("1Mi", 1_048_576.0),
            ("1Gi", 1_073_741_824.0),
            ("1Ti", 1_099_511_627_776.0),
            ("1Pi", 1_125_899_906_842_624.0),
            ("1Ei", 1_152_921_504_606_846_976.0),
            ("12e6", 12e6),
            ("1E3", 1000.0),
            ("1e-3", 0.001),
            ("1500m", 1.5),
        ] {
            quantity(text, value);
        }
        for text in [
            "", "m", "Mi", "1K", "1mi", "1MB", "1 Mi", "1.2.3", "1e", "1e99999", "0x10", "nan", "inf",
            "1Mi2", "--1", "１",
        ] {
            assert!(parse_quantity(text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_of_settings() {
        assert_eq!("10MB/h".parse(), Ok(BytesPerHour(1e7)));
        assert_eq!("1Mi/min".parse(), Ok(BytesPerHour(60.0 * MIB)));
        assert_eq!(
            "512MB/h/".parse::<BytesPerHour>().unwrap_err().to_string(),
            "expected a rate such as `10MB/h`, got `512MB/h/`"
        );
        assert_eq!(
            "10".parse::<BytesPerHour>().unwrap_err().to_string(),
            "expected a rate such as `10MB/h`, got `10`"
        );
        assert_eq!("85%".parse(), Ok(Ratio(0.85)));
        assert_eq!("0.85".parse(), Ok(Ratio(0.85)));
        assert_eq!("1h30m".parse(), Ok(Seconds(5400.0)));
        assert!("30m1h".parse::<Seconds>().is_err());
        assert!("7".parse::<Seconds>().is_err());
        assert_eq!("2GB".parse(), Ok(Bytes(2e9)));
        assert_eq!("2KB".parse(), Ok(Bytes(2e3)));
        assert_eq!("2KiB".parse(), Ok(Bytes(2048.0)));
        assert!("100m".parse::<Bytes>().is_err(), "a thousandth of a byte is a typing mistake");
        assert_eq!(Bytes::from_mib(1536.0).to_string(), "1536Mi");
        assert_eq!(Bytes(4.096e9).to_string(), "4096M");
        assert_eq!(Bytes(2e12).to_string(), "2T");
        assert_eq!(Cores(0.25).to_string(), "250m");
        assert_eq!(Seconds::from_days(7.0).to_string(), "7d");
        assert_eq!(Ratio(0.125).to_string(), "12.5%");
    }

    proptest! {
        #[test]
        fn text_round_trips(x in prop_oneof![0.0..1e15f64, (0u32..4_000_000).prop_map(f64::from)]) {
            prop_assert_eq!(Bytes(x).to_string().parse(), Ok(Bytes(x)));
            prop_assert_eq!(Cores(x).to_string().parse(), Ok(Cores(x)));
            prop_assert_eq!(Ratio(x).to_string().parse(), Ok(Ratio(x)));
            prop_assert_eq!(BytesPerHour(x).to_string().parse(), Ok(BytesPerHour(x)));
        }

        #[test]
        fn never_panics(text in ".{0,12}") {
            let _ = (parse_quantity(&text), text.parse::<Seconds>(), text.parse::<BytesPerHour>(), text.parse::<Ratio>());
        }
    }
}
