//! Templates of the user (minijinja, the notation of Jinja 2) over the values of the JSON report, or of the JSON digest.
//!
//! `docs/templates.md` is their manual: the data model, the filters, and what stops a template.

use std::io;

use healthcore::report::Report;
use healthcore::time::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, context};
use serde::Serialize;

use crate::locale::Locale;
use crate::quantity::{bytes, percent};
use crate::{DigestReport, JsonReport, RenderError, RenderOptions, digest, escape, words};

/// Steps after which a template is stopped: a thousand findings with all their values take less than a tenth.
const MOST_STEPS: u64 = 10_000_000;
/// Largest text that a template may write, in bytes.
const LONGEST: usize = 64 << 20;
/// Longest piece of a template that an error quotes, in characters.
const QUOTED: usize = 60;

/// A template of the user, read and found to be one.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    env: Environment<'static>,
    markup: bool,
}

impl Template {
    /// Reads a template. `name` stands in messages, and is that of its file: what ends in `.html`, `.xml` or `.svg`, with or
    /// without `.j2` behind it, has the markup of values escaped.
    ///
    /// # Errors
    /// It is no template; the message names the line.
    pub fn new(name: &str, source: String) -> Result<Self, RenderError> {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_fuel(Some(MOST_STEPS));
        // Errors tell which piece of the template they are about.
        env.set_debug(true);
        let whitespace = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        env.set_syntax(whitespace.map_err(|e| wrong(name, &e))?);
        let plain = name.trim_end_matches(".j2").trim_end_matches(".jinja");
        let markup = [".html", ".htm", ".xml", ".svg"].iter().any(|ending| plain.ends_with(ending));
        if markup {
            env.set_auto_escape_callback(|_| AutoEscape::Html);
            escape::write_markup(&mut env);
        } else {
            env.set_auto_escape_callback(|_| AutoEscape::None);
        }
        env.add_template_owned(TEMPLATE, source).map_err(|e| wrong(name, &e))?;
        Ok(Self { name: name.to_owned(), env, markup })
    }

    /// Its name, as messages have it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ending of what it makes, by its name without `.j2`: `md` of `daily.md.j2`; `txt` where that has none.
    #[must_use]
    pub fn ending(&self) -> &str {
        let file = self.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let plain = file.trim_end_matches(".j2").trim_end_matches(".jinja");
        plain.rsplit_once('.').map_or("txt", |(_, ending)| ending)
    }

    /// Fills it with a report.
    ///
    /// # Errors
    /// It names a value that is not there, takes too long or writes too much; the message names the line.
    pub fn render(&self, report: &Report, options: &RenderOptions) -> Result<String, RenderError> {
        let locale = Locale::new(options);
        self.fill(&JsonReport::told(report, &locale), &locale)
    }

    /// Fills it with a digest.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_digest(
        &self,
        digest: &DigestReport,
        options: &RenderOptions,
    ) -> Result<String, RenderError> {
        let locale = Locale::new(options);
        self.fill(&digest::json::told(digest, &locale), &locale)
    }

    fn fill(&self, values: &impl Serialize, locale: &Locale) -> Result<String, RenderError> {
        let mut env = self.env.clone();
        add_filters(&mut env, locale, self.markup);
        let context = context! {
            w => words::all(locale.lang),
            ..minijinja::Value::from(minijinja::value::Serde(values))
        };
        let mut out = Bounded(Vec::new());
        let template = env.get_template(TEMPLATE).map_err(|e| wrong(&self.name, &e))?;
        template.render_captured_to(context, &mut out).map_err(|e| wrong(&self.name, &e))?;
        let text = String::from_utf8_lossy(&out.0).into_owned();
        Ok(if text.ends_with('\n') { text } else { text + "\n" })
    }
}

/// The name of the one template in its environment.
const TEMPLATE: &str = "template";

fn add_filters(env: &mut Environment<'static>, locale: &Locale, markup: bool) {
    env.add_filter("bytes", |v: f64| bytes(v));
    env.add_filter("percent", |v: f64| percent(v));
    let own = locale.clone();
    env.add_filter("cores", move |v: f64| own.cores(v));
    let own = locale.clone();
    env.add_filter("duration", move |v: f64| own.duration(v));
    let own = locale.clone();
    env.add_filter("time", move |v: minijinja::Value| instant(&v).map(|t| own.time(t)));
    let own = locale.clone();
    env.add_filter("title", move |check: String| own.title(&check));
    env.add_filter("text", |v: String| escape::visible(&v));
    env.add_filter("md", move |v: String| {
        let text = escape::markdown(&v);
        // Markdown is plain text: in a page it is escaped like any other.
        if markup { minijinja::Value::from(text) } else { minijinja::Value::from_safe_string(text) }
    });
}

/// An instant as the report has it: RFC 3339, or unix seconds.
fn instant(value: &minijinja::Value) -> Result<Timestamp, minijinja::Error> {
    let given = value.to_string();
    let unix = given.parse::<f64>().ok().map(|seconds| Timestamp::from_unix_seconds(seconds as i64));
    let rfc3339 = || given.parse::<jiff::Timestamp>().ok().map(|t| Timestamp(t.as_millisecond()));
    unix.or_else(rfc3339).ok_or_else(|| {
        let why =
            format!("time: expected unix seconds or a time such as `2026-11-20T01:00:00Z`, got `{given}`");
        minijinja::Error::new(ErrorKind::InvalidOperation, why)
    })
}

/// What is wrong with a template, where, and at which piece of it.
fn wrong(name: &str, error: &minijinja::Error) -> RenderError {
    let place = error.line().map_or_else(String::new, |line| format!(":{line}"));
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too long; is there a loop that does not end?".to_owned(),
        ErrorKind::WriteFailure => format!("it writes more than {}", bytes(LONGEST as f64)),
        kind => error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
    };
    let piece = error.range().and_then(|range| error.template_source()?.get(range)).unwrap_or_default();
    let piece = piece.chars().take(QUOTED).collect::<String>().replace('\n', " ");
    let told = piece.trim().is_empty() || what.contains(&piece) || error.kind() == ErrorKind::OutOfFuel;
    let piece = if told { String::new() } else { format!(", at `{}`", escape::visible(&piece)) };
    RenderError::Template { name: format!("{name}{place}"), why: format!("{what}{piece}") }
}

/// A text that grows to a bound.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use healthcore::analyse::analyse;
    use healthcore::checks::CHECKS;
    use healthcore::fixture::Fixture;
    use healthcore::report::ClusterSummary;
    use healthcore::settings::Settings;

    use super::*;
    use crate::Lang;

    fn report() -> Report {
        let text =
            "container web/api-0/a<b request=100Mi limit=100Mi cpu-request=1  memory: 95x30  cpu: 1x30\n";
        let snapshot = Fixture::new(text).snapshot;
        let settings = Settings { only: ["memory-usage".into()].into(), ..Settings::default() };
        let assessment = analyse(&snapshot, &settings.resolve(CHECKS).unwrap());
        let parts = vec![(ClusterSummary::default(), assessment)];
        Report::new("0.0.0", snapshot.taken_at, snapshot.window, parts, vec![], CHECKS)
    }

    #[track_caller]
    fn check(name: &str, source: &str, expected: &str) {
        let zone = "Asia/Taipei".parse().unwrap();
        let options = RenderOptions { lang: Lang::ZhTw, zone, ..RenderOptions::default() };
        let told = Template::new(name, source.to_owned()).and_then(|t| t.render(&report(), &options));
        assert_eq!(told.unwrap_or_else(|e| e.to_string()), expected);
    }

    #[test]
    fn values_and_filters() {
        check("a.txt", "{{ verdict }} {{ w.critical }} {{ findings | length }}", "critical 嚴重 1\n");
        check(
            "a.txt",
            "{% for f in findings %}\n{{ f.check | title }}: {{ f.subject.container }} {{ f.summary }}\n{% endfor %}\n",
            "記憶體接近上限: a<b 記憶體已達上限的 95 %（用量 95 MiB，上限 100 MiB）\n",
        );
        check(
            "a.txt",
            "{{ 1073741824 | bytes }} {{ 0.25 | cores }} {{ 90000 | duration }} {{ 0.5 | percent }} {{ 1795136400 | time }} {{ '2026-11-20T01:00:00Z' | time }}",
            "1024 MiB 250m 1 天 1 小時 50 % 2026-11-20 09:00 +08:00 2026-11-20 09:00 +08:00\n",
        );
        check("a.md", "{{ 'a|b' | md }} {{ 'a\nb' | text }} {{ 'x\"y' | tojson }}", "a\\|b a b \"x\\\"y\"\n");
    }

    #[test]
    fn markup_is_escaped_by_the_ending() {
        let source = "{% for f in findings %}{{ f.subject.container }}{% endfor %}";
        check("page.html.j2", source, "a&lt;b\n");
        check("page.txt.j2", source, "a<b\n");
    }

    #[test]
    fn mistakes_name_file_and_line() {
        check(
            "daily.md",
            "# x\n{% for f in findings %}\n{{ f.sumary }}\n{% endfor %}",
            "template daily.md:3: undefined value: `f.sumary` is undefined",
        );
        check(
            "daily.md",
            "a\n\n{{ nothing }}",
            "template daily.md:3: undefined value: `nothing` is undefined",
        );
        check(
            "daily.md",
            "a\n{% for f in findings %}\n",
            "template daily.md:2: syntax error: unexpected end of input, expected end of block, at `%}`",
        );
        check("daily.md", "{{ 1 | byte }}", "template daily.md:1: unknown filter: filter byte is unknown");
        let time = Template::new("daily.md", "{{ 'x' | time }}".to_owned()).unwrap();
        let why = time.render(&report(), &RenderOptions::default()).unwrap_err().to_string();
        let expected = "expected unix seconds or a time such as `2026-11-20T01:00:00Z`, got `x`";
        assert!(why.starts_with("template daily.md:1: ") && why.contains(expected), "{why}");
    }

    #[test]
    fn a_template_that_does_not_end_is_stopped() {
        let loops = "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}{% endfor %}{% endfor %}{% endfor %}";
        check("a.txt", loops, "template a.txt:1: it takes too long; is there a loop that does not end?");
        let long = "{% set long = 'x' * 1000000 %}{% for a in range(100) %}{{ long }}{% endfor %}";
        check("a.txt", long, "template a.txt: it writes more than 64 MiB");
    }
}
