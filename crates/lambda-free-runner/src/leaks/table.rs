//! One series from a table of text: a convenience for what a spreadsheet or a query tool exports.

use std::io::{BufRead, BufReader, Read};

use csv::StringRecord;
use healthcore::unit::Bytes;
use serde_json::Value;

use super::{CasePod, LATEST_UNIX, LeakCase, STEP_S};

/// Most points of a table.
const MOST_POINTS: usize = 10_000_000;
/// Longest first line that is looked at for the separator.
const LONGEST_HEAD: u64 = 1 << 16;
/// What a time may be.
const TIMES: &str = "unix seconds or milliseconds, or RFC 3339 with its zone such as `2026-01-31T09:00:00Z`";
/// Names of the columns that are looked for in a header, in lower case and without what is no letter.
const TIME_NAMES: [&str; 8] =
    ["time", "timestamp", "date", "datetime", "ts", "unix", "unixtime", "starttime"];
const BYTES_NAMES: [&str; 10] = [
    "bytes",
    "memory",
    "memorybytes",
    "mem",
    "value",
    "rss",
    "memoryrss",
    "workingset",
    "workingsetbytes",
    "usage",
];
/// Units of a column that are no bytes.
const UNITS: [&str; 13] =
    ["k", "kb", "kib", "ki", "mb", "mib", "mi", "gb", "gib", "gi", "percent", "pct", "%"];
/// Columns that tell one series from another.
const SERIES_NAMES: [&str; 4] = ["pod", "container", "instance", "series"];

/// A table that is no series.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// It is no table.
    #[error("{0}")]
    Csv(String),
    /// A row cannot be read.
    #[error("line {line}: {column} `{value}`: expected {expected}")]
    Row {
        /// Line of the file, from 1.
        line: u64,
        /// Name of the column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What should.
        expected: &'static str,
    },
    /// Too few rows for a step.
    #[error("expected at least 3 rows `time,bytes`, each with another time ({TIMES}), got {0}")]
    TooFew(usize),
}

/// Which columns are read.
#[derive(Debug, Clone, Copy)]
struct Columns {
    time: usize,
    bytes: usize,
    /// A column that must not change.
    series: Option<usize>,
}

impl LeakCase {
    /// One series from a table of two columns, `time,bytes`, separated by comma, semicolon or tab.
    ///
    /// A first row whose cells are neither times nor numbers is the header: columns may then stand in any order and among
    /// others, found by names such as `time`, `timestamp`, `bytes`, `memory` and `value`; lines from `#` on are comments.
    /// A time is in unix seconds, unix milliseconds or RFC 3339; memory in bytes or as a quantity such as `512Mi`, where
    /// an empty cell and `NaN` are a missing sample. The rows may be in any order; the step is the median distance of
    /// their times, and of two rows in one step the later one counts.
    ///
    /// # Errors
    /// A cell cannot be read, the columns cannot be told, there is more than one series, or there are fewer than three
    /// rows.
    pub fn from_csv(table: impl Read, id: &str, limit_bytes: Option<f64>) -> Result<Self, TableError> {
        let (step_s, first, values) = on_grid(rows(table)?)?;
        let pod = CasePod { pod: String::new(), start_unix: first, values, restarts_unix: None, load: None };
        Ok(Self {
            id: Value::from(id),
            step_s,
            limit_bytes,
            request_bytes: None,
            start_unix: None,
            end_unix: None,
            series: vec![pod],
        })
    }
}

/// Unix seconds and bytes of every row.
fn rows(table: impl Read) -> Result<Vec<(f64, f64)>, TableError> {
    let unread = |e: std::io::Error| TableError::Csv(e.to_string());
    let mut table = BufReader::new(table);
    let mut head = Vec::new();
    let mut from = 0;
    // The first line that is no comment tells the separator.
    while head[from..].trim_ascii().is_empty() || head[from..].starts_with(b"#") {
        from = head.len();
        if table.by_ref().take(LONGEST_HEAD).read_until(b'\n', &mut head).map_err(unread)? == 0 {
            break;
        }
    }
    let separator = separator(&head[from..]);
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .comment(Some(b'#'))
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(head.chain(table));
    let mut rows = Vec::new();
    let mut columns = None;
    let mut series: Option<String> = None;
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(|e| TableError::Csv(e.to_string()))?;
        let line = record.position().map_or(i as u64 + 1, csv::Position::line);
        let columns = match columns {
            Some(columns) => columns,
            None => {
                let header = is_header(&record);
                let found = columns.insert(if header { named(&record)? } else { unnamed(&record)? });
                if header {
                    continue;
                }
                *found
            }
        };
        let cell = |k: usize| record.get(k).unwrap_or_default();
        let bad = |column, k: usize, expected| {
            let value = cell(k).chars().take(80).collect();
            TableError::Row { line, column, value, expected }
        };
        if let Some(k) = columns.series {
            let known = series.get_or_insert_with(|| cell(k).to_owned());
            if known != cell(k) {
                return Err(bad("series", k, "one series; write several as cases, one JSON object a line"));
            }
        }
        let time = instant(cell(columns.time)).ok_or_else(|| bad("time", columns.time, TIMES))?;
        let bytes = memory(cell(columns.bytes), separator != b',').ok_or_else(|| {
            bad(
                "bytes",
                columns.bytes,
                "a number of bytes without separators of thousands, or a quantity such as `512Mi`",
            )
        })?;
        rows.push((time, bytes));
    }
    Ok(rows)
}

/// The separator of a line: a tab, else a semicolon, else a comma.
fn separator(head: &[u8]) -> u8 {
    [b'\t', b';'].into_iter().find(|s| head.contains(s)).unwrap_or(b',')
}

/// Whether a row names its columns: nothing in it is a time or a number, and something is.
fn is_header(record: &StringRecord) -> bool {
    record.iter().all(|cell| instant(cell).is_none() && cell.parse::<f64>().is_err())
        && record.iter().any(|cell| cell.chars().any(char::is_alphabetic))
        && !record.iter().any(looks_like_a_date)
}

/// A date in a notation that is not read is no name: the row must not be passed over.
fn looks_like_a_date(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit()) && cell.contains(['-', '/', ':', '.'])
}

/// Columns by the names of a header.
fn named(header: &StringRecord) -> Result<Columns, TableError> {
    let names: Vec<String> = header.iter().map(plain).collect();
    let of = |known: &[&str]| -> Vec<usize> {
        (0..names.len()).filter(|k| known.contains(&names[*k].as_str())).collect()
    };
    if let Some(k) = header.iter().position(has_other_unit) {
        return Err(TableError::Csv(format!(
            "column `{}`: expected bytes; multiply, or write quantities such as `512Mi`",
            &header[k]
        )));
    }
    let (time, bytes) = (of(&TIME_NAMES), of(&BYTES_NAMES));
    let series = of(&SERIES_NAMES).first().copied();
    match (&time[..], &bytes[..], header.len()) {
        (&[time], &[bytes], _) => Ok(Columns { time, bytes, series }),
        (&[time], [], 2) => Ok(Columns { time, bytes: 1 - time, series }),
        ([], &[bytes], 2) => Ok(Columns { time: 1 - bytes, bytes, series }),
        ([], [], 2) => Ok(Columns { time: 0, bytes: 1, series }),
        _ => Err(TableError::Csv(format!(
            "columns `{}`: expected one called `time` and one called `bytes`",
            header.iter().collect::<Vec<_>>().join("`, `")
        ))),
    }
}

/// Columns of a table without a header.
fn unnamed(first: &StringRecord) -> Result<Columns, TableError> {
    match first.len() {
        2 => Ok(Columns { time: 0, bytes: 1, series: None }),
        n => Err(TableError::Csv(format!(
            "{n} columns and no header: expected `time,bytes`, separated by comma, semicolon or tab; name the columns of a wider table in its first line"
        ))),
    }
}

/// A name without what is no letter, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

/// Whether a name tells a unit that is not bytes.
fn has_other_unit(name: &str) -> bool {
    let words = name.split(|c: char| !c.is_alphabetic() && c != '%');
    words.map(str::to_lowercase).any(|word| UNITS.contains(&word.as_str()))
}

/// Unix seconds of a time.
fn instant(text: &str) -> Option<f64> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.abs() < LATEST_UNIX => Some(seconds),
        Ok(millis) if millis.abs() < 1000.0 * LATEST_UNIX => Some(millis / 1000.0),
        Ok(_) => None,
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond() as f64 / 1000.0),
    }
}

/// Bytes of a cell, NaN for a missing sample. A comma is a decimal one when it is no separator and not followed by just
/// three digits, which may be thousands.
fn memory(text: &str, decimal_comma: bool) -> Option<f64> {
    if text.is_empty() || ["nan", "null"].contains(&text.to_ascii_lowercase().as_str()) {
        return Some(f64::NAN);
    }
    let with_point = match text.split_once(',') {
        Some((whole, rest)) if decimal_comma && !rest.contains([',', '.']) && rest.len() != 3 => {
            format!("{whole}.{rest}")
        }
        _ => text.to_owned(),
    };
    let number = with_point.parse::<f64>().ok().or_else(|| with_point.parse().ok().map(Bytes::get));
    number.filter(|n| n.is_finite())
}

/// Step, first time and one value a step, NaN where no row is.
fn on_grid(mut rows: Vec<(f64, f64)>) -> Result<(f64, i64, Vec<f64>), TableError> {
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut gaps: Vec<f64> = rows.windows(2).map(|w| w[1].0 - w[0].0).filter(|g| *g > 0.0).collect();
    if gaps.len() < 2 {
        return Err(TableError::TooFew(gaps.len() + usize::from(!rows.is_empty())));
    }
    gaps.sort_by(f64::total_cmp);
    let step_s = gaps[gaps.len() / 2];
    let (first, last) = (rows[0].0, rows[rows.len() - 1].0);
    let points = (((last - first) / step_s).round() as usize).saturating_add(1);
    if points > MOST_POINTS || step_s < STEP_S.0 {
        return Err(TableError::Csv(format!(
            "{points} steps of {step_s} s from the first to the last row: expected at most {MOST_POINTS}; are the times in one unit?"
        )));
    }
    let mut values = vec![f64::NAN; points];
    for (time, bytes) in rows {
        values[((time - first) / step_s).round() as usize] = bytes;
    }
    Ok((step_s, first as i64, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &str) -> Result<LeakCase, TableError> {
        LeakCase::from_csv(table.as_bytes(), "t", Some(1e9))
    }

    /// Step and values.
    #[track_caller]
    fn shown(table: &str) -> (f64, i64, String) {
        let case = read(table).unwrap();
        let values: Vec<String> = case.series[0].values.iter().map(ToString::to_string).collect();
        (case.step_s, case.series[0].start_unix, values.join(" "))
    }

    #[test]
    fn a_table_is_the_case_that_it_holds() {
        let time = |i: i64| jiff::Timestamp::from_second(1_700_000_000 + 60 * i).unwrap();
        let table = |row: &dyn Fn(i64) -> String| (0..4).map(row).collect::<String>();
        let unix = table(&|i| format!("{},{i}\n", time(i).as_second()));
        let rfc = table(&|i| format!("{}, {i}\r\n", time(i)));
        let other_way = table(&|i| format!("{i},{}\n", time(i).as_second()));
        let mut backwards: Vec<&str> = unix.lines().collect();
        backwards.reverse();
        for table in [
            unix.clone(),
            format!("time,bytes\n{unix}"),
            format!("\u{feff}time,bytes\r\n{unix}"),
            format!("# exported\n\ntime,bytes\n{unix}"),
            format!("\"when\",\"how much\"\n{rfc}"),
            rfc.clone(),
            rfc.replace('T', " "),
            rfc.replace('Z', "+00:00"),
            backwards.join("\n"),
            unix.replace(',', ";"),
            unix.replace(',', "\t"),
            format!("time;memory\n{}", unix.replace(',', ";")),
            format!("bytes,time\n{other_way}"),
            format!("Memory (bytes),Timestamp\n{other_way}"),
            table(&|i| format!("{},{i}\n", time(i).as_millisecond())),
            table(&|i| format!("{}.0,{i}e0\n", time(i).as_second())),
            table(&|i| format!("{};{i},0\n", time(i).as_second())),
            format!("pod,time,cpu,bytes\n{}", table(&|i| format!("web-0,{},7,{i}\n", time(i).as_second()))),
        ] {
            assert_eq!(shown(&table), (60.0, 1_700_000_000, "0 1 2 3".to_owned()), "{table}");
        }
    }

    #[test]
    fn a_table_with_gaps_has_missing_samples() {
        let table = "0,1\n60,\n120,3\n240,5\n240,6\n300,nan\n360,null\n420,8Ki";
        assert_eq!(shown(table), (60.0, 0, "1 NaN 3 NaN 6 NaN NaN 8192".to_owned()));
    }

    #[test]
    fn a_table_that_is_none_is_named_with_its_line() {
        for (table, expected) in [
            ("", "expected at least 3 rows `time,bytes`, each with another time"),
            ("time,bytes\n", "got 0"),
            ("1,2\n3,4\n", "got 2"),
            ("1,2\n1,3\n1,4\n", "got 1"),
            ("t,b\n1,2\nsoon,3\n", "line 3: time `soon`: expected unix seconds or milliseconds, or RFC 3339"),
            ("# exported\n\nt,b\n1,2\nsoon,3\n", "line 5: time `soon`"),
            ("1,2\n2,512Zi\n", "line 2: bytes `512Zi`: expected a number of bytes"),
            ("1,2\n2,inf\n", "line 2: bytes `inf`: expected a number of bytes"),
            ("1,2\ninf,3\n", "line 2: time `inf`"),
            ("1,2\n1.7e15,3\n", "line 2: time `1.7e15`"),
            // The first row is not passed over for a header when it is none.
            ("2026-01-31 09:00,1\n2026-01-31 09:05,1\n", "line 1: time `2026-01-31 09:00`"),
            ("31/01/2026,1\n", "line 1: time `31/01/2026`: expected unix seconds"),
            (
                "1;2\n2;157,286\n",
                "line 2: bytes `157,286`: expected a number of bytes without separators of thousands",
            ),
            ("5\n6\n7\n", "1 columns and no header: expected `time,bytes`"),
            ("1,2,3\n", "3 columns and no header"),
            (
                "time,a,b\n1,2,3\n",
                "columns `time`, `a`, `b`: expected one called `time` and one called `bytes`",
            ),
            ("time,rss,memory\n1,2,3\n", "expected one called `time` and one called `bytes`"),
            ("time,MiB\n1,2\n", "column `MiB`: expected bytes"),
            ("time,memory (GB)\n1,2\n", "column `memory (GB)`: expected bytes"),
            ("pod,time,bytes\na,1,2\nb,2,3\n", "line 3: series `b`: expected one series"),
            ("{\"id\": 1}\n{\"id\": 2}\n", "expected one called `time` and one called `bytes`"),
            // Times that are next to each other and one far away: no grid holds them.
            ("0,1\n1e-300,1\n2e-300,1\n9e9,1\n", "are the times in one unit?"),
            ("0,1\n1,1\n2,1\n9e9,1\n", "are the times in one unit?"),
            ("0,1\n1e-9,1\n2e-9,1\n", "are the times in one unit?"),
        ] {
            let error = read(table).map(|c| c.step_s).unwrap_err().to_string();
            assert!(error.contains(expected), "{table:?}: {error}");
        }
    }
}
