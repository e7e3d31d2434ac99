//! Compresses the sample of `demo`, which is a fifth as large then.

use std::path::Path;
use std::{env, fs, io};

const SAMPLE: &str = "../../fixtures/demo/snapshot.ndjson";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SAMPLE}");
    let folder =
        env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set: cargo sets it"))?;
    let sample = fs::read(SAMPLE).map_err(|why| io::Error::new(why.kind(), format!("{SAMPLE}: {why}")))?;
    fs::write(Path::new(&folder).join("sample.ndjson.zst"), zstd::encode_all(&*sample, 19)?)
}
