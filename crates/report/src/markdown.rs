//! Markdown by a template: `templates/report.md`.

use healthcore::report::Report;
use minijinja::{Environment, UndefinedBehavior, context};

use crate::page::{Page, Reader};
use crate::{RenderError, RenderOptions, escape, words};

const NAME: &str = "report.md";

pub(crate) fn render(report: &Report, options: &RenderOptions) -> Result<String, RenderError> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.add_filter("md", |text: String| escape::markdown(&text));
    env.add_filter("code", |text: String| escape::code(&text));
    let wrong = |e: minijinja::Error| RenderError::Template { name: NAME.to_owned(), why: format!("{e:#}") };
    env.add_template(NAME, include_str!("../templates/report.md")).map_err(wrong)?;
    let page = Page::new(report, options, Reader::Kept);
    let context = context! { page => minijinja::Value::from(minijinja::value::Serde(&page)), w => words::all(options.lang) };
    let text = env.get_template(NAME).and_then(|t| t.render(context)).map_err(wrong)?;
    Ok(tidy(&text))
}

/// One blank line between paragraphs at most, and a line feed at the end.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = true;
    for line in text.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            if !blank {
                out.push('\n');
            }
            blank = true;
        } else {
            out.push_str(line);
            out.push('\n');
            blank = false;
        }
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}
