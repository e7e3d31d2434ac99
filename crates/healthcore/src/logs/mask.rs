//! Takes out of a message what changes from one to the next, and what is secret.

/// What stands for a part that changes.
pub(super) const ANY: &[u8] = b"<*>";
const REDACTED: &[u8] = b"<redacted>";

/// Parts of a name behind which, after `=` or `:`, a secret stands. In lower case, without `-` and `_`.
pub const SECRET_NAMES: [&str; 18] = [
    "passw",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accountkey",
    "privatekey",
    "encryptionkey",
    "signingkey",
    "masterkey",
    "credential",
    "authorization",
    "cookie",
    "sessionid",
    "signature",
];

/// Names that are those of a secret only as a whole word (`DB_PASS`, `userPass`, `&sig=` of Azure): others begin with them.
pub const SECRET_WORDS: [&str; 3] = ["pass", "sig", "pw"];

/// How tokens begin that tell what they are, and how many characters follow at least.
pub const SECRET_TOKENS: [(&str, usize); 36] = [
    // Slack
    ("xoxa-", 10),
    ("xoxb-", 10),
    ("xoxe-", 10),
    ("xoxo-", 10),
    ("xoxp-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    // GitHub
    ("ghp_", 10),
    ("gho_", 10),
    ("ghs_", 10),
    ("ghu_", 10),
    ("ghr_", 10),
    ("github_pat_", 10),
    // GitLab
    ("glpat-", 10),
    ("gldt-", 10),
    ("glrt-", 10),
    ("glptt-", 10),
    ("glcbt-", 10),
    ("glsoat-", 10),
    // Stripe
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("whsec_", 16),
    // npm, PyPI, DigitalOcean, Vault
    ("npm_", 30),
    ("pypi-AgEI", 16),
    ("dop_v1_", 32),
    ("hvs.", 20),
    // Ids of keys of AWS and of Alibaba Cloud, keys of Google
    ("AKIA", 16),
    ("ASIA", 16),
    ("LTAI", 12),
    ("AIza", 30),
    // OpenAI, Anthropic
    ("sk-proj-", 20),
    ("sk-ant-", 20),
    // What JSON in base64 begins with: JSON web tokens
    ("eyJ", 8),
];

/// Writes the message into `out`: numbers, addresses, ids and times become `<*>`, secrets `<redacted>`, e-mail addresses
/// `<email>`; white space is single. Names, codes of errors (`ORA-00942`), versions (`v2`) and the status of a request
/// stay.
pub(super) fn mask(message: &[u8], out: &mut Vec<u8>) {
    out.clear();
    Masking { text: message, at: 0, out, secret: Secret::No }.run();
    if out.last() == Some(&b' ') {
        out.pop();
    }
}

/// Whether a secret is about to come.
#[derive(Clone, Copy, PartialEq)]
enum Secret {
    No,
    /// A name of one was read.
    Named,
    /// And what separates it from its value.
    Next,
}

struct Masking<'m> {
    text: &'m [u8],
    at: usize,
    out: &'m mut Vec<u8>,
    secret: Secret,
}

impl Masking<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.text.get(self.at).copied() {
            if is_word(byte) {
                self.word();
            } else {
                self.separator(byte);
            }
        }
    }

    fn word(&mut self) {
        let rest = &self.text[self.at..];
        let (mut length, mut any, mut all) = (0, 0, u8::MAX);
        for byte in rest {
            let kind = KINDS[*byte as usize];
            if kind & WORD == 0 {
                break;
            }
            (length, any, all) = (length + 1, any | kind, all & kind);
        }
        let (word, end) = (&rest[..length], self.at + length);
        if self.secret == Secret::Next {
            let value_end = self.end_of_value(end);
            self.out.extend_from_slice(REDACTED);
            self.at = value_end;
            self.secret = Secret::No;
            return;
        }
        self.secret = Secret::No;
        if is_token(word) {
            self.out.extend_from_slice(REDACTED);
            if let Some(end) = self.end_of_key(word, end) {
                self.at = end;
                return;
            }
        } else {
            if any & DIGIT == 0 {
                self.out.extend_from_slice(word);
            } else {
                self.piece(word, all & NUMBER != 0);
            }
            if is_scheme(word) && self.text.get(end) == Some(&b' ') && self.text.len() > end + 8 {
                self.secret = Secret::Next;
            } else if self.may_be_name(end) && names_secret(word) {
                self.secret = Secret::Named;
            }
        }
        self.at = end;
    }

    /// Whether what stands behind a word lets it be the name of a value.
    fn may_be_name(&self, end: usize) -> bool {
        let after = self.text[end..].trim_ascii_start();
        matches!(after.first(), Some(b'=' | b':' | b'\'' | b'"' | b'\\'))
    }

    fn separator(&mut self, byte: u8) {
        let rest = &self.text[self.at..];
        if rest.starts_with(b"://") {
            self.out.extend_from_slice(b"://");
            self.at += 3;
            let authority = &self.text[self.at..];
            let end = authority
                .iter()
                .position(|b| matches!(b, b' ' | b'\t' | b'/' | b'"' | b'\'' | b'?'))
                .unwrap_or(authority.len());
            if let Some(user) = authority[..end].iter().rposition(|b| *b == b'@') {
                self.out.extend_from_slice(REDACTED);
                self.at += user;
            }
            self.secret = Secret::No;
            return;
        }
        self.secret = match (self.secret, byte) {
            (Secret::Named, b'=' | b':' | b'\'') => Secret::Next,
            // A quotation mark may close the name or open the value.
            (Secret::Named, b'"' | b'\\') => Secret::Named,
            (Secret::Named, b' ') if rest.get(1).is_some_and(|b| b"=:'\"".contains(b)) => Secret::Named,
            (Secret::Next, b' ' | b'"' | b'\'' | b'\\' | b'=' | b':') => Secret::Next,
            // `=>` of Ruby and PHP.
            (Secret::Next, b'>') if self.text[..self.at].ends_with(b"=") => Secret::Next,
            // A value that begins with a mark is one too.
            (Secret::Next, b',' | b';' | b'}' | b')' | b']') => Secret::No,
            (Secret::Next, _) => {
                let end = self.end_of_value(self.at + 1);
                self.out.extend_from_slice(REDACTED);
                self.at = end;
                self.secret = Secret::No;
                return;
            }
            _ => Secret::No,
        };
        if byte == b'@' && self.mail() {
            return;
        }
        match byte {
            byte if byte <= b' ' || byte == 0x7f => {
                if !self.out.is_empty() && self.out.last() != Some(&b' ') {
                    self.out.push(b' ');
                }
            }
            byte => self.out.push(byte),
        }
        self.at += 1;
    }

    /// Where a value ends that begins before `from`: at the quotation mark that closes it, else at the next white space,
    /// quotation mark or comma. The name of a scheme (`Bearer`) takes the word behind it along.
    fn end_of_value(&self, from: usize) -> usize {
        if let Some(end) = self.end_of_quoted(from) {
            return end;
        }
        let end = |from: usize| {
            let rest = &self.text[from.min(self.text.len())..];
            from + rest.iter().position(|b| b" \t\"',;&)}]".contains(b)).unwrap_or(rest.len())
        };
        let first = end(from);
        if is_scheme(&self.text[self.at..first.min(self.text.len())]) && self.text.get(first) == Some(&b' ') {
            return end(first + 1);
        }
        first
    }

    /// Where the mark is that closes a value, if it stands in quotation marks.
    fn end_of_quoted(&self, from: usize) -> Option<usize> {
        let (mark, before) = self.text[..self.at].split_last().filter(|(mark, _)| b"\"'".contains(mark))?;
        // In a text within a text both marks are escaped, else what is escaped closes nothing; nor does what a word follows,
        // before which an escape was undone.
        let is_escaped = before.ends_with(b"\\");
        let mut end = from;
        while self.text.get(end)? != mark || self.text.get(end + 1).is_some_and(|b| is_word(*b)) {
            end += if self.text[end] == b'\\' && !is_escaped { 2 } else { 1 };
        }
        let value = &self.text[from..end];
        let closing = value.iter().rev().take_while(|b| is_escaped && **b == b'\\').count();
        Some(end - closing)
    }

    /// Where the secret of a key ends that stands behind its id: of AWS it has 40 characters, of Alibaba Cloud 30.
    fn end_of_key(&self, id: &[u8], end: usize) -> Option<usize> {
        let length = match id.get(..4)? {
            b"AKIA" | b"ASIA" => 40,
            b"LTAI" => 30,
            _ => return None,
        };
        let behind = &self.text[end..];
        let from = behind.iter().position(|b| !b" \t\"':,;|/".contains(b)).filter(|from| *from > 0)?;
        let of_key = |b: &&u8| b.is_ascii_alphanumeric() || matches!(**b, b'/' | b'+');
        (behind[from..].iter().take_while(of_key).count() == length).then_some(end + from + length)
    }

    /// An address of e-mail whose sign is here, if it is one.
    fn mail(&mut self) -> bool {
        let host = &self.text[self.at + 1..];
        let end = host.iter().take_while(|b| is_word(**b)).count();
        let user = self.at.checked_sub(1).is_some_and(|before| self.text[before].is_ascii_alphanumeric());
        let letters = host[..end].iter().any(u8::is_ascii_alphabetic);
        if !user || !letters || !host[..end].contains(&b'.') {
            return false;
        }
        let start = self.out.iter().rposition(|b| b" \"'=([,;:".contains(b)).map_or(0, |at| at + 1);
        self.out.truncate(start);
        self.out.extend_from_slice(b"<email>");
        self.at += 1 + end;
        true
    }

    /// Writes a word with a digit, the parts that change masked; `is_number` when it has nothing that a hexadecimal number
    /// has not.
    fn piece(&mut self, word: &[u8], is_number: bool) {
        if self.is_status(word) {
            self.out.extend_from_slice(word);
            return;
        }
        if is_number {
            self.any();
            return;
        }
        let mut before: &[u8] = &[];
        for part in word.split_inclusive(|b| b"-._".contains(b)) {
            let (own, mark) = match part.split_last() {
                Some((mark, own)) if b"-._".contains(mark) => (own, Some(*mark)),
                _ => (part, None),
            };
            let is_code = before.len() >= 2
                && before.ends_with(b"-")
                && before[..before.len() - 1].iter().all(u8::is_ascii_uppercase)
                && (3..=6).contains(&own.len());
            if own.iter().any(u8::is_ascii_digit) && !is_code && !is_name(own) {
                self.any();
            } else {
                self.out.extend_from_slice(own);
            }
            self.out.extend(mark);
            before = part;
        }
    }

    /// Writes that something changes here, once where several such parts follow each other.
    fn any(&mut self) {
        if let Some((mark, rest)) = self.out.split_last()
            && b".:-/_,+".contains(mark)
            && rest.ends_with(ANY)
        {
            self.out.pop();
        } else if !self.out.ends_with(ANY) {
            self.out.extend_from_slice(ANY);
        }
    }

    /// Whether a number is the status of a request: 100 to 599 behind a word such as `status` or `code`.
    fn is_status(&self, word: &[u8]) -> bool {
        if word.len() != 3 || !(b'1'..=b'5').contains(&word[0]) {
            return false;
        }
        let before = self.out.trim_ascii_end();
        let before = before.strip_suffix(b"=").or(before.strip_suffix(b":")).unwrap_or(before);
        // `response code is 503`, `status of 503`
        let before = before.strip_suffix(b" is").or(before.strip_suffix(b" of")).unwrap_or(before);
        [&b"status"[..], b"code", b"http", b"answered", b"returned", b"responded with"].iter().any(|name| {
            before.len() >= name.len() && before[before.len() - name.len()..].eq_ignore_ascii_case(name)
        })
    }
}

/// A byte of a word.
const WORD: u8 = 1;
/// A decimal digit.
const DIGIT: u8 = 2;
/// A hexadecimal digit, or what stands between the parts of a number.
const NUMBER: u8 = 4;

/// What each byte is: every byte of every error is looked up here.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let joins = matches!(byte, b'-' | b'.' | b'_');
        if byte.is_ascii_alphanumeric() || joins || byte >= 0x80 {
            kinds[at] |= WORD;
        }
        if byte.is_ascii_digit() {
            kinds[at] |= DIGIT;
        }
        if byte.is_ascii_hexdigit() || joins {
            kinds[at] |= NUMBER;
        }
        at += 1;
    }
    kinds
};

fn is_word(byte: u8) -> bool {
    KINDS[byte as usize] & WORD != 0
}

/// A word with a digit that is a name all the same: letters, at most two digits and at most one letter more (`v1`, `http2`,
/// `log4j`), or very few digits among many letters (`IntakeV2Handler`).
fn is_name(part: &[u8]) -> bool {
    let letters = part.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let digits = part[letters..].iter().take_while(|b| b.is_ascii_digit()).count();
    let all_digits = part.iter().filter(|b| b.is_ascii_digit()).count();
    let short = (1..=6).contains(&letters) && (1..=2).contains(&digits) && part.len() - letters - digits <= 1;
    short || letters > 0 && all_digits <= 2 && part.len() >= 8 * all_digits
}

/// The name of a scheme of authorization, behind which credentials stand.
fn is_scheme(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"bearer") || word.eq_ignore_ascii_case(b"basic")
}

/// Whether a word is a secret that needs no name.
fn is_token(word: &[u8]) -> bool {
    const SHORTEST: usize = 11;
    let begins = |(prefix, least): &(&str, usize)| {
        word.len() >= prefix.len() + least && word.starts_with(prefix.as_bytes())
    };
    word.len() >= SHORTEST && SECRET_TOKENS.iter().any(begins)
}

fn names_secret(word: &[u8]) -> bool {
    const LONGEST: usize = 48;
    if SECRET_WORDS.iter().any(|name| ends_in_word(word, name.as_bytes())) {
        return true;
    }
    let mut lower = [0; LONGEST];
    let mut length = 0;
    // The end of a name tells what it is.
    for byte in &word[word.len().saturating_sub(LONGEST)..] {
        if !b"-_.".contains(byte) {
            lower[length] = byte.to_ascii_lowercase();
            length += 1;
        }
    }
    let lower = &lower[..length];
    let begins = |at: usize| SECRET_NAMES.iter().any(|name| lower[at..].starts_with(name.as_bytes()));
    (0..length).any(|at| matches!(lower[at], b'a' | b'c' | b'e' | b'm' | b'p' | b's' | b't') && begins(at))
}

/// Whether the last word of a name is this one, behind a separator or with a capital.
fn ends_in_word(name: &[u8], word: &[u8]) -> bool {
    let Some(from) = name.len().checked_sub(word.len()) else { return false };
    let (before, end) = name.split_at(from);
    end.eq_ignore_ascii_case(word)
        && before
            .last()
            .is_none_or(|b| b"-_.".contains(b) || !b.is_ascii_uppercase() && end[0].is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(message: &str, expected: &str) {
        let mut out = Vec::new();
        mask(message.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{message}");
    }

    #[test]
    fn what_changes_is_masked() {
        check(
            "dial tcp 10.1.2.3:8200: connect: connection refused",
            "dial tcp <*>: connect: connection refused",
        );
        check("took  1,234.5 ms\tat 2026-11-20T01:00:00.123Z", "took <*> ms at <*>");
        check("order 123e4567-e89b-12d3-a456-426614174000 lost", "order <*> lost");
        check(
            "pod api-7d9c5bd4f7-x2x9z: GET /api/v1/users/42?p=7",
            "pod api-<*>: GET /api/v1/users/<*>?p=<*>",
        );
        check("ORA-00942: table does not exist", "ORA-00942: table does not exist");
        check("upstream answered 503, code=429, in 503 ms", "upstream answered 503, code=429, in <*> ms");
        check("response code is 503 (503)", "response code is 503 (<*>)");
        check("a status of 429, order 429 is lost", "a status of 429, order <*> is lost");
        check("log4j over http2 with IntakeV2Handler", "log4j over http2 with IntakeV2Handler");
        check("at 0x7fff5fbff8c0", "at <*>");
    }

    /// The search for names looks at their first letters only where one can begin.
    #[test]
    fn every_name_of_a_secret_is_found_anywhere() {
        for name in SECRET_NAMES {
            let name = name.to_uppercase();
            check(&format!("x{name}y=hunter end"), &format!("x{name}y=<redacted> end"));
        }
    }

    #[test]
    fn secrets_are_taken_out() {
        check("DB_PASSWORD=hunter retry", "DB_PASSWORD=<redacted> retry");
        check("{\"apiKey\": \"abcdef\", \"n\": \"x\"}", "{\"apiKey\": \"<redacted>\", \"n\": \"x\"}");
        check("password 'hunter' refused", "password '<redacted>' refused");
        check("Authorization: Bearer abc.def rest", "Authorization: <redacted> rest");
        check("sent bearer abcdefghij to it", "sent bearer <redacted> to it");
        check("dial amqp://bob:hunter@mq:5672/x", "dial amqp://<redacted>@mq:<*>/x");
        check("jwt eyJhbGciOiJIUzI.eyJzdWIi.c2ln end", "jwt <redacted> end");
        for (prefix, least) in SECRET_TOKENS {
            let token = format!("{prefix}{}", "a".repeat(least));
            check(&format!("used {token} end"), "used <redacted> end");
            check(&format!("used {prefix} end"), &format!("used {prefix} end"));
        }
        check("no user bob.smith@mail.example here", "no user <email> here");
        check("password authentication failed for user bob", "password authentication failed for user bob");
        check("GET /a?token=abc&x=y", "GET /a?token=<redacted>&x=y");
        check("secret=$ecret! end", "secret=<redacted> end");
        check("X-Api-Key: abc", "X-Api-Key: <redacted>");
        for name in ["pass", "PASS", "DB_PASS", "smtp.pass", "userPass", "dbPass", "DB_PW"] {
            check(&format!("no login with {name}=hunter2"), &format!("no login with {name}=<redacted>"));
        }
        check("{\"pass\": \"hunter2\"}", "{\"pass\": \"<redacted>\"}");
        check("GET /c?sv=x&sig=a%2Fb%3D&se=x", "GET /c?sv=x&sig=<redacted>&se=x");
        check("pw=hunter2 app.pw: hunter2", "pw=<redacted> app.pw: <redacted>");
        check("login with \"password\" => \"hunter2\"", "login with \"password\" => \"<redacted>\"");
        check("{\"password\"=>\"hunter2\", n=>x}", "{\"password\"=>\"<redacted>\", n=>x}");
        check("{\"password\":\"PW\\\"PW, x\", n}", "{\"password\":\"<redacted>\", n}");
        check("{\"password\":\"PW\"PW\"}", "{\"password\":\"<redacted>\"}");
        check("{\\\"token\\\": \\\"a b\\\", n}", "{\\\"token\\\": \\\"<redacted>\\\", n}");
        check("password='a b' n, password=\"a b", "password='<redacted>' n, password=\"<redacted> b");
        check("secret_key => hunter2 x", "secret_key => <redacted> x");
        check("secret_key => >hunter2 x", "secret_key => <redacted> x");
        check("keys AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY x", "keys <redacted> x");
        check("AKIAIOSFODNN7EXAMPLE is of /home/shop", "<redacted> is of /home/shop");
        check("AccountKey=abc==;Suffix=x", "AccountKey=<redacted>;Suffix=x");
        check(
            "bypass=yes encompass: all signal: TERM passed: x",
            "bypass=yes encompass: all signal: TERM passed: x",
        );
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_masked(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut out = Vec::new();
            mask(&text, &mut out);
            prop_assert!(out.iter().all(|b| *b >= b' '));
        }

        #[test]
        fn a_named_secret_never_stays(secret in "[a-zA-Z0-9!$%^*._-]{6,30}", sign in prop::sample::select(&["=", ": ", "=\"", "\": \"", "='", " => ", "\"=>\""][..]), name in prop::sample::select(&["password", "client_secret", "X-Auth-Token", "AWS_SECRET_ACCESS_KEY"][..])) {
            let mut out = Vec::new();
            mask(format!("cannot log in with {name}{sign}{secret} at all").as_bytes(), &mut out);
            let out = String::from_utf8_lossy(&out).into_owned();
            prop_assert!(!out.contains(&secret), "{}", out);
        }
    }
}
