//! Text for a terminal: aligned, coloured when asked for, problems first.

use std::fmt::Write as _;

use healthcore::report::Report;
use unicode_linebreak::linebreaks;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

use crate::RenderOptions;
use crate::escape::visible;
use crate::locale::Locale;
use crate::page::{Page, ProblemRow, Reader, Table};

/// Columns of a severity.
const SEVERITY: usize = 8;
/// Narrowest column that text is wrapped to.
const NARROWEST: usize = 20;

pub(crate) fn render(report: &Report, options: &RenderOptions) -> String {
    let page = Page::new(report, options, Reader::Screen);
    let mut out = Out::new(options);
    out.page(&page);
    out.text
}

/// Lines for a terminal.
pub(crate) struct Out {
    pub(crate) text: String,
    color: bool,
    width: usize,
    locale: Locale,
}

impl Out {
    pub(crate) fn new(options: &RenderOptions) -> Self {
        Self {
            text: String::new(),
            color: options.color,
            width: options.width.clamp(40, 400),
            locale: Locale::new(options),
        }
    }

    fn w(&self, key: &str) -> &'static str {
        self.locale.w(key)
    }

    /// Select Graphic Rendition (ECMA-48): only codes of our own, never from data.
    pub(crate) fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub(crate) fn severity(&self, id: &str, words: &str) -> String {
        let code = match id {
            "critical" => "1;31",
            "warning" | "degraded" => "33",
            "healthy" => "32",
            _ => "2",
        };
        self.paint(code, words)
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    pub(crate) fn heading(&mut self, title: &str) {
        let title = self.paint("1", title);
        self.line("");
        self.line(&title);
    }

    fn page(&mut self, page: &Page) {
        let colon = self.w("colon");
        let verdict = self.severity(page.verdict_id, &page.verdict.to_uppercase());
        let head =
            format!("{}{}{verdict}  {}", self.paint("1", self.w("title")), self.w("colon"), page.counts);
        self.line(&head);
        self.line(&format!(
            "{} {}{}{} {}",
            self.w("taken-at"),
            page.taken_at,
            self.w("comma"),
            self.w("window").to_lowercase(),
            page.window
        ));
        if !page.changed.is_empty() {
            self.heading(self.w("changes"));
            self.wrapped("", "", &page.changed);
            for change in &page.changes {
                let line = format!(
                    "{}{}{}{colon}{}{colon}{}",
                    change.state,
                    self.w("list"),
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

        if page.is_quiet {
            self.quiet(page);
            return;
        }
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
                        &format!("{}{colon}{}", visible(&item.subject), visible(&item.text)),
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
                let told = [&visible(&row.subject), row.check, &row.since];
                let told: Vec<&str> = told.into_iter().filter(|part| !part.is_empty()).collect();
                self.wrapped("  - ", "    ", &told.join("  "));
                self.wrapped("    ", "    ", &visible(&row.summary));
            }
            if page.more_watch > 0 {
                self.more(page.more_watch);
            }
        }
        self.trends(page);
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
        self.gaps(page);
        if !page.checks.rows.is_empty() {
            self.heading(self.w("checks"));
            self.table(&page.checks);
        }
        for line in &page.discoveries {
            self.wrapped("  - ", "    ", line);
        }
        self.line("");
        let cost = page.cost.clone();
        self.wrapped("", "", &cost);
        self.line(&page.made_by);
    }

    /// A day on which nothing changed: what is still there in a line each, what could not be checked, and where the rest is.
    fn quiet(&mut self, page: &Page) {
        self.heading(self.w("still-there"));
        for p in &page.problems {
            let severity = self.severity(p.severity_id, p.severity);
            let pad = " ".repeat(SEVERITY.saturating_sub(p.severity.width()));
            self.line(&format!("{severity}{pad} {}  {}  {}", visible(&p.subject), p.check, p.since));
        }
        self.trends(page);
        self.gaps(page);
        self.line("");
        self.wrapped("", "", self.w("rest-elsewhere"));
        self.line(&page.made_by);
    }

    fn trends(&mut self, page: &Page) {
        if !page.trends.rows.is_empty() {
            self.heading(page.trends.title);
            self.table(&page.trends);
        }
    }

    fn gaps(&mut self, page: &Page) {
        let [colon, open, close] = ["colon", "open", "close"].map(|key| self.w(key));
        self.heading(self.w("not-checked"));
        if page.gaps.rows.is_empty() && page.unknown.rows.is_empty() {
            self.line(self.w("nothing-missing"));
        }
        for row in &page.gaps.rows {
            self.wrapped(
                "  - ",
                "    ",
                &format!("{}{open}{}{close}{colon}{}", visible(&row[0]), row[1], visible(&row[2])),
            );
        }
        if page.more_gaps > 0 {
            self.more(page.more_gaps);
        }
        for row in &page.unknown.rows {
            let named = match row[3].as_str() {
                "" => String::new(),
                named => format!("{colon}{}", visible(named)),
            };
            let count = format!("{} {}{named}", row[1], self.w("unknown-count"));
            self.wrapped(
                "  - ",
                "    ",
                &format!("{}{open}{count}{close}{colon}{}", visible(&row[0]), row[2]),
            );
        }
    }

    fn more(&mut self, n: usize) {
        let line = format!("  {}", self.w("more").replace("{n}", &n.to_string()));
        self.line(&line);
    }

    fn problem(&mut self, p: &ProblemRow) {
        let padding = " ".repeat(SEVERITY.saturating_sub(p.severity.width()));
        let severity = self.severity(p.severity_id, &format!("{}{padding}", p.severity));
        let class = if p.class.is_empty() { String::new() } else { self.paint("2", &p.class) };
        let told = [self.paint("1", &visible(&p.subject)), p.check.to_owned(), p.since.clone(), class];
        let told: Vec<String> = told.into_iter().filter(|part| !part.is_empty()).collect();
        self.line(&format!("{severity} {}", told.join("  ")));
        let summary = visible(&p.summary);
        let summary = match p.bound.as_str() {
            "" => summary,
            bound => {
                // Words of Kubernetes often end with a full stop.
                let text = summary.trim_end_matches('.').into();
                self.locale.phrase("with-notes", &[("text", text), ("notes", visible(bound).into())])
            }
        };
        self.wrapped("         ", "         ", &summary);
    }

    /// Words in lines of the terminal's width.
    pub(crate) fn wrapped(&mut self, first: &str, rest: &str, text: &str) {
        let room = self.width.saturating_sub(rest.width()).max(NARROWEST);
        let mut line = String::new();
        let mut begin = first;
        for (space, piece) in pieces(text) {
            let between = usize::from(space && !line.is_empty());
            if !line.is_empty() && line.width() + between + piece.width() > room {
                let whole = format!("{begin}{line}");
                self.line(&whole);
                line.clear();
                begin = rest;
            } else if between > 0 {
                line.push(' ');
            }
            line.push_str(piece);
        }
        let whole = format!("{begin}{line}");
        self.line(&whole);
    }

    pub(crate) fn table(&mut self, table: &Table) {
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
        let shown = columns(&widths, self.width);
        let line = |row: &[&str]| {
            let mut line = String::from("  ");
            for (i, cell) in row.iter().enumerate().take(shown) {
                let pad = " ".repeat(widths[i] - cell.width());
                let _ = if table.numeric[i] {
                    write!(line, "{pad}{cell}  ")
                } else {
                    write!(line, "{cell}{pad}  ")
                };
            }
            line
        };
        let head = self.paint("2", line(&table.headers).trim_end());
        self.line(&head);
        for row in &cells {
            let row: Vec<&str> = row.iter().map(String::as_str).collect();
            self.line(&line(&row));
            let rest = table.headers.iter().zip(&row).skip(shown);
            let rest: Vec<String> = rest.map(|(header, cell)| format!("{header} {cell}")).collect();
            if !rest.is_empty() {
                self.wrapped("      ", "      ", &rest.join(self.w("list")));
            }
        }
    }
}

/// How many columns of a table stand beside each other; the others stand below each row, with their names.
fn columns(widths: &[usize], room: usize) -> usize {
    let mut used = 0;
    let fits = widths.iter().take_while(|width| {
        used += 2 + *width;
        used <= room
    });
    fits.count().max(1)
}

/// Parts of a text between which a line may end, and whether a space stands before each. Text without spaces, as Chinese
/// is, may end at its wide characters (UAX 14); names are never broken at their dashes and slashes.
fn pieces(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let wide = |c: Option<char>| c.is_some_and(|c| c.width() == Some(2));
    text.split(' ').flat_map(move |word| {
        let ends = linebreaks(word).filter_map(move |(at, _)| {
            let (before, after) = word.split_at(at);
            let here = after.is_empty() || wide(before.chars().last()) || wide(after.chars().next());
            here.then_some(at)
        });
        let mut start = 0;
        let pieces = ends.map(|end| {
            let piece = (start == 0, &word[start..end]);
            start = end;
            piece
        });
        // Two spaces in a row stand around an empty word.
        let pieces: Vec<_> = pieces.collect();
        if word.is_empty() { vec![(true, "")] } else { pieces }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(width: usize) -> Out {
        Out { text: String::new(), color: false, width, locale: Locale::default() }
    }

    #[test]
    fn what_does_not_fit_beside_stands_below() {
        let table = Table {
            headers: vec!["Name", "Pods", "Objects from"],
            numeric: vec![false, true, false],
            rows: vec![vec!["prod".into(), "7".into(), "Kubernetes API".into()]],
            ..Table::default()
        };
        let shown = |width| {
            let mut out = out(width);
            out.table(&table);
            out.text
        };
        assert_eq!(shown(40), "  Name  Pods  Objects from\n  prod     7  Kubernetes API\n");
        assert_eq!(shown(20), "  Name  Pods\n  prod     7\n      Objects from\n      Kubernetes API\n");
        assert_eq!(columns(&[50, 4], 20), 1, "the first column always stands");
    }

    #[test]
    fn chinese_is_wrapped_where_a_line_may_end() {
        let mut out = out(40);
        out.wrapped("- ", "  ", "web/deploy/api-gateway [app]：記憶體已達上限的 90.1 %（用量 461 MiB，上限 512 MiB），請提高上限。");
        assert_eq!(
            out.text,
            "- web/deploy/api-gateway [app]：記憶體已\n  達上限的 90.1 %（用量 461 MiB，上限\n  512 MiB），請提高上限。\n"
        );
        assert!(out.text.lines().all(|line| line.width() <= 40));
    }

    #[test]
    fn names_are_not_broken() {
        let mut out = out(40);
        out.wrapped("", "", "a b  shop/deploy/a-very-long-name-of-a-workload/that-does-not-fit end");
        assert_eq!(out.text, "a b\nshop/deploy/a-very-long-name-of-a-workload/that-does-not-fit\nend\n");
    }

    #[test]
    fn columns_of_wide_characters_are_aligned() {
        let rows = [["命名空間一", "1"], ["b", "20"]].map(|row| row.map(str::to_owned).to_vec()).to_vec();
        let table =
            Table { headers: vec!["命名", "數量"], numeric: vec![false, true], rows, ..Table::default() };
        let mut out = out(80);
        out.table(&table);
        let edges: Vec<usize> = out.text.lines().map(UnicodeWidthStr::width).collect();
        assert_eq!(edges, [18, 18, 18], "{}", out.text);
    }
}
