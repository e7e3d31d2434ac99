//! Commands that ask a query API from within a pod, and what their output means. Pure.
//!
//! No shell is between: every argument arrives as it is, so nothing needs quoting.

use crate::prometheus::{QueryRequest, Style};

/// A command that an image may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// Of busybox (the image of Prometheus has it) or GNU.
    Wget,
    /// A wget that cannot POST.
    WgetGet,
    Curl,
    /// Of images without any of these; knows queries only.
    Promtool,
}

/// In the order in which they are tried.
pub(super) const TOOLS: &[Tool] = &[Tool::Wget, Tool::WgetGet, Tool::Curl, Tool::Promtool];

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ran {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
    /// None when it did not even start.
    pub(super) code: Option<i32>,
    /// What the API server says about the end.
    pub(super) said: String,
}

/// What the end of a command means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The query API has answered.
    Answer {
        status: u16,
        body: Vec<u8>,
    },
    /// The pod does not have the command, or one that cannot do this.
    Missing,
    Failed {
        why: String,
        may_pass: bool,
    },
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wget => "wget",
            Self::WgetGet => "wget (GET)",
            Self::Curl => "curl",
            Self::Promtool => "promtool",
        }
    }

    /// The command for a request below `base`; none when the tool cannot make it.
    pub(super) fn command(self, base: &str, request: &QueryRequest) -> Option<Vec<String>> {
        let form: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.params).finish();
        let url = format!("{base}{}", request.path);
        let in_url = format!("{url}?{form}");
        let words: Vec<&str> = match (self, request.style) {
            (Self::Wget, Style::Form) => vec!["wget", "-q", "-O", "-", "--post-data", &form, &url],
            (Self::Wget, Style::Url) => vec!["wget", "-q", "-O", "-", "--post-data", "", &in_url],
            (Self::WgetGet, Style::Form | Style::Get) => vec!["wget", "-q", "-O", "-", &in_url],
            (Self::Wget | Self::WgetGet, _) => return None,
            (Self::Curl, style) => {
                let mut words = vec!["curl", "-sS", "-g", "-w", "\n%{http_code}"];
                match style {
                    Style::Form => words.extend(["--data", &form, &url]),
                    Style::Url => words.extend(["-X", "POST", &in_url]),
                    Style::Get => words.push(&in_url),
                }
                words
            }
            (Self::Promtool, _) => return promtool(base, request),
        };
        Some(words.into_iter().map(str::to_owned).collect())
    }

    /// What came of the command.
    pub(super) fn read(self, request: &QueryRequest, ran: Ran) -> Outcome {
        let Ran { mut stdout, stderr, code, said } = ran;
        let last = |text: &str| {
            let line = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message").trim();
            line.chars().take(300).collect::<String>()
        };
        let Some(code) = code else {
            let lower = said.to_lowercase();
            let absent = ["executable file not found", "no such file or directory", "not found in $path"];
            if absent.iter().any(|words| lower.contains(words)) {
                return Outcome::Missing;
            }
            // What the command itself said, if it got that far, is worth more.
            let words = if stderr.trim().is_empty() { last(&said) } else { last(&stderr) };
            return Outcome::Failed { why: format!("cannot run {}: {words}", self.name()), may_pass: true };
        };
        if matches!(code, 126 | 127) {
            return Outcome::Missing;
        }
        let lower = stderr.to_lowercase();
        if code != 0 && (lower.contains("unrecognized option") || lower.contains("invalid option")) {
            return Outcome::Missing;
        }
        let failed = |code: i32| Outcome::Failed {
            why: format!("{} in the pod ended with {code}: {}", self.name(), last(&stderr)),
            may_pass: true,
        };
        match self {
            Self::Wget | Self::WgetGet => match (code, status_in(&stderr)) {
                (0, _) => Outcome::Answer { status: 200, body: stdout },
                (_, Some(status)) => refusal(status, &last(&stderr)),
                // GNU wget, which is silent about what the server said.
                (8, None) => Outcome::Failed {
                    why: "the server refused the query, and wget does not tell why".to_owned(),
                    may_pass: false,
                },
                (code, None) => failed(code),
            },
            Self::Curl if code == 0 => {
                let at = stdout.iter().rposition(|b| *b == b'\n').unwrap_or(0);
                let status = std::str::from_utf8(&stdout[at..]).ok().and_then(|s| s.trim().parse().ok());
                stdout.truncate(at);
                match status {
                    Some(status) => Outcome::Answer { status, body: stdout },
                    None => Outcome::Failed {
                        why: "the output of curl in the pod is cut off".to_owned(),
                        may_pass: true,
                    },
                }
            }
            Self::Promtool if code == 0 => {
                let result = stdout.trim_ascii();
                let kind = match (request.path, result.first_chunk::<2>()) {
                    ("/api/v1/query_range", _) => "matrix",
                    (_, Some(b"[{" | b"[]")) => "vector",
                    _ => "scalar",
                };
                let head = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":"#);
                let body = [head.as_bytes(), result, b"}}"].concat();
                Outcome::Answer { status: 200, body }
            }
            Self::Promtool if lower.contains("bad_data") => refusal(400, &last(&stderr)),
            Self::Curl | Self::Promtool => failed(code),
        }
    }
}

/// An answer as the query API would have given it.
fn refusal(status: u16, said: &str) -> Outcome {
    let body = serde_json::json!({"status": "error", "errorType": "execution", "error": said});
    Outcome::Answer { status, body: body.to_string().into_bytes() }
}

/// The status in busybox' `wget: server returned error: HTTP/1.1 400 Bad Request`.
fn status_in(stderr: &str) -> Option<u16> {
    let after = stderr.split("HTTP/1.").nth(1)?;
    after.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn promtool(base: &str, request: &QueryRequest) -> Option<Vec<String>> {
    let param = |key: &str| request.params.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str());
    let expression = param("query")?;
    let mut words: Vec<String> = ["promtool", "query", "-o", "json"].map(str::to_owned).to_vec();
    match request.path {
        "/api/v1/query" => {
            words.push("instant".to_owned());
            words.extend(param("time").map(|time| format!("--time={time}")));
        }
        "/api/v1/query_range" => {
            let step = param("step")?;
            // It wants a duration where the API also takes seconds.
            let unit = if step.parse::<f64>().is_ok() { "s" } else { "" };
            words.push("range".to_owned());
            words.push(format!("--start={}", param("start")?));
            words.push(format!("--end={}", param("end")?));
            words.push(format!("--step={step}{unit}"));
        }
        _ => return None,
    }
    // After this an expression that begins with a minus is none of its flags.
    words.extend(["--".to_owned(), base.to_owned(), expression.to_owned()]);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://127.0.0.1:9090";

    fn range(query: &str, style: Style) -> QueryRequest {
        let params = [("query", query), ("start", "100"), ("end", "400"), ("step", "300")];
        QueryRequest {
            path: "/api/v1/query_range",
            params: params.map(|(k, v)| (k, v.to_owned())).to_vec(),
            style,
        }
    }

    #[test]
    fn commands_hold_the_query_as_one_word() {
        let hostile = r#"up{a="$(reboot); 'b' `c`"}"#;
        let form = "query=up%7Ba%3D%22%24%28reboot%29%3B+%27b%27+%60c%60%22%7D&start=100&end=400&step=300";
        let check = |tool: Tool, style, expected: &[&str]| {
            assert_eq!(tool.command(BASE, &range(hostile, style)).unwrap(), expected, "{tool:?}");
        };
        let url = format!("{BASE}/api/v1/query_range");
        let in_url = format!("{url}?{form}");
        check(Tool::Wget, Style::Form, &["wget", "-q", "-O", "-", "--post-data", form, &url]);
        check(Tool::WgetGet, Style::Get, &["wget", "-q", "-O", "-", &in_url]);
        check(Tool::Curl, Style::Form, &["curl", "-sS", "-g", "-w", "\n%{http_code}", "--data", form, &url]);
        check(Tool::Curl, Style::Url, &["curl", "-sS", "-g", "-w", "\n%{http_code}", "-X", "POST", &in_url]);
        check(
            Tool::Promtool,
            Style::Form,
            &[
                "promtool",
                "query",
                "-o",
                "json",
                "range",
                "--start=100",
                "--end=400",
                "--step=300s",
                "--",
                BASE,
                hostile,
            ],
        );
        assert_eq!(Tool::WgetGet.command(BASE, &range("up", Style::Url)), None);
    }

    fn ran(code: i32, stdout: &str, stderr: &str) -> Ran {
        Ran { stdout: stdout.into(), stderr: stderr.into(), code: Some(code), said: String::new() }
    }

    fn read(tool: Tool, ran: Ran) -> String {
        match tool.read(&range("up", Style::Form), ran) {
            Outcome::Answer { status, body } => format!("{status} {}", String::from_utf8(body).unwrap()),
            Outcome::Missing => "missing".to_owned(),
            Outcome::Failed { why, may_pass } => format!("{may_pass} {why}"),
        }
    }

    #[test]
    fn answers_and_refusals_are_read_from_the_output() {
        assert_eq!(read(Tool::Wget, ran(0, "{}", "")), "200 {}");
        assert_eq!(
            read(Tool::Wget, ran(1, "", "wget: server returned error: HTTP/1.1 422 Unprocessable Entity\n")),
            r#"422 {"error":"wget: server returned error: HTTP/1.1 422 Unprocessable Entity","errorType":"execution","status":"error"}"#
        );
        assert_eq!(
            read(Tool::Wget, ran(8, "", "")),
            "false the server refused the query, and wget does not tell why"
        );
        assert_eq!(
            read(
                Tool::Wget,
                ran(1, "", "wget: can't connect to remote host (127.0.0.1): Connection refused")
            ),
            "true wget in the pod ended with 1: wget: can't connect to remote host (127.0.0.1): Connection refused"
        );
        assert_eq!(read(Tool::Wget, ran(1, "", "wget: unrecognized option: post-data")), "missing");
        assert_eq!(read(Tool::Curl, ran(0, "{\"a\":\n1}\n200", "")), "200 {\"a\":\n1}");
        assert_eq!(read(Tool::Curl, ran(0, "no\n503", "")), "503 no");
        assert_eq!(read(Tool::Curl, ran(0, "", "")), "true the output of curl in the pod is cut off");
        assert!(
            read(Tool::Curl, ran(7, "", "curl: (7) Failed to connect"))
                .starts_with("true curl in the pod ended with 7")
        );
        assert_eq!(
            read(Tool::Promtool, ran(0, "[{\"metric\":{},\"values\":[]}]\n", "")),
            r#"200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[]}]}}"#
        );
        assert!(read(Tool::Promtool, ran(1, "", "query error: bad_data: parse error")).starts_with("400 {"));
    }

    #[test]
    fn a_scalar_of_promtool_is_told_from_a_vector() {
        let request =
            QueryRequest { path: "/api/v1/query", params: vec![("query", "1".into())], style: Style::Form };
        let kind = |out: &str| match Tool::Promtool.read(&request, ran(0, out, "")) {
            Outcome::Answer { body, .. } => {
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                body["data"]["resultType"].as_str().unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (kind("[1795251909,\"1\"]"), kind("[]"), kind("[{\"metric\":{},\"value\":[1,\"1\"]}]")),
            ("scalar".into(), "vector".into(), "vector".into())
        );
    }

    #[test]
    fn a_command_that_is_not_there_is_missing() {
        let started = |said: &str| read(Tool::Curl, Ran { said: said.to_owned(), ..Ran::default() });
        assert_eq!(
            started("OCI runtime exec failed: exec: \"curl\": executable file not found in $PATH: unknown"),
            "missing"
        );
        assert_eq!(read(Tool::Curl, ran(127, "", "sh: curl: not found")), "missing");
        let half = Ran {
            stderr: "wget: bad address\n".to_owned(),
            said: "exit status 4".to_owned(),
            ..Ran::default()
        };
        assert_eq!(read(Tool::Wget, half), "true cannot run wget: wget: bad address");
        assert!(started("container not running").starts_with("true cannot run curl: container not running"));
    }
}
