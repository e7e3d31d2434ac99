//! Templates of queries that the user brings along, often from a system that asked for one instant and one pod.

use healthcore::metric::{Metric, Shape};
use healthcore::need::{Selector, literal};
use promql_parser::parser::{Expr, parse, token};

use super::catalogue::{BASE_S, quoted};

/// Variables of a template. A matcher `name="{variable}"` is taken as `name=~"{variable}"`, because one query asks
/// for many namespaces and pods.
const VARIABLES: [&str; 5] = ["namespace", "pod_pattern", "container", "lookback", "step"];

/// Functions that turn a counter into what was added to it.
const INCREMENTS: [&str; 5] = ["increase", "delta", "idelta", "changes", "resets"];

/// Functions whose result is by the second.
const RATES: [&str; 3] = ["rate", "irate", "deriv"];

/// A template that has been checked.
#[derive(Debug, Clone)]
pub(super) struct OwnQuery {
    template: String,
    /// A counter as it stands, where what is added from step to step is wanted.
    counter: bool,
    sparse: bool,
}

impl OwnQuery {
    /// Checks a template: known variables, no subquery over the look-back, PromQL whose value the metric can be.
    pub(super) fn new(metric: Metric, given: &str) -> Result<Self, String> {
        let template = patterns_for_names(given);
        let template = at_an_instant(template.trim()).to_owned();
        let compact: String = template.chars().filter(|c| !c.is_whitespace()).collect();
        if compact.contains("{lookback}:") {
            return Err("carries `[{lookback}:{step}]`: the whole look-back would be computed again for every sample; write the \
                        expression for one instant, the range query does the rest"
                .into());
        }
        known_variables(&template)?;
        let expr = parse(&sample(&template)).map_err(|e| format!("is not valid PromQL: {e}"))?;
        let sparse = metric.shape() == Shape::Sparse;
        let mut found = Found::default();
        found.walk(&expr);
        if sparse && found.rate && !found.factor {
            return Err(format!(
                "is by the second, and {metric} counts what is added in a step; write `increase(...[{{step}}])` or the counter alone"
            ));
        }
        Ok(Self { template, counter: sparse && !found.increment && !found.rate, sparse })
    }

    /// The query for a part of the cluster. A window over the look-back, right for an instant, would count the same again in
    /// every sample of a range: here it is what one sample stands for, a step of a counter, `rate_s` seconds of others.
    pub(super) fn fill(&self, selector: &Selector, step_s: u64, lookback_s: u64, rate_s: u64) -> String {
        let (namespace, pods) = match selector {
            Selector::Namespaces(names) if names.is_empty() => (".+".to_owned(), ".+".to_owned()),
            Selector::Namespaces(names) => {
                (names.iter().map(|n| literal(n)).collect::<Vec<_>>().join("|"), ".+".to_owned())
            }
            Selector::Pods { namespace, patterns } => (literal(namespace), patterns.join("|")),
        };
        let (window, span) = if self.sparse { (step_s, step_s) } else { (rate_s, lookback_s) };
        let filled = self
            .template
            .replace("[{lookback}]", &format!("[{window}s]"))
            .replace("{namespace}", &quoted(&namespace))
            .replace("{pod_pattern}", &quoted(&pods))
            .replace("{container}", ".+")
            .replace("{lookback}", &format!("{span}s"))
            .replace("{step}", &format!("{step_s}s"));
        let base = BASE_S.max(step_s);
        match (self.counter, self.sparse) {
            (true, _) => {
                format!("({filled}) - last_over_time(({filled})[{base}s:{step_s}s] offset {step_s}s) > 0")
            }
            (false, true) => format!("({filled}) > 0"),
            (false, false) => filled,
        }
    }

    /// The query as it may look, to read names out of it.
    pub(super) fn sample(&self) -> String {
        sample(&self.template)
    }
}

fn sample(template: &str) -> String {
    let query = OwnQuery { template: template.to_owned(), counter: false, sparse: false };
    query.fill(&Selector::Pods { namespace: "ns".into(), patterns: vec!["pod-.+".into()] }, 300, 604_800, 300)
}

/// What a query does to the counters in it.
#[derive(Default)]
struct Found {
    increment: bool,
    rate: bool,
    /// A product, which may turn a rate into a number.
    factor: bool,
}

impl Found {
    fn walk(&mut self, expr: &Expr) {
        match expr {
            Expr::VectorSelector(v) => self.increment |= v.offset.is_some(),
            Expr::MatrixSelector(m) => self.increment |= m.vs.offset.is_some(),
            Expr::Aggregate(a) => self.walk(&a.expr),
            Expr::Unary(u) => self.walk(&u.expr),
            Expr::Binary(b) => {
                self.factor |= b.op.id() == token::T_MUL;
                self.walk(&b.lhs);
                self.walk(&b.rhs);
            }
            Expr::Paren(p) => self.walk(&p.expr),
            Expr::Subquery(s) => {
                self.increment |= s.offset.is_some();
                self.walk(&s.expr);
            }
            Expr::Call(c) => {
                self.increment |= INCREMENTS.contains(&c.func.name);
                self.rate |= RATES.contains(&c.func.name);
                c.args.args.iter().for_each(|a| self.walk(a));
            }
            _ => {}
        }
    }
}

/// `x[{lookback}]` and `x[{lookback}:{step}]` fetch what a range query over `x` gives by itself.
fn at_an_instant(template: &str) -> &str {
    let Some((instant, range)) = template.strip_suffix(']').and_then(|t| t.rsplit_once('[')) else {
        return template;
    };
    let range: String = range.chars().filter(|c| !c.is_whitespace()).collect();
    if range == "{lookback}" || range.starts_with("{lookback}:") { instant.trim_end() } else { template }
}

/// Whether a template of the user can be the query of a metric.
///
/// # Errors
/// It cannot, and why.
pub fn check_query(metric: Metric, template: &str) -> Result<(), String> {
    OwnQuery::new(metric, template).map(|_| ())
}

/// The template with windows without white space, texts that hold a variable in double quotes, and matchers of a variable
/// alone as patterns.
fn patterns_for_names(template: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['"', '\'', '`', '#']) {
        out.push_str(&rest[..at]);
        let opened = &rest[at..];
        let quote = opened.chars().next().unwrap_or_default();
        if quote == '#' {
            let end = opened.find('\n').unwrap_or(opened.len());
            rest = &opened[end..];
            continue;
        }
        let mut escaped = false;
        let end = opened.char_indices().skip(1).find_map(|(i, c)| {
            let closes = c == quote && !escaped;
            escaped = c == '\\' && !escaped && quote != '`';
            closes.then_some(i)
        });
        let Some(end) = end else {
            rest = opened;
            break;
        };
        let (text, behind) = (&opened[1..end], &opened[end + 1..]);
        rest = behind;
        let variable = VARIABLES[..3].iter().find(|v| text.contains(&format!("{{{v}}}")));
        let Some(variable) = variable else {
            out.push_str(&opened[..=end]);
            continue;
        };
        if text.len() == variable.len() + 2 {
            let kept = out.trim_end();
            if kept.ends_with('=') {
                out.truncate(kept.len() - 1);
                out.push_str(if out.ends_with('!') { "" } else { "=" });
                out.push('~');
            }
        }
        let text = match quote {
            '`' => quoted(text),
            '\'' => text.replace("\\'", "'").replace('"', "\\\""),
            _ => text.to_owned(),
        };
        out.push_str(&format!("\"{text}\""));
    }
    out.push_str(rest);
    windows_without_space(&out)
}

fn windows_without_space(template: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('[') {
        let end = rest[at..].find(']').map_or(rest.len(), |e| at + e);
        out.push_str(&rest[..at]);
        let window = &rest[at..end];
        if window.contains("{lookback}") {
            out.extend(window.chars().filter(|c| !c.is_whitespace()));
        } else {
            out.push_str(window);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn known_variables(template: &str) -> Result<(), String> {
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        rest = &rest[open + 1..];
        let word = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())];
        if rest[word.len()..].starts_with('}') && !word.is_empty() && !VARIABLES.contains(&word) {
            return Err(format!(
                "unknown variable `{{{word}}}`; known variables: {{{}}}",
                VARIABLES.join("} {")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metric: Metric, template: &str, expected: &str) {
        let part =
            Selector::Pods { namespace: "web".into(), patterns: vec!["api-.+".into(), r"db\.x-0".into()] };
        check_at(&part, metric, template, expected);
    }

    #[track_caller]
    fn check_at(part: &Selector, metric: Metric, template: &str, expected: &str) {
        let query = OwnQuery::new(metric, template).unwrap().fill(part, 300, 604_800, 600);
        assert_eq!(query, expected);
        parse(&query).unwrap();
    }

    #[test]
    fn a_variable_alone_is_matched_as_a_pattern_whatever_its_quotes() {
        for matcher in
            ["pod=\"{pod_pattern}\"", "pod='{pod_pattern}'", "pod=`{pod_pattern}`", "pod=~'{pod_pattern}'"]
        {
            let given = format!("x{{{matcher},a='b\"'}} # it's");
            check(Metric::MemoryRss, &given, r#"x{pod=~"api-.+|db\\.x-0",a='b"'}"#);
        }
        check(Metric::MemoryRss, "x{pod != '{pod_pattern}'}", r#"x{pod !~"api-.+|db\\.x-0"}"#);
        check(Metric::MemoryRss, r"x{pod=~`\w+-{pod_pattern}`}", r#"x{pod=~"\\w+-api-.+|db\\.x-0"}"#);
        check(Metric::MemoryRss, "x{namespace !~ \"{namespace}\"}", "x{namespace !~ \"web\"}");
        let all = Selector::Namespaces(vec![]);
        check_at(&all, Metric::MemoryRss, "x{namespace=\"{namespace}\"}", "x{namespace=~\".+\"}");
    }

    #[test]
    fn a_sparse_metric_counts_what_is_added_in_a_step() {
        let (restarts, oom) = (Metric::Restarts, Metric::OomEvents);
        let difference = "(sum(x)) - last_over_time((sum(x))[3600s:300s] offset 300s) > 0";
        check(restarts, "sum(x)", difference);
        check(restarts, "sum(x)[{lookback}:{step}]", difference);
        check(restarts, "increase(x[{lookback}])", "(increase(x[300s])) > 0");
        check(oom, "increase(x[ {lookback} ])", "(increase(x[300s])) > 0");
        check(oom, "x - x offset {lookback}", "(x - x offset 300s) > 0");
        check(restarts, "rate(x[5m]) * 300", "(rate(x[5m]) * 300) > 0");
        let why = OwnQuery::new(restarts, "rate(x[5m])").unwrap_err();
        assert!(
            why.starts_with("is by the second, and restarts counts what is added in a step; write"),
            "{why}"
        );
    }

    #[test]
    fn a_window_over_the_look_back_is_what_one_sample_stands_for() {
        check(Metric::CpuUsage, "rate(x[{lookback}])", "rate(x[600s])");
        check(Metric::MemoryRss, "x{a=\"b\"}[{lookback}]", "x{a=\"b\"}");
        check(Metric::MemoryRss, "x[5m:1m] offset {lookback}", "x[5m:1m] offset 604800s");
    }
}
