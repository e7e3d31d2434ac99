//! What a reader chooses about words: the language, and the zone of times.

use healthcore::checks::CHECKS;
use healthcore::finding::{Text, Value};
use healthcore::phrase;
use healthcore::snapshot::{Gap, GapCause, Missing};
use healthcore::time::Timestamp;
use jiff::tz::TimeZone;

use crate::RenderOptions;
use crate::quantity::{bytes, count, percent, setting, significant};
use crate::words::{self, Lang};
use crate::zone::Zone;

/// Says values and sentences in one language, with times in one zone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locale {
    pub(crate) lang: Lang,
    zone: Zone,
}

impl Locale {
    pub(crate) fn new(options: &RenderOptions) -> Self {
        Self { lang: options.lang, zone: options.zone.clone() }
    }

    /// For formats that programs read: times are in UTC, whatever the reader's zone.
    pub(crate) fn of_data(options: &RenderOptions) -> Self {
        Self { lang: options.lang, zone: Zone::default() }
    }

    /// A fixed word.
    pub(crate) fn w(&self, key: &str) -> &'static str {
        words::word(self.lang, key)
    }

    /// A fixed text with its values filled in, as those of checks are. Counts have marks between thousands.
    pub(crate) fn phrase(&self, key: &'static str, values: &[(&'static str, Value)]) -> String {
        let text = values.iter().fold(Text::new(key), |text, (name, value)| text.with(name, value.clone()));
        text.fill(self.w(key), &|value: &Value| match value {
            Value::Count(n) => count(*n),
            other => self.show(other),
        })
    }

    /// A text of a check as a sentence.
    pub(crate) fn sentence(&self, check: &str, text: &Text) -> String {
        // A finding of another version's check, from a history: its key says more than nothing.
        let template = words::of_check(self.lang, check, &text.key).unwrap_or(&text.key);
        let change = text.args.contains_key("to");
        text.fill(template, &|value: &Value| if change { self.setting(value) } else { self.show(value) })
    }

    /// Why something is not known.
    pub(crate) fn missing(&self, why: &Missing) -> String {
        self.show(&Value::Words(why.phrase()))
    }

    /// The title of a check; none when this version has no such check.
    pub(crate) fn title(&self, check: &str) -> &'static str {
        let english = CHECKS.iter().map(|c| c.info()).find(|i| i.id == check).map_or("", |i| i.title);
        words::title(self.lang, check).unwrap_or(english)
    }

    /// The name of a measured value.
    pub(crate) fn evidence(&self, name: &str) -> String {
        words::evidence(self.lang, name).map_or_else(|| name.replace('-', " "), str::to_owned)
    }

    /// What is said of a gap: our own words in the language, those of other systems as they are.
    pub(crate) fn gap(&self, gap: &Gap) -> String {
        gap.words.as_ref().map_or_else(|| gap.detail.clone(), |words| self.show(&words.clone().into()))
    }

    pub(crate) fn cause(&self, cause: GapCause) -> &'static str {
        words::cause(self.lang, cause.name()).unwrap_or(cause.name())
    }

    /// A value as people read it.
    pub(crate) fn show(&self, value: &Value) -> String {
        match value {
            Value::Bytes(v) => bytes(*v),
            Value::Cores(v) => self.cores(*v),
            Value::Seconds(v) => self.duration(*v),
            Value::Ratio(v) => percent(*v),
            Value::BytesPerHour(v) => format!("{}{}", bytes(*v), self.w("per-hour")),
            Value::Count(v) => v.to_string(),
            Value::Number(v) => significant(*v),
            Value::Time(t) => self.time(*t),
            Value::Text(text) => text.clone(),
            Value::Words(text) => {
                let english = phrase::template(&text.key).unwrap_or(&text.key);
                text.fill(words::phrase(self.lang, &text.key).unwrap_or(english), &|v| self.show(v))
            }
            Value::List(values) => {
                values.iter().map(|v| self.show(v)).collect::<Vec<_>>().join(self.w("list"))
            }
            _ => String::new(),
        }
    }

    /// A value as it is written in a manifest, in the largest unit that is exact: `2Gi`, `2368Mi`, `500m`.
    fn setting(&self, value: &Value) -> String {
        setting(value).unwrap_or_else(|| self.show(value))
    }

    /// `250m`, `1.5 cores`
    pub(crate) fn cores(&self, v: f64) -> String {
        if v.abs() < 0.9995 {
            let milli = v * 1000.0;
            if milli != 0.0 && milli.abs() < 1.0 { format!("{milli:.1}m") } else { format!("{milli:.0}m") }
        } else {
            let number = significant(v);
            let unit = self.w(if number == "1" { "unit-core" } else { "unit-cores" });
            format!("{number} {unit}")
        }
    }

    /// `3 d 4 h`, `25 min`, `40 s`
    pub(crate) fn duration(&self, v: f64) -> String {
        let total = v.abs().round() as u64;
        let (days, hours, minutes, seconds) =
            (total / 86_400, total / 3600 % 24, total / 60 % 60, total % 60);
        let parts = match (days, hours, minutes) {
            (0, 0, 0) if total < 10 && v.fract() != 0.0 => {
                return format!("{} {}", significant(v), self.w("unit-second"));
            }
            (0, 0, 0) => [(seconds, "unit-second"), (0, "")],
            (0, 0, _) => [(minutes, "unit-minute"), (if minutes < 10 { seconds } else { 0 }, "unit-second")],
            (0, ..) => [(hours, "unit-hour"), (minutes, "unit-minute")],
            _ => [(days, "unit-day"), (hours, "unit-hour")],
        };
        let words: Vec<String> = parts
            .iter()
            .enumerate()
            .filter(|(i, (n, _))| *i == 0 || *n > 0)
            .map(|(_, (n, unit))| format!("{n} {}", self.w(unit)))
            .collect();
        words.join(" ")
    }

    /// `2026-11-21 06:52 UTC`, `2026-11-21 14:52 +08:00`
    pub(crate) fn time(&self, t: Timestamp) -> String {
        let Ok(instant) = jiff::Timestamp::from_millisecond(t.0) else {
            return format!("unix {}", t.unix_seconds());
        };
        let zone = self.zone.get();
        let pattern = if *zone == TimeZone::UTC { "%Y-%m-%d %H:%M UTC" } else { "%Y-%m-%d %H:%M %:z" };
        instant.to_zoned(zone.clone()).strftime(pattern).to_string()
    }

    /// The day of an instant in short, in the zone of the reader: the time of the day that `now` is in, the year of another one.
    pub(crate) fn day(&self, t: Timestamp, now: Timestamp) -> String {
        let zoned = |t: Timestamp| {
            jiff::Timestamp::from_millisecond(t.0).map(|instant| instant.to_zoned(self.zone.get().clone()))
        };
        let (Ok(then), Ok(now)) = (zoned(t), zoned(now)) else { return self.time(t) };
        let pattern = match (then.year() == now.year(), then.date() == now.date()) {
            (_, true) => "%H:%M",
            (true, false) => self.w("day"),
            (false, false) => self.w("day-of-year"),
        };
        then.strftime(pattern).to_string()
    }

    /// Seconds that the zone is ahead of UTC at an instant.
    pub(crate) fn ahead_of_utc(&self, t: Timestamp) -> i64 {
        jiff::Timestamp::from_millisecond(t.0)
            .map_or(0, |t| i64::from(self.zone.get().to_offset(t).seconds()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locale(lang: Lang, zone: &str) -> Locale {
        Locale { lang, zone: zone.parse().unwrap() }
    }

    #[test]
    fn units_for_the_reader() {
        let en = Locale::default();
        assert_eq!(
            [0.0, 0.0008, 0.25, 1.0, 12.345].map(|v| en.cores(v)),
            ["0m", "0.8m", "250m", "1 core", "12.3 cores"]
        );
        assert_eq!(
            [5.0, 1.234, 65.0, 1500.0, 5400.0, 300_000.0].map(|v| en.duration(v)),
            ["5 s", "1.23 s", "1 min 5 s", "25 min", "1 h 30 min", "3 d 11 h"]
        );
        let zh = locale(Lang::ZhTw, "UTC");
        assert_eq!(
            [5.0, 65.0, 5400.0, 300_000.0].map(|v| zh.duration(v)),
            ["5 秒", "1 分鐘 5 秒", "1 小時 30 分鐘", "3 天 11 小時"]
        );
        assert_eq!(zh.cores(1.5), "1.5 核心");
    }

    #[test]
    fn times_are_in_the_zone_of_the_reader() {
        let t = Timestamp::from_unix_seconds(1_795_136_400);
        assert_eq!(Locale::default().time(t), "2026-11-20 01:00 UTC");
        assert_eq!(locale(Lang::En, "Asia/Taipei").time(t), "2026-11-20 09:00 +08:00");
        assert_eq!(locale(Lang::En, "America/St_Johns").time(t), "2026-11-19 21:30 -03:30");
        assert_eq!(locale(Lang::En, "Asia/Taipei").ahead_of_utc(t), 28_800);
    }

    #[test]
    fn days_are_short_and_in_the_zone_of_the_reader() {
        let now = Timestamp::from_unix_seconds(1_795_136_400);
        let day = |lang, zone, days: f64| locale(lang, zone).day(now.plus_seconds(-86_400.0 * days), now);
        assert_eq!(day(Lang::En, "UTC", 1.0), "19 Nov");
        assert_eq!(day(Lang::En, "UTC", 400.0), "16 Oct 2025");
        assert_eq!(day(Lang::En, "UTC", 0.25 / 24.0), "00:45");
        assert_eq!(day(Lang::En, "America/St_Johns", 0.25), "15:30", "one day there, two in UTC");
        assert_eq!(day(Lang::En, "UTC", 0.25), "19 Nov");
        assert_eq!(day(Lang::ZhTw, "Asia/Taipei", 12.0), "11月8日");
        assert_eq!(day(Lang::ZhTw, "Asia/Taipei", 400.0), "2025年10月16日");
    }

    #[test]
    fn words_of_our_own_are_said_in_the_language() {
        let service = Text::new("service-missing").with("service", "api");
        let list = Value::List(vec![service.into(), Text::new("none").into(), "x".into()]);
        assert_eq!(Locale::default().show(&list), "Service api does not exist, none, x");
        assert_eq!(locale(Lang::ZhTw, "UTC").show(&list), "Service api 不存在、無、x");
    }
}
