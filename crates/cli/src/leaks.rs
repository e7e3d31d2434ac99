//! `healthcheck leaks`: leak detection on plain series, without any cluster.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context as _, bail};
use healthcore::leak::LeakParams;
use lambda_free_runner::leaks::{Answer, LeakCase, LeakOptions, Tally, judge_case, judge_lines};

use crate::args::Leaks;
use crate::exit::Exit;
use crate::output::{self, Whole};

/// First bytes of a gzip member (RFC 1952, section 2.3.1) and of a zstd frame (RFC 8878, section 3.1.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Byte order marks of UTF-16.
const UTF16: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];
/// Endings of tables.
const TABLES: [&str; 6] = [".csv", ".csv.gz", ".csv.zst", ".tsv", ".tsv.gz", ".tsv.zst"];
/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 17;

pub(crate) fn run(args: &Leaks, quiet: bool) -> anyhow::Result<Exit> {
    let defaults = LeakParams::default();
    let params = LeakParams {
        leak_score: args.score.unwrap_or(defaults.leak_score),
        watch_score: defaults.watch_score.min(args.score.unwrap_or(defaults.leak_score)),
        ..defaults
    };
    let options = LeakOptions { params, evidence: args.evidence };
    let (from, to) = (args.input.as_path(), args.output.as_path());
    if !is_standard(from) && !is_standard(to) && same_file(from, to) {
        bail!("--output {}: is the input; name another file", to.display());
    }
    let csv = args.csv || is_table(from);
    if let (false, Some(limit)) = (csv, args.limit) {
        bail!("--limit {limit}: is that of a table; a case tells its own as `limit_bytes`");
    }
    let input = open(from)?;
    let tally = if is_standard(to) {
        // A pipe may be slow to drain; what is judged is written as it comes.
        let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
        judge(input, &mut out, csv, args, &options)?
    } else {
        let mut file = Whole::create(to)?;
        let tally = match ending(to) {
            "gz" => {
                let mut out = flate2::write::GzEncoder::new(&mut file, flate2::Compression::default());
                let tally = judge(input, &mut out, csv, args, &options)?;
                out.finish().with_context(|| streams(from, to))?;
                tally
            }
            "zst" => {
                let mut out = zstd::Encoder::new(&mut file, 3).with_context(|| streams(from, to))?;
                let tally = judge(input, &mut out, csv, args, &options)?;
                out.finish().with_context(|| streams(from, to))?;
                tally
            }
            _ => {
                let mut out = BufWriter::with_capacity(BUFFER, &mut file);
                judge(input, &mut out, csv, args, &options)?
            }
        };
        if tally.lines() > tally.broken {
            file.finish()?;
        }
        tally
    };
    let Tally { leak, watch, none, unknown, broken } = tally;
    if !quiet {
        output::note(&format!("{leak} leak, {watch} watch, {none} none, {unknown} unknown, {broken} broken"));
    }
    match tally.lines() {
        0 => bail!(
            "{}: holds no case; expected one JSON object a line, see `healthcheck leaks --help`",
            name(from)
        ),
        lines if lines == broken => {
            let what = if lines == 1 { "its only line is no case" } else { "none of its lines is a case" };
            bail!("{}: {what}; a table needs --csv, for the rest see `healthcheck leaks --help`", name(from))
        }
        lines if lines == unknown + broken => Ok(Exit::TooLittleData),
        _ => Ok(Exit::Success),
    }
}

fn judge(
    input: Box<dyn Read + Send>,
    out: &mut impl Write,
    csv: bool,
    args: &Leaks,
    options: &LeakOptions,
) -> anyhow::Result<Tally> {
    if !csv {
        return judge_lines(input, out, options).with_context(|| streams(&args.input, &args.output));
    }
    let id = args.input.file_name().and_then(|n| n.to_str()).unwrap_or("-");
    let case =
        LeakCase::from_csv(input, id, args.limit.map(|l| l.get())).with_context(|| name(&args.input))?;
    let answer = judge_case(case, options);
    let written = writeln!(out, "{}", serde_json::to_string(&answer)?).and_then(|()| out.flush());
    written.with_context(|| streams(&args.input, &args.output))?;
    let mut tally = Tally::default();
    if let Answer::Judged(_) = &answer {
        tally.count(&answer);
    }
    Ok(tally)
}

/// Opens a file or standard input, and takes off gzip or zstd by their first bytes.
fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    let plain: Box<dyn Read + Send> = if is_standard(path) {
        Box::new(io::stdin())
    } else {
        if path.is_dir() {
            bail!("--input {}: is a folder; name a file, or `-` for standard input", path.display());
        }
        Box::new(File::open(path).with_context(|| format!("--input {}: cannot be read", path.display()))?)
    };
    let mut plain = BufReader::with_capacity(BUFFER, plain);
    let start = plain.fill_buf().with_context(|| format!("{}: cannot be read", name(path)))?;
    if UTF16.iter().any(|mark| start.starts_with(mark)) {
        bail!(
            "{}: is in UTF-16; convert it to UTF-8, for instance by `iconv -f UTF-16 -t UTF-8`",
            name(path)
        );
    }
    if start.starts_with(&GZIP) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(plain)));
    }
    if start.starts_with(&ZSTD) {
        return Ok(Box::new(zstd::Decoder::with_buffer(plain)?));
    }
    Ok(Box::new(plain))
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn name(path: &Path) -> String {
    if is_standard(path) { "standard input".into() } else { path.display().to_string() }
}

fn streams(from: &Path, to: &Path) -> String {
    let to = if is_standard(to) { "standard output".into() } else { to.display().to_string() };
    format!("from {} to {to}", name(from))
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

fn is_table(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    TABLES.iter().any(|ending| name.ends_with(ending))
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
