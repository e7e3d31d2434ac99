//! Memory flags of a Java virtual machine: how they are written, which of them count, and the memory they lead to.
//!
//! Only flags that set an amount of memory are ever read; whatever else stands beside them in arguments and environment
//! never gets here.

use serde::{Deserialize, Serialize};

use crate::unit::Bytes;

/// Where flags stand, in the order in which a JVM reads them: of two that say the same, the later one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FlagPlace {
    /// `JAVA_TOOL_OPTIONS`, which every JVM reads first.
    ToolOptions,
    /// `JDK_JAVA_OPTIONS`, which the launcher puts before its arguments (JDK 9 and newer).
    LauncherOptions,
    /// Variables that start scripts pass on by convention, such as `JAVA_OPTS`.
    Script,
    /// Command and arguments of the container.
    Arguments,
    /// `_JAVA_OPTIONS`, which a JVM reads last.
    LastOptions,
}

impl FlagPlace {
    /// The place that an environment variable is; none for variables that start no JVM.
    #[must_use]
    pub fn of_variable(name: &str) -> Option<Self> {
        Some(match name {
            "JAVA_TOOL_OPTIONS" => Self::ToolOptions,
            "JDK_JAVA_OPTIONS" => Self::LauncherOptions,
            "_JAVA_OPTIONS" | "OPENJ9_JAVA_OPTIONS" => Self::LastOptions,
            "JAVA_OPTS" | "JAVA_OPTIONS" | "JAVA_ARGS" | "JAVA_OPTS_APPEND" | "JAVA_MEM_OPTS"
            | "JVM_OPTS" | "JVM_ARGS" | "JVM_OPTIONS" | "CATALINA_OPTS" | "ES_JAVA_OPTS" | "LS_JAVA_OPTS"
            | "KAFKA_HEAP_OPTS" | "KAFKA_OPTS" | "HEAP_OPTS" | "APP_OPTS" | "HADOOP_OPTS" | "SBT_OPTS" => {
                Self::Script
            }
            _ => return None,
        })
    }
}

/// A flag that sets an amount of memory, as written, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JvmFlag {
    /// The flag: `-Xmx1024m`, `-XX:MaxRAMPercentage=75.0`.
    pub flag: String,
    /// Where it stands.
    pub place: FlagPlace,
}

/// What the flags of a JVM say together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct JvmMemory {
    /// Largest heap (`-Xmx`, `-XX:MaxHeapSize`).
    pub max_heap: Option<Bytes>,
    /// Largest heap as a percentage of the container's memory (`-XX:MaxRAMPercentage`, `-XX:MaxRAMFraction`).
    pub max_ram_percentage: Option<f64>,
    /// Memory that the percentage is of, where it is less than the container's (`-XX:MaxRAM`).
    pub max_ram: Option<Bytes>,
    /// Largest metaspace.
    pub max_metaspace: Option<Bytes>,
    /// Largest direct memory of buffers.
    pub max_direct: Option<Bytes>,
    /// Largest cache of compiled code.
    pub code_cache: Option<Bytes>,
    /// Stack of a thread.
    pub thread_stack: Option<Bytes>,
}

/// One amount that a flag sets.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Setting {
    MaxHeap(f64),
    MaxRamPercentage(f64),
    MaxRam(f64),
    MaxMetaspace(f64),
    MaxDirect(f64),
    CodeCache(f64),
    ThreadStack(f64),
}

/// The flags in a text of words, quotes around them removed: those that set an amount of memory, nothing else.
#[must_use]
pub fn flags_in(text: &str, place: FlagPlace) -> Vec<JvmFlag> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | ','));
    words
        .filter(|word| setting(word).is_some())
        .map(|word| JvmFlag { flag: word.to_owned(), place })
        .collect()
}

impl JvmMemory {
    /// What the flags say together; of two that set the same, the one that the JVM reads last counts. None when none
    /// of them sets anything.
    ///
    /// ```
    /// use healthcore::jvm::{FlagPlace, JvmMemory, flags_in};
    /// let flags = flags_in("-Dx=1 -Xmx512m -Xmx1g", FlagPlace::ToolOptions);
    /// let memory = JvmMemory::of(&flags).unwrap();
    /// assert_eq!(memory.max_heap.unwrap().to_string(), "1Gi");
    /// ```
    #[must_use]
    pub fn of(flags: &[JvmFlag]) -> Option<Self> {
        let mut ordered: Vec<&JvmFlag> = flags.iter().collect();
        ordered.sort_by_key(|f| f.place);
        let mut memory = Self::default();
        for flag in ordered {
            match setting(&flag.flag) {
                Some(Setting::MaxHeap(n)) => memory.max_heap = Some(Bytes(n)),
                Some(Setting::MaxRamPercentage(n)) => memory.max_ram_percentage = Some(n),
                Some(Setting::MaxRam(n)) => memory.max_ram = Some(Bytes(n)),
                Some(Setting::MaxMetaspace(n)) => memory.max_metaspace = Some(Bytes(n)),
                Some(Setting::MaxDirect(n)) => memory.max_direct = Some(Bytes(n)),
                Some(Setting::CodeCache(n)) => memory.code_cache = Some(Bytes(n)),
                Some(Setting::ThreadStack(n)) => memory.thread_stack = Some(Bytes(n)),
                None => {}
            }
        }
        (memory != Self::default()).then_some(memory)
    }

    /// The largest heap in a container with this memory limit. An absolute heap counts before a percentage; without
    /// either, the JVM takes a quarter.
    #[must_use]
    pub fn heap_in(&self, limit: Bytes) -> Bytes {
        let memory = self.max_ram.map_or(limit.get(), |most| most.get().min(limit.get()));
        let share = self.max_ram_percentage.unwrap_or(DEFAULT_PERCENTAGE).clamp(0.0, 100.0);
        self.max_heap.unwrap_or(Bytes(memory * share / 100.0))
    }
}

/// `-XX:MaxRAMPercentage` when nobody sets it.
const DEFAULT_PERCENTAGE: f64 = 25.0;

fn setting(word: &str) -> Option<Setting> {
    if let Some(amount) = word.strip_prefix("-Xmx") {
        return size(amount).map(Setting::MaxHeap);
    }
    if let Some(amount) = word.strip_prefix("-Xss") {
        return size(amount).map(Setting::ThreadStack);
    }
    let (name, value) = word.strip_prefix("-XX:")?.split_once('=')?;
    match name {
        "MaxHeapSize" => size(value).map(Setting::MaxHeap),
        "MaxRAM" => size(value).map(Setting::MaxRam),
        "MaxMetaspaceSize" => size(value).map(Setting::MaxMetaspace),
        "MaxDirectMemorySize" => size(value).map(Setting::MaxDirect),
        "ReservedCodeCacheSize" => size(value).map(Setting::CodeCache),
        // In KiB, unlike -Xss.
        "ThreadStackSize" => whole(value).map(|kib| Setting::ThreadStack(kib * 1024.0)),
        "MaxRAMPercentage" => percentage(value).map(Setting::MaxRamPercentage),
        "MaxRAMFraction" => whole(value).filter(|n| *n >= 1.0).map(|n| Setting::MaxRamPercentage(100.0 / n)),
        _ => None,
    }
}

/// A size as the JVM reads it: a whole number and one of `k m g t` in either case, all powers of 1024.
fn size(text: &str) -> Option<f64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1024.0),
        b'm' | b'M' => (&text[..text.len() - 1], 1024.0 * 1024.0),
        b'g' | b'G' => (&text[..text.len() - 1], 1024.0 * 1024.0 * 1024.0),
        b't' | b'T' => (&text[..text.len() - 1], 1024.0 * 1024.0 * 1024.0 * 1024.0),
        _ => (text, 1.0),
    };
    whole(digits).map(|n| n * factor).filter(|n| *n > 0.0)
}

fn whole(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn percentage(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|p| plain && *p > 0.0 && *p <= 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: f64 = 1_048_576.0;

    fn memory(text: &str) -> Option<JvmMemory> {
        JvmMemory::of(&flags_in(text, FlagPlace::Arguments))
    }

    #[test]
    fn sizes_in_every_unit() {
        for (text, mib) in [
            ("-Xmx1073741824", 1024.0),
            ("-Xmx1048576k", 1024.0),
            ("-Xmx1048576K", 1024.0),
            ("-Xmx1024m", 1024.0),
            ("-Xmx1024M", 1024.0),
            ("-Xmx1g", 1024.0),
            ("-Xmx2G", 2048.0),
            ("-Xmx1t", 1024.0 * 1024.0),
            ("-XX:MaxHeapSize=512m", 512.0),
        ] {
            assert_eq!(memory(text).unwrap().max_heap, Some(Bytes(mib * MIB)), "{text}");
        }
        for text in [
            "-Xmx",
            "-Xmx1.5g",
            "-Xmx-1g",
            "-Xmx1gb",
            "-Xmx$HEAP",
            "-Xmx0",
            "-Xmx 1g",
            "-XmxÄ",
            "-XX:MaxHeapSize",
        ] {
            assert_eq!(memory(text), None, "{text}");
        }
        assert_eq!(memory("-Xss512k").unwrap().thread_stack, Some(Bytes(512.0 * 1024.0)));
        assert_eq!(memory("-XX:ThreadStackSize=512").unwrap().thread_stack, Some(Bytes(512.0 * 1024.0)));
    }

    #[test]
    fn the_last_flag_counts() {
        let heap = |flags: &[(FlagPlace, &str)]| {
            let flags: Vec<_> = flags.iter().flat_map(|(place, text)| flags_in(text, *place)).collect();
            JvmMemory::of(&flags).unwrap().heap_in(Bytes(2048.0 * MIB)).get() / MIB
        };
        use FlagPlace::{Arguments, LastOptions, LauncherOptions, Script, ToolOptions};
        assert_eq!(heap(&[(Arguments, "-Xmx1g -Xmx512m")]), 512.0);
        assert_eq!(heap(&[(Arguments, "-Xmx1g"), (ToolOptions, "-Xmx512m")]), 1024.0);
        assert_eq!(heap(&[(LauncherOptions, "-Xmx1g"), (ToolOptions, "-Xmx512m")]), 1024.0);
        assert_eq!(heap(&[(Script, "-Xmx1g"), (Arguments, "-Xmx256m")]), 256.0);
        assert_eq!(heap(&[(LastOptions, "-Xmx128m"), (Arguments, "-Xmx1g")]), 128.0);
        assert_eq!(
            heap(&[(Arguments, "-Xmx1g -XX:MaxRAMPercentage=75")]),
            1024.0,
            "an amount before a share"
        );
        assert_eq!(heap(&[(Arguments, "-XX:MaxRAMPercentage=75.0")]), 1536.0);
        assert_eq!(heap(&[(Arguments, "-XX:MaxRAMFraction=2")]), 1024.0);
        assert_eq!(heap(&[(Arguments, "-XX:MaxRAM=1g -XX:MaxRAMPercentage=50")]), 512.0);
        assert_eq!(heap(&[(Arguments, "-XX:MaxMetaspaceSize=64m")]), 512.0, "a quarter");
    }

    #[test]
    fn nothing_but_amounts_of_memory_is_kept() {
        let text = "-Dpassword=secret \"-Xmx512m\" -javaagent:/a.jar=token -XX:+UseG1GC -XX:MaxMetaspaceSize=64m, -Xmx$X '-Xss1m'";
        let kept: Vec<String> = flags_in(text, FlagPlace::Script).into_iter().map(|f| f.flag).collect();
        assert_eq!(kept, ["-Xmx512m", "-XX:MaxMetaspaceSize=64m", "-Xss1m"]);
        assert_eq!(memory("-XX:MaxRAMPercentage=0"), None);
        assert_eq!(memory("-XX:MaxRAMPercentage=150"), None);
        assert_eq!(memory("-XX:MaxRAMFraction=0"), None);
    }

    #[test]
    fn variables_that_start_a_jvm() {
        assert_eq!(FlagPlace::of_variable("JAVA_TOOL_OPTIONS"), Some(FlagPlace::ToolOptions));
        assert_eq!(FlagPlace::of_variable("JAVA_OPTS"), Some(FlagPlace::Script));
        assert_eq!(FlagPlace::of_variable("DB_PASSWORD"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,60}") {
            for flag in flags_in(&text, FlagPlace::Arguments) {
                prop_assert!(flag.flag.starts_with("-X") && flag.flag.is_ascii(), "{}", flag.flag);
            }
        }
    }
}
