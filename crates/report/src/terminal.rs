//! Text for a terminal: aligned, coloured when asked for, problems first.

use std::fmt::Write as _;

use healthcore::report::Report;
use unicode_width::UnicodeWidthStr as _;

use crate::RenderOptions;
use crate::escape::visible;
use crate::page::{Page, ProblemRow, Reader, Table};
use crate::words::{Lang, word};

/// Narrowest column that text is wrapped to.
const NARROWEST: usize = 20;

pub(crate) fn render(report: &Report, options: &RenderOptions) -> String {
    let page = Page::new(report, options.lang, Reader::Screen);
    let mut out = Out {
        text: String::new(),
        color: options.color,
        width: options.width.clamp(40, 400),
        lang: options.lang,
    };
    out.page(&page);
    out.text
}

struct Out {
    text: String,
    color: bool,
    width: usize,
    lang: Lang,
}

impl Out {
    fn w(&self, key: &str) -> &'static str {
        word(self.lang, key)
    }

    /// Select Graphic Rendition (ECMA-48): only codes of our own, never from data.
    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn severity(&self, id: &str, words: &str) -> String {
        let code = match id {
            "critical" => "1;31",
            "warning" | "degraded" => "33",
            "healthy" => "32",
            _ => "2",
        };
        self.paint(code, words)
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn heading(&mut self, title: &str) {
        let title = self.paint("1", title);
        self.line("");
        self.line(&title);
    }

    fn page(&mut self, page: &Page) {
        let verdict = self.severity(page.verdict_id, &page.verdict.to_uppercase());
        let head = format!("{}: {verdict}  {}", self.paint("1", self.w("title")), page.counts);
        self.line(&head);
        self.line(&format!(
            "{} {}, {} {}",
            self.w("taken-at"),
            page.taken_at,
            self.w("window").to_lowercase(),
            page.window
        ));
        if !page.changed.is_empty() {
            self.heading(self.w("changes"));
            self.wrapped("", "", &page.changed);
            for change in &page.changes {
                let line = format!(
                    "{}, {}: {}: {}",
                    change.state,
                    change.row.severity,
                    visible(&change.row.subject),
                    visible(&change.row.summary)
                );
                self.wrapped("  - ", "    ", &line);
            }
            if page.more_changes > 0 {
                self.more(page.more_changes);
            }
        }
        self.line("");
        self.table(&page.clusters);

        self.heading(self.w("problems"));
        if page.problems.is_empty() {
            self.line(page.no_problems);
        }
        for problem in &page.problems {
            self.problem(problem);
        }
        if !page.advice.is_empty() {
            self.heading(self.w("advice"));
            for list in &page.advice {
                let title = self.paint("4", list.title);
                self.line(&title);
                for item in &list.items {
                    self.wrapped(
                        "  - ",
                        "    ",
                        &format!("{}: {}", visible(&item.subject), visible(&item.text)),
                    );
                    if let Some(command) = &item.command {
                        let command = self.paint("36", &visible(command));
                        self.line(&format!("      {command}"));
                    }
                }
                if !list.more.is_empty() {
                    self.line(&format!("  {}", list.more));
                }
            }
        }
        if !page.watch.is_empty() {
            self.heading(self.w("watch-list"));
            for row in &page.watch {
                self.wrapped(
                    "  - ",
                    "    ",
                    &format!("{}: {}", visible(&row.subject), visible(&row.summary)),
                );
            }
            if page.more_watch > 0 {
                self.more(page.more_watch);
            }
        }
        if !page.trends.rows.is_empty() {
            self.heading(page.trends.title);
            self.table(&page.trends);
        }
        for table in &page.tops {
            self.heading(table.title);
            self.table(table);
        }
        if !page.notes.is_empty() {
            self.heading(self.w("notes"));
            for note in &page.notes {
                self.problem(note);
            }
            if page.more_notes > 0 {
                self.more(page.more_notes);
            }
        }
        self.heading(self.w("not-checked"));
        if page.gaps.rows.is_empty() && page.unknown.rows.is_empty() {
            self.line(self.w("nothing-missing"));
        }
        for row in &page.gaps.rows {
            self.wrapped("  - ", "    ", &format!("{} ({}): {}", visible(&row[0]), row[1], visible(&row[2])));
        }
        if page.more_gaps > 0 {
            self.more(page.more_gaps);
        }
        for row in &page.unknown.rows {
            self.wrapped(
                "  - ",
                "    ",
                &format!("{} ({} {}): {}", visible(&row[0]), row[1], self.w("unknown-count"), row[2]),
            );
        }
        self.heading(self.w("checks"));
        self.table(&page.checks);
        for line in &page.discoveries {
            self.wrapped("  - ", "    ", line);
        }
        self.line("");
        let cost = page.cost.clone();
        self.wrapped("", "", &cost);
        self.line(&page.made_by);
    }

    fn more(&mut self, n: usize) {
        let line = format!("  {}", self.w("more").replace("{n}", &n.to_string()));
        self.line(&line);
    }

    fn problem(&mut self, p: &ProblemRow) {
        let severity = self.severity(p.severity_id, &format!("{:<8}", p.severity));
        let class = self.paint("2", &p.class);
        let head = format!("{severity} {}  {}  {class}", self.paint("1", &visible(&p.subject)), p.check);
        self.line(&head);
        self.wrapped("         ", "         ", &visible(&p.summary));
    }

    /// Words in lines of the terminal's width.
    fn wrapped(&mut self, first: &str, rest: &str, text: &str) {
        let room = self.width.saturating_sub(rest.width()).max(NARROWEST);
        let mut line = String::new();
        let mut begin = first;
        for word in text.split(' ') {
            if !line.is_empty() && line.width() + 1 + word.width() > room {
                let whole = format!("{begin}{line}");
                self.line(&whole);
                line.clear();
                begin = rest;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        let whole = format!("{begin}{line}");
        self.line(&whole);
    }

    fn table(&mut self, table: &Table) {
        if table.rows.is_empty() && !table.none.is_empty() {
            self.line(table.none);
            return;
        }
        let cells: Vec<Vec<String>> =
            table.rows.iter().map(|row| row.iter().map(|c| visible(c)).collect()).collect();
        let widths: Vec<usize> = (0..table.headers.len())
            .map(|i| {
                cells.iter().map(|row| row[i].width()).chain([table.headers[i].width()]).max().unwrap_or(0)
            })
            .collect();
        let line = |row: Vec<&str>| {
            let mut line = String::from("  ");
            for (i, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[i] - cell.width());
                let _ = if table.numeric[i] {
                    write!(line, "{pad}{cell}  ")
                } else {
                    write!(line, "{cell}{pad}  ")
                };
            }
            line
        };
        let head = self.paint("2", line(table.headers.clone()).trim_end());
        self.line(&head);
        for row in &cells {
            self.line(&line(row.iter().map(String::as_str).collect()));
        }
    }
}
