//! Names and messages come from outside and may hold anything.

/// Longest text that a table or line takes; the JSON report has all of it.
const LONGEST: usize = 400;

/// Makes control characters and marks that change the direction of text visible, and cuts what is too long.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(2 * LONGEST));
    for (i, c) in text.chars().enumerate() {
        if i == LONGEST {
            out.push('…');
            break;
        }
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() || is_direction_mark(c) => {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that turn the direction of what follows, or that show nothing (Unicode 16, UAX 9 and general category Cf).
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

/// Text for Markdown, in a table too: nothing in it is markup.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Text for HTML and XML, between tags and between double quotes: nothing in it is markup.
pub(crate) fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not characters (Unicode, section 23.7); XML does not know them.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Makes an engine write every value as [`markup`], except texts that are marked as markup already.
pub(crate) fn write_markup(env: &mut minijinja::Environment<'_>) {
    env.set_formatter(|out, _, value| match value.as_str() {
        Some(text) if !value.is_safe() => out.write_str(&markup(text)).map_err(minijinja::Error::from),
        _ => write!(out, "{value}").map_err(minijinja::Error::from),
    });
}

/// JSON in which marks that change the direction of text, and control characters that JSON lets through, are written as
/// escapes: the same value, and harmless on a terminal. They stand in strings only, so this is safe.
pub(crate) fn json(text: String) -> String {
    let odd = |c: char| is_direction_mark(c) || (c.is_control() && c != '\n');
    if !text.contains(odd) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if odd(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    out
}

/// A command for a code block: a line of its own that cannot end the block.
pub(crate) fn code(text: &str) -> String {
    visible(text).replace("```", "'''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        assert_eq!(markdown("a|b`c`<script>\n| x |"), "a\\|b\\`c\\`&lt;script&gt; \\| x \\|");
        assert_eq!(markup("a<b>\"&'\u{ffff}\0"), "a&lt;b&gt;&quot;&amp;&#39;\u{fffd}\\u{0}");
        assert_eq!(visible("\u{202e}evil\u{1b}[31m\0"), "\\u{202e}evil\\u{1b}[31m\\u{0}");
        assert_eq!(visible(&"x".repeat(10_000)).chars().count(), LONGEST + 1);
    }
}
