//! Charts of findings as SVG: a picture that needs no script, in the colours of the page (classes, no styles).

use healthcore::chart::{ChartSeries, CurveKind, LineKind, MarkKind};
use healthcore::time::Timestamp;
use serde::Serialize;

use crate::escape::markup;
use crate::locale::Locale;
use crate::quantity::bytes;

/// The picture in units of its own; it is as wide as the page lets it be.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 26.0;
/// Between the baselines of two labels.
const LABEL: f64 = 17.0;
/// A line further above the curve than that would press the curve to the ground: it is told, not drawn.
const HIGHEST_LINE: f64 = 8.0;
/// Room for the way to the limit, as a share of the span that was looked at.
const AHEAD: f64 = 0.5;

/// A drawn chart.
#[derive(Debug, Serialize)]
pub(crate) struct Chart {
    /// The whole `svg` element.
    pub(crate) svg: String,
    /// What the colours and symbols mean: class and words.
    pub(crate) key: Vec<(&'static str, String)>,
}

/// Draws a chart. `id` is unique in the page; `title` names what is shown. None for a curve without points.
pub(crate) fn draw(chart: &ChartSeries, id: &str, title: &str, locale: &Locale) -> Option<Chart> {
    let (first, last) = (chart.points.first()?.0, chart.points.last()?.0);
    let plane = Plane::new(chart, first, last);
    let w = |key: &str| locale.w(key);
    let time = |t| locale.time(t);
    let shown = |v: f64| show(chart, v, locale);
    let curve = w(&format!("metric-{}", chart.metric.name()));
    let mut key = vec![("use", curve.to_owned())];
    let mut desc = vec![format!("{curve} {} – {}", time(first), time(last))];
    let mut body = plane.grid(chart, first, last, locale);

    let mut labels = Vec::new();
    for line in &chart.lines {
        let words = format!("{} {}", w(&format!("line-{}", line.kind.name())), shown(line.value));
        if line.value <= plane.most {
            let (y, class) = (plane.y(line.value), class_of(line.kind));
            body.push_str(&format!(
                "<path class=\"line {class}\" d=\"M{LEFT} {y:.0}H{:.0}\"/>",
                WIDTH - RIGHT
            ));
            labels.push((y, class, words.clone()));
        } else {
            key.push((
                class_of(line.kind),
                format!("{words}{}{}{}", w("open"), w("chart-above"), w("close")),
            ));
        }
        desc.push(words);
    }
    body.push_str(&plane.labels(labels));
    body.push_str(&plane.ahead(chart, last));
    for curve in &chart.curves {
        let class = if curve.kind == CurveKind::Floor { "floor" } else { "fit" };
        body.push_str(&format!("<path class=\"{class}\" d=\"{}\"/>", plane.path(&curve.points, false)));
    }
    let steps = chart.metric.unit() == "count";
    body.push_str(&format!("<path class=\"use\" d=\"{}\"/>", plane.path(&chart.points, steps)));
    for kind in [CurveKind::Floor, CurveKind::Fitted] {
        if chart.curves.iter().any(|c| c.kind == kind) {
            let class = if kind == CurveKind::Floor { "floor" } else { "fit" };
            key.push((class, w(&format!("curve-{}", kind.name())).to_owned()));
        }
    }
    body.push_str(&plane.marks(chart, locale));
    for kind in [MarkKind::Deploy, MarkKind::OomKill, MarkKind::Restart] {
        let n = chart.marks.iter().filter(|m| m.kind == kind).count();
        if n > 0 {
            let words = format!("{}{}{n}{}", w(&format!("mark-{}", kind.name())), w("open"), w("close"));
            key.push((kind.name(), words.clone()));
            desc.push(words);
        }
    }
    if let Some(reaches) = &chart.reaches_limit {
        let mut words = format!("{} {}", w("chart-reaches-limit"), time(reaches.at));
        let ends = [reaches.earliest, reaches.latest].map(|t| t.map_or_else(|| "…".to_owned(), time));
        words.push_str(&format!("{}{} – {}{}", w("open"), ends[0], ends[1], w("close")));
        key.push(("reach", words.clone()));
        desc.push(words);
    }
    let svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{body}</svg>",
        markup(title),
        markup(&desc.join("; "))
    );
    Some(Chart { svg, key })
}

const fn class_of(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Request | LineKind::Min => "request",
        LineKind::Limit | LineKind::Max => "limit",
        _ => "advice",
    }
}

fn show(chart: &ChartSeries, value: f64, locale: &Locale) -> String {
    match chart.metric.unit() {
        "bytes" => bytes(value),
        "cores" => locale.cores(value),
        _ => format!("{value}"),
    }
}

/// Where an instant and a value lie in the picture.
struct Plane {
    start: f64,
    seconds: f64,
    /// The value at the upper edge.
    most: f64,
}

impl Plane {
    fn new(chart: &ChartSeries, first: Timestamp, last: Timestamp) -> Self {
        let values = chart.points.iter().chain(chart.curves.iter().flat_map(|c| &c.points)).map(|p| p.1);
        let peak = values.fold(0.0, f64::max);
        let near = |v: &f64| peak <= 0.0 || *v <= HIGHEST_LINE * peak;
        let highest = chart.lines.iter().map(|l| l.value).filter(near).fold(peak, f64::max);
        let mut seconds = last.seconds_since(first).max(1.0);
        if let Some(reaches) = &chart.reaches_limit {
            let ahead = reaches.latest.unwrap_or(reaches.at).seconds_since(last);
            seconds += ahead.clamp(0.0, AHEAD * seconds);
        }
        let most = if highest > 0.0 { 1.06 * highest } else { 1.0 };
        Self { start: first.unix_seconds() as f64, seconds, most }
    }

    fn x(&self, t: Timestamp) -> f64 {
        LEFT + (t.unix_seconds() as f64 - self.start) / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (value / self.most).clamp(0.0, 1.0) * (HEIGHT - BOTTOM - TOP)
    }

    /// A path in whole units, each step from where the last one ended. Where samples are missing it is broken.
    fn path(&self, points: &[(Timestamp, f64)], steps: bool) -> String {
        let mut gaps: Vec<f64> = points.windows(2).map(|p| p[1].0.seconds_since(p[0].0)).collect();
        gaps.sort_by(f64::total_cmp);
        let usual = gaps.get(gaps.len() / 2).copied().unwrap_or_default();
        let mut out = String::new();
        let mut before: Option<(Timestamp, i64, i64)> = None;
        for &(t, value) in points {
            let (x, y) = (self.x(t).round() as i64, self.y(value).round() as i64);
            match before {
                Some((_, px, py)) if steps => out.push_str(&format!("h{}v{}", x - px, y - py)),
                Some((earlier, px, py)) if t.seconds_since(earlier) <= 5.0 * usual => {
                    out.push_str(&format!("l{} {}", x - px, y - py));
                }
                _ => out.push_str(&format!("M{x} {y}")),
            }
            before = Some((t, x, y));
        }
        out
    }

    fn grid(&self, chart: &ChartSeries, first: Timestamp, last: Timestamp, locale: &Locale) -> String {
        let mut out = String::new();
        for value in ticks(self.most, chart.metric.unit()) {
            let y = self.y(value);
            out.push_str(&format!("<path class=\"grid\" d=\"M{LEFT} {y:.0}H{:.0}\"/>", WIDTH - RIGHT));
            let words = show(chart, value, locale);
            out.push_str(&format!(
                "<text class=\"tick\" x=\"{}\" y=\"{:.0}\">{words}</text>",
                LEFT - 8.0,
                y + 4.0
            ));
        }
        let step = time_step(self.seconds);
        // Days begin at the reader's midnight.
        let ahead = locale.ahead_of_utc(first) as f64;
        let mut t = ((first.unix_seconds() as f64 + ahead) / step).ceil() * step - ahead;
        while t <= self.start + self.seconds {
            let x = self.x(Timestamp::from_unix_seconds(t as i64));
            let text = locale.time(Timestamp::from_unix_seconds(t as i64));
            // Month and day, or the hour where days would repeat.
            let words = if step < 86_400.0 { text.get(11..16) } else { text.get(5..10) };
            let words = words.unwrap_or_default();
            out.push_str(&format!("<path class=\"grid\" d=\"M{x:.0} {TOP}V{:.0}\"/>", HEIGHT - BOTTOM));
            out.push_str(&format!(
                "<text class=\"tock\" x=\"{x:.0}\" y=\"{:.0}\">{words}</text>",
                HEIGHT - 8.0
            ));
            t += step;
        }
        if self.x(last) < WIDTH - RIGHT - 1.0 {
            out.push_str(&format!(
                "<path class=\"now\" d=\"M{:.0} {TOP}V{:.0}\"/>",
                self.x(last),
                HEIGHT - BOTTOM
            ));
        }
        out
    }

    /// Labels of lines at the right edge, from the top, moved down where they would touch.
    fn labels(&self, mut labels: Vec<(f64, &'static str, String)>) -> String {
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut out = String::new();
        let mut free = 0.0;
        for (y, class, words) in labels {
            let y = (y + 4.0).max(free);
            free = y + LABEL;
            let x = WIDTH - RIGHT + 8.0;
            out.push_str(&format!(
                "<text class=\"label {class}\" x=\"{x}\" y=\"{y:.0}\">{}</text>",
                markup(&words)
            ));
        }
        out
    }

    /// The way to the limit: from the end of the fit, as a band between the earliest and the latest date.
    fn ahead(&self, chart: &ChartSeries, last: Timestamp) -> String {
        let Some(reaches) = &chart.reaches_limit else { return String::new() };
        let limit = chart.lines.iter().find(|l| l.kind == LineKind::Limit).map(|l| l.value);
        let now = chart.points.last().map(|p| p.1);
        let (Some(limit), Some(now)) = (limit.filter(|l| *l <= self.most), now) else { return String::new() };
        let edge = WIDTH - RIGHT;
        let (x0, y0, top) = (self.x(last), self.y(now), self.y(limit));
        // Where a way ends that leaves the picture before it reaches the limit.
        let end = |t: Option<Timestamp>| match t.map(|t| self.x(t)) {
            Some(x) if x <= edge => (x, top),
            Some(x) if x > x0 => (edge, y0 + (top - y0) * (edge - x0) / (x - x0)),
            _ => (edge, y0),
        };
        let ((ax, ay), (bx, by), (cx, cy)) =
            (end(reaches.earliest), end(Some(reaches.at)), end(reaches.latest));
        let corner =
            if ax < edge && cx >= edge && cy > top { format!("L{edge:.0} {top:.0}") } else { String::new() };
        format!(
            "<path class=\"band\" d=\"M{x0:.0} {y0:.0}L{ax:.0} {ay:.0}{corner}L{cx:.0} {cy:.0}Z\"/>\
             <path class=\"reach\" d=\"M{x0:.0} {y0:.0}L{bx:.0} {by:.0}\"/>"
        )
    }

    fn marks(&self, chart: &ChartSeries, locale: &Locale) -> String {
        let mut out = String::new();
        for mark in &chart.marks {
            let x = self.x(mark.at);
            if !(LEFT..=WIDTH - RIGHT).contains(&x) {
                continue;
            }
            let shape = match mark.kind {
                MarkKind::Deploy => format!("M{x:.0} 6l6 10h-12Z"),
                MarkKind::OomKill => format!("M{:.0} 6l10 10m0-10l-10 10", x - 5.0),
                _ => format!("M{:.0} 11a5 5 0 1 0 10 0a5 5 0 1 0-10 0", x - 5.0),
            };
            let words = locale.w(&format!("mark-{}", mark.kind.name()));
            let kind = mark.kind.name();
            out.push_str(&format!(
                "<g class=\"mark {kind}\"><title>{words} {}</title><path class=\"stem\" d=\"M{x:.0} 17V{:.0}\"/><path d=\"{shape}\"/></g>",
                locale.time(mark.at),
                HEIGHT - BOTTOM
            ));
        }
        out
    }
}

/// Three to six round values from 0 on, in steps of 1, 2 or 5 (bytes: of powers of two).
fn ticks(most: f64, unit: &str) -> Vec<f64> {
    let rough = most / 4.0;
    let step = if unit == "bytes" {
        2.0_f64.powf(rough.max(1.0).log2().ceil())
    } else {
        let ten = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * ten).find(|s| *s >= rough).unwrap_or(rough);
        if unit == "count" { step.max(1.0).ceil() } else { step }
    };
    (0..=8).map(|i| f64::from(i) * step).filter(|v| *v <= most).collect()
}

/// Seconds between two dates of the axis: at most eight of them.
fn time_step(seconds: f64) -> f64 {
    const HOUR: f64 = 3600.0;
    let steps = [0.25, 1.0, 2.0, 4.0, 6.0, 12.0, 24.0, 48.0, 96.0, 168.0, 336.0, 720.0, 2160.0, 8760.0];
    steps.into_iter().map(|h| h * HOUR).find(|step| seconds / step <= 8.0).unwrap_or(seconds)
}

#[cfg(test)]
mod tests {
    use healthcore::chart::{ChartCurve, ChartLine, ChartMark, ReachesLimit};
    use healthcore::metric::Metric;

    use super::*;

    const MIB: f64 = 1_048_576.0;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_136_400 + 3600 * hours)
    }

    fn series(values: impl IntoIterator<Item = (i64, f64)>) -> ChartSeries {
        ChartSeries {
            metric: Metric::MemoryWorkingSet,
            points: values.into_iter().map(|(h, v)| (at(h), v * MIB)).collect(),
            lines: vec![],
            curves: vec![],
            marks: vec![],
            reaches_limit: None,
        }
    }

    #[test]
    fn round_ticks() {
        assert_eq!(
            ticks(530.0 * MIB, "bytes").iter().map(|t| t / MIB).collect::<Vec<_>>(),
            [0.0, 256.0, 512.0]
        );
        assert_eq!(ticks(2.1, "cores"), [0.0, 1.0, 2.0]);
        assert_eq!(ticks(1.06, "count"), [0.0, 1.0]);
        assert_eq!(time_step(7.0 * 86_400.0), 86_400.0);
        assert_eq!(time_step(3600.0 * 6.0), 3600.0);
    }

    #[test]
    fn a_gap_breaks_the_curve() {
        let chart = series((0..10).chain(40..50).map(|h| (h, 100.0)));
        let plane = Plane::new(&chart, at(0), at(49));
        assert_eq!(plane.path(&chart.points, false).matches('M').count(), 2);
        assert_eq!(plane.path(&chart.points, true).matches('M').count(), 1);
    }

    #[test]
    fn a_line_far_above_is_told() {
        let mut chart = series((0..10).map(|h| (h, 100.0)));
        chart.lines = [(LineKind::Request, 700.0), (LineKind::Limit, 900.0)]
            .map(|(kind, v)| ChartLine { kind, value: v * MIB })
            .into();
        let drawn = draw(&chart, "c1", "x", &Locale::default()).unwrap();
        assert_eq!(drawn.svg.matches("class=\"line").count(), 1);
        assert_eq!(drawn.key.last().unwrap().1, "limit 900 MiB (above the picture)");
    }

    #[test]
    fn all_stays_inside() {
        let mut chart = series((0..168).map(|h| (h, 300.0 + h as f64)));
        chart.lines = vec![ChartLine { kind: LineKind::Limit, value: 1000.0 * MIB }];
        chart.curves = vec![ChartCurve { kind: CurveKind::Floor, points: chart.points.clone() }];
        chart.marks = vec![
            ChartMark { at: at(-9), kind: MarkKind::Deploy },
            ChartMark { at: at(9), kind: MarkKind::OomKill },
        ];
        chart.reaches_limit = Some(ReachesLimit { at: at(700), earliest: Some(at(200)), latest: None });
        let drawn = draw(&chart, "c1", "<b>&", &Locale::default()).unwrap();
        assert!(drawn.svg.contains("&lt;b&gt;&amp;") && drawn.svg.matches("class=\"mark").count() == 1);
        assert!(!drawn.svg.contains("NaN") && !drawn.svg.contains("inf"), "{}", drawn.svg);
        let words: Vec<_> = drawn.key.iter().map(|(class, _)| *class).collect();
        assert_eq!(words, ["use", "floor", "deploy", "oom-kill", "reach"]);
        assert!(draw(&series([]), "c", "", &Locale::default()).is_none());
        let flat = draw(&series([(0, 0.0)]), "c", "", &Locale::default()).unwrap();
        assert!(!flat.svg.contains("NaN") && !flat.svg.contains("inf"), "{}", flat.svg);
    }
}
