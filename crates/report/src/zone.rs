//! The zone in which a reader wants times.

use std::str::FromStr;

use healthcore::settings::nearest;
use jiff::tz::TimeZone;

/// A time zone of the IANA database, such as `Asia/Taipei`; UTC by default. The database is built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time zone of the IANA database such as `Asia/Taipei`, got `{given}`{}", hint(.near))]
pub struct UnknownZone {
    given: String,
    /// Names that may have been meant.
    pub near: Vec<String>,
}

impl Zone {
    /// The zone as the library of times has it.
    #[must_use]
    pub const fn get(&self) -> &TimeZone {
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
            Err(_) => Err(UnknownZone { given: name.to_owned(), near: near(name) }),
        }
    }
}

fn hint(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!(", did you mean `{}`?", near.join("` or `")) }
}

/// Names that a wrong one may have meant: those that have its city, else the nearest one.
fn near(name: &str) -> Vec<String> {
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let city = |name: &str| name.rsplit('/').next().unwrap_or(name).replace(' ', "_").to_ascii_lowercase();
    let cities: Vec<String> = names.iter().map(|n| city(n)).collect();
    let of_city = |wanted: &str| -> Vec<String> {
        names.iter().zip(&cities).filter(|(_, c)| *c == wanted).map(|(n, _)| n.clone()).take(3).collect()
    };
    let same = of_city(&city(name));
    if !same.is_empty() {
        return same;
    }
    if let Some(found) = nearest(name, names.iter().map(String::as_str)) {
        return vec![found];
    }
    nearest(&city(name), cities.iter().map(String::as_str)).map(|found| of_city(&found)).unwrap_or_default()
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
        assert_eq!(why("Mars/Base"), format!("{expected} `Mars/Base`"), "no zone is near");
        assert_eq!(why("+08:00"), format!("{expected} `+08:00`"));
        assert_eq!(why(""), format!("{expected} ``"));
    }
}
