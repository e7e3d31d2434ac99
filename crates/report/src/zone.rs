//! The zone in which a reader wants times.

use std::str::FromStr;

use healthcore::settings::nearest;
use jiff::tz::TimeZone;

/// A time zone of the IANA database, such as `Asia/Taipei`; UTC by default. The database is built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time zone of the IANA database such as `Asia/Taipei`, got `{given}`{hint}")]
pub struct UnknownZone {
    given: String,
    hint: String,
}

impl Zone {
    pub(crate) const fn get(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        match jiff::tz::db().get(name) {
            Ok(zone) if matches!(zone.iana_name(), Some("UTC" | "Etc/UTC")) => Ok(Self::default()),
            Ok(zone) => Ok(Self(zone)),
            Err(_) => Err(UnknownZone { given: name.to_owned(), hint: hint(name) }),
        }
    }
}

/// The zone that was probably meant: its whole name, or its city alone.
fn hint(given: &str) -> String {
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let city = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let mut near: Vec<String> = known.iter().filter(|name| city(name) == city(given)).cloned().collect();
    if near.is_empty() {
        near.extend(nearest(given, known.iter().map(String::as_str)));
    }
    if near.is_empty() { String::new() } else { format!(", did you mean `{}`?", near.join("` or `")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_is_not_known_gets_a_hint() {
        assert_eq!("UTC".parse(), Ok(Zone::default()));
        assert_eq!("Asia/Taipei".parse::<Zone>().unwrap().get().iana_name(), Some("Asia/Taipei"));
        let why = |name: &str| name.parse::<Zone>().unwrap_err().to_string();
        let expected = "expected a time zone of the IANA database such as `Asia/Taipei`, got";
        assert_eq!(why("Asia/Taipeh"), format!("{expected} `Asia/Taipeh`, did you mean `Asia/Taipei`?"));
        assert_eq!(why("taipei"), format!("{expected} `taipei`, did you mean `Asia/Taipei`?"));
        assert_eq!(why("+08:00"), format!("{expected} `+08:00`"));
        assert_eq!(why(""), format!("{expected} ``"));
    }
}
