//! Command lines and variables of a container as the kubelet, a shell and the `java` launcher read them, as far as options of
//! a JVM need it.
//!
//! Options of a JVM end at `-jar FILE`, `-m MODULE` or the main class; what follows is the program's own, also where it looks
//! like a flag. Words that neither set memory nor tell where the options end become `...`, as they may be secret.

use healthcore::jvm::{begins_a_flag, is_amount, words as loose_words};

/// Options of the launcher whose value is the next argument (`IsWhiteSpaceOption` in `java.c` of OpenJDK).
const TAKE_NEXT: &[&str] = &[
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--limit-modules",
    "--enable-native-access",
    "--add-exports",
    "--add-opens",
    "--add-reads",
    "--patch-module",
    "--source",
];

/// Options that name a file of further options: of HotSpot, and of OpenJ9.
const NAME_A_FILE: &[&str] = &["-XX:VMOptionsFile=", "-XX:Flags=", "-Xoptionsfile="];

/// What stands for a word that is not kept.
const OTHER: &str = "...";

/// Scripts in scripts (`sh -c "su app -c '...'"`) are read down to here.
const DEEPEST: usize = 4;

/// Brackets in brackets (`${A:-${B:-1g}}`) are read down to here; a text that goes deeper is not read from there on.
const DEEPEST_BRACKET: usize = 16;

/// What a script takes in of its arguments at most, however often it names them. Unit: bytes.
const MOST_ARGUMENTS: usize = 256 * 1024;

/// Options of a shell that are looked past.
const MOST_OPTIONS: usize = 16;

/// A part of a command line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Word(String),
    /// A script sets a variable.
    Set {
        name: String,
        value: String,
    },
    /// What ends a command of a shell: `;`, `&&`, `|`, a line.
    End,
}

/// Where the next word stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Place {
    /// No JVM is started yet; a start script may pass the word on to one.
    #[default]
    Before,
    Options,
    /// The value of the option before it.
    Value,
    /// The file or module that is run.
    Main,
    /// The program's own.
    After,
}

impl Place {
    /// The place after this word.
    pub(super) fn after(self, word: &str) -> Self {
        match self {
            Self::Main | Self::After => Self::After,
            Self::Value => Self::Options,
            // As in `gosu java java`.
            _ if is_launcher(word) => Self::Options,
            Self::Before if word == "-jar" => Self::Main,
            Self::Before => Self::Before,
            Self::Options => match word {
                "-jar" | "-m" | "--module" => Self::Main,
                _ if TAKE_NEXT.contains(&word) => Self::Value,
                _ if names_main(word) => Self::After,
                // A reference may stand for options, and a file of arguments holds some.
                _ if word.starts_with(['-', '$', '@']) => Self::Options,
                _ => Self::After,
            },
        }
    }

    /// Goes past a word, and tells whether it may be an option.
    pub(super) fn pass(&mut self, word: &str) -> bool {
        let own = *self;
        *self = own.after(word);
        own.holds_options() && self.holds_options()
    }

    /// Whether a word at this place may be an option.
    pub(super) fn holds_options(self) -> bool {
        matches!(self, Self::Before | Self::Options)
    }
}

/// The parts of command and arguments of a container that tell the options of its JVM. Flags that another program is given may be
/// passed on to one.
pub(super) fn parts(texts: &[String]) -> Vec<Part> {
    let tokens = tokens(texts);
    let mut out = Vec::new();
    let mut place = Place::Before;
    if is_given_to_a_launcher(texts) {
        out.push(Part::Word("java".to_owned()));
        place = Place::Options;
    }
    let mut is_said = false;
    for token in &tokens {
        let Token::Word(word) = token else {
            out.push(Part::End);
            (place, is_said) = (Place::Before, false);
            continue;
        };
        let own = place;
        place = own.after(word);
        match own {
            Place::After => {}
            Place::Value | Place::Main => out.push(Part::Word(OTHER.to_owned())),
            Place::Options => out.push(Part::Word(kept(word))),
            Place::Before if is_launcher(word) || word == "-jar" => out.push(Part::Word(kept(word))),
            Place::Before => match set(word) {
                Some(set) => out.push(set),
                None => {
                    is_said |= matches!(word.as_str(), "echo" | "printf");
                    let words = if is_said { Vec::new() } else { passed_on(word) };
                    out.extend(words.into_iter().map(Part::Word));
                }
            },
        }
    }
    out
}

/// Whether arguments go to the `java` launcher, which the image names then.
fn is_given_to_a_launcher(texts: &[String]) -> bool {
    let is_option =
        |text: &String| ["-X", "-D", "-jar", "-javaagent:", "@"].iter().any(|o| text.starts_with(o));
    texts.first().is_some_and(is_option) && texts.iter().any(|text| text == "-jar")
}

/// The words of a value of a variable, cut down to what may come to set memory.
pub(super) fn words(value: &str) -> Vec<String> {
    let tokens = Lexer::new(value, Mode::Value, &[]).run();
    tokens.iter().filter_map(|token| token.word()).map(kept).collect()
}

/// Whether a word starts a JVM.
pub(super) fn is_launcher(word: &str) -> bool {
    word == "java" || word.ends_with("/bin/java")
}

/// The file of further options that a word names, with which the JVM must be started.
pub(super) fn options_file(word: &str) -> Option<&str> {
    let file = NAME_A_FILE.iter().find_map(|option| word.strip_prefix(option));
    // `@@` stands for an argument that begins with one.
    let file = file.or_else(|| word.strip_prefix('@').filter(|file| !file.starts_with('@')));
    file.filter(|file| !file.is_empty())
}

/// Whether a word is nothing but references and outputs of commands.
pub(super) fn is_reference(word: &str) -> bool {
    !word.is_empty() && segments(word).iter().all(|segment| !matches!(segment, Segment::Text(_)))
}

/// What a word says of the program that is run. The builder of images Jib puts the name of the main class into a file.
fn names_main(word: &str) -> bool {
    word.starts_with("--module=") || word.ends_with("/jib-main-class-file")
}

/// A word as it is kept.
fn kept(word: &str) -> String {
    let tells_the_end =
        matches!(word, "-jar" | "-m" | "--module") || TAKE_NEXT.contains(&word) || names_main(word);
    let may_set_memory = begins_a_flag(word) || options_file(word).is_some() || is_part_of_amount(word);
    match word {
        _ if is_launcher(word) => "java".to_owned(),
        _ if tells_the_end || may_set_memory => word.to_owned(),
        _ if word.starts_with('-') => format!("-{OTHER}"),
        _ => OTHER.to_owned(),
    }
}

/// Whether a word is an amount, its unit, or something that they are put together from: `${N:-2}g`.
fn is_part_of_amount(word: &str) -> bool {
    let is_unit = |text: &str| matches!(text, "k" | "K" | "m" | "M" | "g" | "G" | "t" | "T");
    segments(word).iter().all(|segment| match segment {
        Segment::Text(text) => is_unit(text) || is_amount(text),
        _ => true,
    })
}

/// What of a word a start script may pass on to a JVM: `-Xmx1g`, `--java-opts=-Xmx1g`, `$JAVA_OPTS`.
fn passed_on(word: &str) -> Vec<String> {
    let value = word.find("=-X").filter(|_| !word.starts_with("-D")).map_or(word, |at| &word[at + 1..]);
    let words: Vec<&str> = match value.contains("$(") {
        true => vec![value],
        false => loose_words(value).collect(),
    };
    words.into_iter().filter(|word| begins_a_flag(word) || is_reference(word)).map(str::to_owned).collect()
}

/// What a word sets, as in `HEAP=1g` and `JAVA_OPTS+=" -Xmx1g"`.
fn set(word: &str) -> Option<Part> {
    let (name, value) = word.split_once('=')?;
    let (name, before) = match name.strip_suffix('+') {
        Some(name) => (name, format!("${{{name}}} ")),
        None => (name, String::new()),
    };
    is_name(name).then(|| Part::Set { name: name.to_owned(), value: before + &words(value).join(" ") })
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name_len(text) == text.len()
}

/// How much of the beginning of a text is the name of a variable of a shell.
fn name_len(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// A piece of a word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Segment<'a> {
    Text(&'a str),
    /// `$(NAME)`, which the kubelet replaces where it knows the variable.
    Kubelet(&'a str),
    /// `$NAME`, `${NAME}` and `${NAME:-default}`, which a shell replaces.
    Shell {
        whole: &'a str,
        name: &'a str,
        default: Option<&'a str>,
    },
    /// The output of a command, `$(NAME ...)`, or something else that a shell works out.
    Command(&'a str),
}

/// The pieces of a word, in order.
pub(super) fn segments(word: &str) -> Vec<Segment<'_>> {
    let (mut out, mut rest) = (Vec::new(), word);
    while let Some(at) = rest.find('$') {
        let (text, from) = rest.split_at(at);
        let (segment, len) = reference(from).unwrap_or((Segment::Text(&from[..1]), 1));
        if !text.is_empty() {
            out.push(Segment::Text(text));
        }
        out.push(segment);
        rest = &from[len..];
    }
    if !rest.is_empty() {
        out.push(Segment::Text(rest));
    }
    out
}

/// The reference at the dollar sign with which a text begins, and its length; none where the sign stands for itself.
fn reference(text: &str) -> Option<(Segment<'_>, usize)> {
    let rest = &text[1..];
    let whole = |inner: &str| &text[..inner.len() + 3];
    let of_brackets = match (bracketed(rest, '(', ')'), bracketed(rest, '{', '}')) {
        (Some(Bracket::Closed(inner)), _) => Some(match is_name_of_kubelet(inner) {
            true => (Segment::Kubelet(inner), whole(inner)),
            false => (Segment::Command(whole(inner)), whole(inner)),
        }),
        (_, Some(Bracket::Closed(inner))) => Some(match parameter(inner) {
            Some((name, default)) => (Segment::Shell { whole: whole(inner), name, default }, whole(inner)),
            None => (Segment::Command(whole(inner)), whole(inner)),
        }),
        (Some(Bracket::TooDeep), _) | (_, Some(Bracket::TooDeep)) => Some((Segment::Command(text), text)),
        _ => None,
    };
    if let Some((segment, whole)) = of_brackets {
        return Some((segment, whole.len()));
    }
    let len = name_len(rest);
    let whole = &text[..1 + len];
    (len > 0).then_some((Segment::Shell { whole, name: &rest[..len], default: None }, 1 + len))
}

/// What follows the bracket with which a text begins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bracket<'a> {
    /// What stands before the one that closes it.
    Closed(&'a str),
    /// The rest, as nothing closes it.
    Open(&'a str),
    /// More brackets in brackets than are read.
    TooDeep,
}

/// What follows the bracket with which a text begins; none where it begins with something else.
fn bracketed(text: &str, open: char, close: char) -> Option<Bracket<'_>> {
    let rest = text.strip_prefix(open)?;
    let mut depth = 1;
    for (at, c) in rest.char_indices() {
        match c {
            _ if c == open && depth == DEEPEST_BRACKET => return Some(Bracket::TooDeep),
            _ if c == open => depth += 1,
            _ if c == close && depth == 1 => return Some(Bracket::Closed(&rest[..at])),
            _ if c == close => depth -= 1,
            _ => {}
        }
    }
    Some(Bracket::Open(rest))
}

/// Whether a text may be the name of an environment variable in Kubernetes, which may have dots and dashes.
fn is_name_of_kubelet(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Name and default of `NAME`, `NAME:-default` and the like; none for other expansions.
fn parameter(inner: &str) -> Option<(&str, Option<&str>)> {
    let (name, rest) = inner.split_at(name_len(inner));
    let default = [":-", ":=", "-", "="].iter().find_map(|sign| rest.strip_prefix(sign));
    (!name.is_empty() && (rest.is_empty() || default.is_some())).then_some((name, default))
}

/// The output of a command, with nothing of it but the name of the program: its arguments may be secret.
fn output_of(command: &str) -> String {
    let program = command.split_whitespace().next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    match program != OTHER && !program.is_empty() && program.len() <= 32 && program.chars().all(is_plain) {
        true => format!("$({program} {OTHER})"),
        false => format!("$({OTHER})"),
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    End,
}

impl Token {
    fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::End => None,
        }
    }
}

/// The words of command and arguments; texts that a shell is given are read as it reads them.
fn tokens(texts: &[String]) -> Vec<Token> {
    let mut out = Vec::new();
    let mut place = Place::Before;
    for (at, text) in texts.iter().enumerate() {
        let is_script = place == Place::Before && is_given_to_a_shell(&texts[..at]);
        let new = match place {
            // The argument after a script is its name, and not its first argument.
            Place::Before if is_script => script(text, texts.get(at + 2..).unwrap_or_default(), 0),
            // The image may name the shell.
            Place::Before => script(text, &[], 0),
            _ => Lexer::new(text, Mode::Argument, &[]).run(),
        };
        for token in &new {
            place = token.word().map_or(Place::Before, |word| place.after(word));
        }
        out.extend(new);
        if is_script {
            break;
        }
    }
    out
}

/// Whether what comes after these arguments is a script: `sh -c`, `tini -- /bin/bash -e -c`.
fn is_given_to_a_shell(before: &[String]) -> bool {
    let is_shell = |text: &String| {
        let name = text.rsplit('/').next().unwrap_or_default();
        matches!(name, "sh" | "ash" | "bash" | "dash" | "ksh" | "zsh")
    };
    let Some((last, rest)) = before.split_last() else { return false };
    let mut options = rest.iter().rev().take(MOST_OPTIONS);
    takes_a_script(last) && options.find(|text| !text.starts_with('-')).is_some_and(is_shell)
}

/// Whether the word after this one is a script: `sh -c`, `bash -ec`, `eval`.
fn takes_a_script(word: &str) -> bool {
    let letters = word.strip_prefix('-').and_then(|rest| rest.strip_suffix('c'));
    word == "eval" || letters.is_some_and(|l| l.len() <= 3 && l.bytes().all(|b| b.is_ascii_lowercase()))
}

fn script(text: &str, positional: &[String], depth: usize) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    for token in Lexer::new(text, Mode::Script, positional).run() {
        let is_inner = depth < DEEPEST && out.last().and_then(Token::word).is_some_and(takes_a_script);
        match token {
            Token::Word(inner) if is_inner && inner.contains(char::is_whitespace) => {
                out.extend(script(&inner, &[], depth + 1));
            }
            token => out.push(token),
        }
    }
    out
}

/// How a text is cut into words.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    /// As a shell does: quotes, comments and ends of commands count.
    Script,
    /// The value of a variable, words with quotes.
    Value,
    /// One argument, whatever it holds.
    Argument,
}

struct Lexer<'a> {
    rest: &'a str,
    mode: Mode,
    /// The arguments of the script.
    positional: &'a [String],
    /// What it may still take in of them.
    room: usize,
    word: Option<String>,
    out: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn new(rest: &'a str, mode: Mode, positional: &'a [String]) -> Self {
        Self { rest, mode, positional, room: MOST_ARGUMENTS, word: None, out: Vec::new() }
    }

    fn run(mut self) -> Vec<Token> {
        let mut quote = None;
        while let Some(c) = self.take() {
            match c {
                '$' => self.dollar(),
                _ if self.mode == Mode::Argument => self.put(c),
                '`' => self.backquote(),
                '\\' if quote != Some('\'') => match self.take() {
                    None | Some('\n') => {}
                    Some(escaped) => self.put(escaped),
                },
                _ if quote == Some(c) => quote = None,
                _ if quote.is_some() => self.put(c),
                // One that nothing closes is no quote.
                '\'' | '"' if self.rest.contains(c) => {
                    quote = Some(c);
                    self.word.get_or_insert_default();
                }
                '\'' | '"' => {}
                '\n' if self.mode == Mode::Script => self.end_command(),
                _ if c.is_whitespace() => self.end_word(),
                '#' if self.mode == Mode::Script && self.word.is_none() => {
                    self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at..]);
                }
                // `2>&1` and `&>file` end nothing.
                '&' if self.word.as_ref().is_some_and(|w| w.ends_with('>')) || self.rest.starts_with('>') => {
                    self.put(c);
                }
                ';' | '|' | '&' | '(' | ')' if self.mode == Mode::Script => self.end_command(),
                _ => self.put(c),
            }
        }
        self.end_word();
        self.out
    }

    fn take(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let c = rest.next();
        self.rest = rest.as_str();
        c
    }

    fn put(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn put_text(&mut self, text: &str) {
        self.word.get_or_insert_default().push_str(text);
    }

    fn end_word(&mut self) {
        self.out.extend(self.word.take().map(Token::Word));
    }

    fn end_command(&mut self) {
        self.end_word();
        self.out.push(Token::End);
    }

    fn backquote(&mut self) {
        let (command, rest) = self.rest.split_once('`').unwrap_or((self.rest, ""));
        self.rest = rest;
        self.put_text(&output_of(command));
    }

    /// Reads what stands after a dollar sign.
    fn dollar(&mut self) {
        // `$$` of the kubelet is a dollar sign, which a shell may read.
        let is_escaped = self.rest.starts_with('$');
        if is_escaped {
            self.take();
        }
        match self.rest.chars().next() {
            Some('(') => match self.take_bracketed('(', ')') {
                Some(command) if !is_escaped && is_name_of_kubelet(command) => {
                    self.put_text(&format!("$({command})"));
                }
                command => self.put_text(&output_of(command.unwrap_or_default())),
            },
            Some('{') => {
                let inner = self.take_bracketed('{', '}').unwrap_or_default();
                match parameter(inner) {
                    Some((name, None)) => self.put_text(&format!("${{{name}}}")),
                    Some((name, Some(default))) => {
                        self.put_text(&format!("${{{name}:-{}}}", words(default).join(" ")));
                    }
                    None if matches!(inner, "@" | "*") => self.put_arguments(),
                    None => self.put_text(&output_of("")),
                }
            }
            Some('@' | '*') => {
                self.take();
                self.put_arguments();
            }
            Some(digit @ '1'..='9') if self.mode == Mode::Script => {
                self.take();
                let at = digit as usize - '1' as usize;
                if let Some(text) = self.positional.get(at) {
                    let argument = self.argument(text).unwrap_or_else(|| output_of(""));
                    self.put_text(&argument);
                }
            }
            _ => {
                let name = &self.rest[..name_len(self.rest)];
                self.rest = &self.rest[name.len()..];
                match name {
                    "" => self.put('$'),
                    name => self.put_text(&format!("${{{name}}}")),
                }
            }
        }
    }

    /// What stands in the brackets that come next; all of the rest where nothing closes them. None where they go too deep: what
    /// comes after them is lost, too.
    fn take_bracketed(&mut self, open: char, close: char) -> Option<&'a str> {
        let (inner, rest) = match bracketed(self.rest, open, close)? {
            Bracket::Closed(inner) => (Some(inner), &self.rest[inner.len() + 2..]),
            Bracket::Open(inner) => (Some(inner), ""),
            Bracket::TooDeep => (None, ""),
        };
        self.rest = rest;
        inner
    }

    /// Puts in the arguments of the script, each a word.
    fn put_arguments(&mut self) {
        if let Some(word) = self.word.take().filter(|word| !word.is_empty()) {
            self.out.push(Token::Word(word));
        }
        for text in self.positional {
            let Some(argument) = self.argument(text) else {
                return self.out.push(Token::Word(output_of("")));
            };
            self.out.push(Token::Word(argument));
        }
    }

    /// An argument of the script; none where it has named them too often.
    fn argument(&mut self, text: &str) -> Option<String> {
        self.room = self.room.checked_sub(text.len() + 1)?;
        Some(argument(text))
    }
}

/// An argument as one word.
fn argument(text: &str) -> String {
    let tokens = Lexer::new(text, Mode::Argument, &[]).run();
    tokens.iter().filter_map(Token::word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The flags and references among the options.
    fn options(texts: &[&str]) -> String {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let mut place = Place::Before;
        let mut out: Vec<String> = Vec::new();
        for part in parts(&texts) {
            match part {
                Part::Word(word) => {
                    if place.pass(&word) && (word.starts_with(['$', '@']) || begins_a_flag(&word)) {
                        out.push(word);
                    }
                }
                Part::Set { name, value } => out.push(format!("{name}={value};")),
                Part::End => place = Place::Before,
            }
        }
        out.join(" ")
    }

    #[track_caller]
    fn check(texts: &[&str], expected: &str) {
        assert_eq!(options(texts), expected, "{texts:?}");
    }

    #[test]
    fn options_end_where_the_program_begins() {
        check(&["java", "-Xmx1100m", "-jar", "a.jar", "-Xmx128m"], "-Xmx1100m");
        check(&["/usr/bin/java", "-cp", "/a", "com.x.Main", "-Xmx2g"], "");
        check(
            &["java", "-cp", "/a", "-Xmx1g", "--add-opens", "a/b=c", "-Xss1m", "x.Main", "-Xmx2g"],
            "-Xmx1g -Xss1m",
        );
        check(&["java", "--add-opens=a/b=c", "-Xmx1g", "-m", "x/y", "-Xmx2g"], "-Xmx1g");
        check(&["java", "--module=x/y", "-Xmx2g"], "");
        check(&["java", "-p", "/mods", "--module", "x", "-Xmx2g"], "");
        check(&["java", "-Dname=two words", "-Dx=-Xmx9g", "-Xmx1g", "x.Main"], "-Xmx1g");
        for option in TAKE_NEXT {
            check(&["java", option, "value", "-Xmx1g", "x.Main", "-Xmx2g"], "-Xmx1g");
        }
        check(&["java", "@/etc/options", "-Xmx1g", "x.Main", "-Xmx2g"], "@/etc/options -Xmx1g");
        check(&["java", "-cp", "@/app/jib-classpath-file", "@/app/jib-main-class-file", "-Xmx2g"], "");
    }

    #[test]
    fn a_jvm_that_something_else_starts() {
        check(&["tini", "--", "java", "-Xmx1g", "-jar", "a.jar", "-Xmx2g"], "-Xmx1g");
        check(&["nohup", "/opt/java/bin/java", "-Xmx1g", "x.Main", "-Xmx2g"], "-Xmx1g");
        check(&["env", "A=b", "java", "-Xmx1g", "x.Main", "-Xmx2g"], "A=...; -Xmx1g");
        check(&["gosu", "java", "java", "-Xmx1g", "x.Main", "-Xmx2g"], "-Xmx1g");
        check(&["/entrypoint.sh", "java", "-Xmx1g", "-jar", "a.jar", "-Xmx2g"], "-Xmx1g");
        // The image names the launcher.
        check(&["-Xmx1g", "@options", "-jar", "a.jar", "-Xmx2g"], "-Xmx1g @options");
        check(&["/entrypoint.sh", "-Xmx1g", "-jar", "a.jar", "-Xmx2g"], "-Xmx1g");
        check(&["-g", "--", "/entrypoint.sh", "-Xmx1g", "-jar", "a.jar", "-Xmx2g"], "-Xmx1g");
        // Nobody knows what a script of the image does with them.
        check(&["/entrypoint.sh", "-Xmx2g"], "-Xmx2g");
        check(&["/entrypoint.sh", "--java-opts=-Xmx2g", "-Dx=-Xmx9g", "x", "-Xms1g"], "-Xmx2g -Xms1g");
        check(&["sh", "-c", "cd /opt/java && which java && /start.sh -Xmx2g"], "-Xmx2g");
        check(&["sh", "-c", "java -version; exec /start.sh -Xmx2g"], "-Xmx2g");
        check(&["sh", "-c", "echo starts with -Xmx2g; exec java -Xmx1g -jar a.jar"], "-Xmx1g");
        check(&["/start.sh", "-c", "/etc/conf", "-Xmx2g"], "-Xmx2g");
        check(&["sh", "-c", "/start.sh --opts \"-Xmx2g -Xms1g\""], "-Xmx2g -Xms1g");
    }

    #[test]
    fn texts_of_a_shell() {
        check(&["sh", "-c", "exec java -Xmx1g -jar a.jar -Xmx2g"], "-Xmx1g");
        check(&["java -Xmx1g -jar a.jar -Xmx2g"], "-Xmx1g");
        check(
            &["sh", "-c", "cd /opt/java && java $OPTS -Xmx1g -jar a.jar -Xmx2g 2>&1 -Xmx3g | tee x"],
            "${OPTS} -Xmx1g",
        );
        for end in [";", " && ", " || ", "\n", "|", "&"] {
            check(
                &["sh", "-c", &format!("java -jar setup.jar -Xmx1g{end}java -Xmx2g x.Main -Xmx3g")],
                "-Xmx2g",
            );
            check(&["sh", "-c", &format!("java -Xmx2g x.Main{end}echo -Xmx3g")], "-Xmx2g");
        }
        check(&["sh", "-c", "java \\\n  -Dname=\"two words\" -Dlist=a,b -Xmx1g -jar a.jar"], "-Xmx1g");
        check(
            &["sh", "-c", "java -XX:OnOutOfMemoryError='kill -9 %p; x' ${A:-b c} -Xmx1g x.Main"],
            "${A:-... ...} -Xmx1g",
        );
        check(
            &["sh", "-c", "# java -Xmx9g\nexec env A=b nohup $JAVA_HOME/bin/java -Xmx1g x.Main -Xmx2g"],
            "A=...; -Xmx1g",
        );
        check(&["bash", "-ec", "su app -c 'java -Xmx1g -jar a.jar -Xmx2g'"], "-Xmx1g");
        check(&["sh", "-c", "eval \"exec java -Xmx1g -jar a.jar -Xmx2g\""], "-Xmx1g");
    }

    #[test]
    fn arguments_of_a_script() {
        let jvm = ["--", "-Xmx1g", "-jar", "a.jar", "-Xmx2g"];
        let with = |script: &'static str| options(&[&["sh", "-c", script][..], &jvm].concat());
        assert_eq!(with("java $OPTS \"$@\""), "${OPTS} -Xmx1g");
        assert_eq!(with("java $1 -jar a.jar"), "-Xmx1g");
        assert_eq!(with("java -jar a.jar \"$@\""), "");
        assert_eq!(with("java -Xss1m -jar a.jar"), "-Xss1m", "nothing takes them");
        check(&["sh", "-c", "exec \"$@\"", "--", "java", "-Xmx1g", "-jar", "a.jar", "-Xmx2g"], "-Xmx1g");
    }

    #[test]
    fn what_scripts_set() {
        check(&["sh", "-c", "export HEAP=1g; java -Xmx$HEAP -jar a.jar"], "HEAP=1g; -Xmx${HEAP}");
        check(&["sh", "-c", "OPTS+=\" -Xmx1g\"; java $OPTS -jar a.jar"], "OPTS=${OPTS} -Xmx1g; ${OPTS}");
        check(&["sh", "-c", "JAVA_OPTS=\"-Xmx1g -Dpw=hunter2\" /start.sh"], "JAVA_OPTS=-Xmx1g -...;");
    }

    #[test]
    fn outputs_of_commands() {
        check(&["sh", "-c", "java $(cat /opts hunter2) -jar a.jar"], "$(cat ...)");
        check(&["sh", "-c", "java `cat /opts` -jar a.jar"], "$(cat ...)");
        check(&["sh", "-c", "java -Xmx$(curl -H hunter2 $(x) http://y)m -jar a.jar"], "-Xmx$(curl ...)m");
        check(&["sh", "-c", "java -Xmx$((LIMIT * 3 / 4))m -jar a.jar"], "-Xmx$(...)m");
        check(&["sh", "-c", "java -Xmx$$(heap) $${A} ${B%%x} -jar a.jar"], "-Xmx$(heap ...) ${A} $(...)");
        assert_eq!(
            words("-Xmx$(cat /x)m a, '-Xss1m' -Dx=\"y z\""),
            ["-Xmx$(cat ...)m", "...", "-Xss1m", "-..."]
        );
        assert_eq!(words("-Dsaid=it's -Xmx1g"), ["-...", "-Xmx1g"], "nothing closes the quote");
    }

    #[test]
    fn unclosed_texts_are_read() {
        for text in ["java \"-Xmx1g", "java -Xmx1g $(", "java -Xmx1g ${", "java -Xmx1g `", "java -Xmx1g \\"] {
            assert!(options(&[text]).starts_with("-Xmx1g"), "{text}: {}", options(&[text]));
        }
    }

    /// Each of these once cost the stack, minutes or all memory.
    #[test]
    fn texts_that_are_made_to_do_harm_are_read() {
        let nested = |depth: usize| format!("-Xmx{}1g{}", "${A:-".repeat(depth), "}".repeat(depth));
        check(&["java", &nested(3), "-jar", "a.jar"], "-Xmx${A:-${A:-${A:-1g}}}");
        for text in [nested(100_000), nested(17), format!("-Xmx{}", "${A:-".repeat(100_000))] {
            check(&["java", &text, "-Xss1m", "-jar", "a.jar"], "-Xmx$(...) -Xss1m");
            check(&["sh", "-c", &format!("java -Xss1m {text}")], "-Xss1m -Xmx$(...)");
            assert_eq!(words(&text), ["-Xmx$(...)"]);
        }
        assert_eq!(words(&format!("-Xmx{}x", "$(".repeat(100_000))), ["-Xmx$(...)"]);
        // Signs that a backslash guards become brackets later.
        for open in [r"$\{A:-", r"$\("] {
            let texts = [format!("java -Xmx{}", open.repeat(100_000))];
            let Some(Part::Word(word)) = parts(&texts).pop() else { panic!("{open}") };
            assert!(matches!(segments(&word)[..], [Segment::Text("-Xmx"), Segment::Command(_)]), "{open}");
        }
        let (script, argument) = ("java ".to_owned() + &"$@ $1 ".repeat(10_000), "-Xss1m".repeat(10_000));
        let size = |texts: &[&str]| options(texts).len();
        assert!(size(&["sh", "-c", &script, "--", &argument, "-Xmx1g"]) < 1_000_000);
        assert!(parts(&vec!["-c".to_owned(); 100_000]).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[-$(){}`'\":=@#\\\\&;|a-zA-Z0-9. \nü]{0,40}") {
            for word in words(&text) {
                prop_assert_eq!(kept(&word), word);
            }
            let _ = parts(&[text.clone(), format!("java {text}"), text]);
        }
    }
}
