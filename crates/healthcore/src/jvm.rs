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
    /// The file that `-XX:Flags` names, which HotSpot reads before all else.
    SettingsFile,
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
    /// Name of the ConfigMap that it comes from, if it is not written in the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<String>,
}

/// Options of a JVM that could not be read, and may set its memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnreadOptions {
    /// The variable that could not be read: `JAVA_OPTS`, or one that others refer to (`HEAP` in `-Xmx$(HEAP)`).
    pub variable: String,
    /// Where its value would stand; none for a whole ConfigMap, which may have variables of every place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<FlagPlace>,
    /// Why.
    pub why: Unread,
}

/// Why options of a JVM could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Unread {
    /// Nothing defines the variable, or only what comes after it, as in a circle.
    Undefined,
    /// It comes from a Secret, and Secrets are never read for it.
    Secret {
        /// Name of the Secret.
        name: String,
    },
    /// It comes from a field of the pod or the like, which is not read.
    Field,
    /// The ConfigMap does not exist.
    NoConfigMap {
        /// Name of the ConfigMap.
        name: String,
    },
    /// The ConfigMap has no such key.
    Absent {
        /// Name of the ConfigMap.
        name: String,
    },
    /// The ConfigMap may not be read.
    Denied {
        /// Name of the ConfigMap.
        name: String,
    },
    /// Reading the ConfigMap failed.
    Failed {
        /// Name of the ConfigMap.
        name: String,
    },
    /// It is the output of a command, or something else that a shell works out; the variable is the word in which it stands, of
    /// the command no more than its name.
    Command,
    /// The options are in a file, which is not read; the variable is its path.
    File,
    /// It is a flag with a value that something fills in before a JVM sees it; the variable is the flag.
    Template,
    /// It is a flag with a value that no JVM takes; the variable is the flag.
    Malformed,
    /// With what it refers to, it holds more than is read.
    TooLong,
}

impl UnreadOptions {
    /// Whether the largest heap is the one that the flags tell, whatever these options say: a flag that a JVM reads later
    /// sets it.
    #[must_use]
    pub fn is_overruled(&self, flags: &[JvmFlag]) -> bool {
        // A JVM that is given one does not start, whatever comes later.
        self.why != Unread::Malformed
            && flags.iter().any(|flag| match (self.place, setting(&flag.flag)) {
                (Some(place), Some(Setting::MaxHeap(_))) => flag.place > place,
                // It is not likely to be set twice.
                (
                    None,
                    Some(Setting::MaxHeap(_) | Setting::MaxRamPercentage(_) | Setting::MaxRamFraction(_)),
                ) => true,
                _ => false,
            })
    }
}

/// The flag that tells the largest heap, if one does.
#[must_use]
pub fn heap_flag(flags: &[JvmFlag]) -> Option<&JvmFlag> {
    let last = |is: fn(&Setting) -> bool| {
        flags.iter().filter(|f| setting(&f.flag).as_ref().is_some_and(is)).max_by_key(|f| f.place)
    };
    last(|s| matches!(s, Setting::MaxHeap(_)))
        .or_else(|| last(|s| matches!(s, Setting::MaxRamPercentage(_))))
        .or_else(|| last(|s| matches!(s, Setting::MaxRamFraction(_))))
}

/// What the flags of a JVM say together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct JvmMemory {
    /// Largest heap (`-Xmx`, `-XX:MaxHeapSize`).
    pub max_heap: Option<Bytes>,
    /// Heap at the start (`-Xms`, `-XX:InitialHeapSize`). It raises a largest heap that nobody sets.
    pub initial_heap: Option<Bytes>,
    /// Largest heap as a percentage of the container's memory (`-XX:MaxRAMPercentage`, and without it `-XX:MaxRAMFraction`).
    pub max_ram_percentage: Option<f64>,
    /// The same for containers with little memory (`-XX:MinRAMPercentage`, and without it `-XX:MinRAMFraction`).
    pub min_ram_percentage: Option<f64>,
    /// Memory that percentages are of, instead of the container's (`-XX:MaxRAM`).
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
    InitialHeap(f64),
    MaxRamPercentage(f64),
    MinRamPercentage(f64),
    /// As a percentage.
    MaxRamFraction(f64),
    /// As a percentage.
    MinRamFraction(f64),
    /// Read and without weight: the heap grows from there to its largest in any case.
    InitialRamPercentage,
    MaxRam(f64),
    MaxMetaspace(f64),
    MaxDirect(f64),
    CodeCache(f64),
    ThreadStack(f64),
}

/// The flags in a text of words, quotes around them removed: those that set an amount of memory, nothing else.
#[must_use]
pub fn flags_in(text: &str, place: FlagPlace) -> Vec<JvmFlag> {
    let flag = |word: &str| JvmFlag { flag: word.to_owned(), place, config_map: None };
    words(text).filter(|word| setting(word).is_some()).map(flag).collect()
}

/// The words of a text of options.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | ','))
        .filter(|word| !word.is_empty())
}

/// Whether a word begins like a flag that sets an amount of memory, whatever its value is.
#[must_use]
pub fn begins_a_flag(word: &str) -> bool {
    if let Some(option) = word.strip_prefix("-XX:") {
        return option
            .split_once('=')
            .is_some_and(|(name, _)| SIZES.contains(&name) || SHARES.contains(&name));
    }
    ["-Xmx", "-Xms", "-Xss"].iter().any(|flag| word.starts_with(flag))
}

/// Whether a word is a flag that sets the largest heap to an amount.
#[must_use]
pub fn sets_max_heap(word: &str) -> bool {
    matches!(setting(word), Some(Setting::MaxHeap(_)))
}

/// What keeps the value of a flag that sets an amount of memory from being known: [`Unread::Malformed`] where no JVM starts with
/// it (`-Xmx12q`, `-Xmx`, `-XX:MaxRAMPercentage=abc`, more than 64 bits), [`Unread::Template`] where something is likely to
/// replace it before (`-Xmx%HEAP%`). None for what is read, for other words, and for a zero that leaves the amount to the JVM.
#[must_use]
pub fn fault(word: &str) -> Option<Unread> {
    // OpenJ9 has longer names that begin so.
    let is_other = ["-Xmso", "-Xmxcl", "-Xssi"].iter().any(|other| word.starts_with(other));
    if !begins_a_flag(word) || is_other || setting(word).is_some() {
        return None;
    }
    let value = match word.split_once('=') {
        Some((_, value)) => value,
        None => &word["-Xmx".len()..],
    };
    let takes_zero = !word.starts_with("-Xmx") && !word.contains("RAMFraction=");
    if takes_zero && (bytes(value) == Some(0) || value.parse() == Ok(0.0)) {
        return None;
    }
    let is_template =
        value.starts_with('%') || value.contains(['{', '<', '[', '@', '#', '$']) || value.starts_with("__");
    Some(if is_template { Unread::Template } else { Unread::Malformed })
}

/// Whether a text is nothing but an amount of memory as a flag has it after its name: `512m`, `75.0`.
#[must_use]
pub fn is_amount(text: &str) -> bool {
    size(text).is_some() || percentage(text).is_some()
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
        let (mut max_fraction, mut min_fraction) = (None, None);
        for flag in ordered {
            match setting(&flag.flag) {
                Some(Setting::MaxHeap(n)) => memory.max_heap = Some(Bytes(n)),
                Some(Setting::InitialHeap(n)) => memory.initial_heap = Some(Bytes(n)),
                Some(Setting::MaxRamPercentage(n)) => memory.max_ram_percentage = Some(n),
                Some(Setting::MinRamPercentage(n)) => memory.min_ram_percentage = Some(n),
                Some(Setting::MaxRamFraction(n)) => max_fraction = Some(n),
                Some(Setting::MinRamFraction(n)) => min_fraction = Some(n),
                Some(Setting::MaxRam(n)) => memory.max_ram = Some(Bytes(n)),
                Some(Setting::MaxMetaspace(n)) => memory.max_metaspace = Some(Bytes(n)),
                Some(Setting::MaxDirect(n)) => memory.max_direct = Some(Bytes(n)),
                Some(Setting::CodeCache(n)) => memory.code_cache = Some(Bytes(n)),
                Some(Setting::ThreadStack(n)) => memory.thread_stack = Some(Bytes(n)),
                Some(Setting::InitialRamPercentage) | None => {}
            }
        }
        // HotSpot reads a fraction only where no percentage is set, whichever comes last.
        memory.max_ram_percentage = memory.max_ram_percentage.or(max_fraction);
        memory.min_ram_percentage = memory.min_ram_percentage.or(min_fraction);
        flags.iter().any(|flag| setting(&flag.flag).is_some()).then_some(memory)
    }

    /// The largest heap in a container with this memory limit, as HotSpot finds it (`Arguments::set_heap_size` in
    /// `arguments.cpp`, JDK 10 and newer). An absolute heap counts before a percentage. Without either it is
    /// `MaxRAMPercentage` of the memory, and at least 124.8 MiB; or `MinRAMPercentage` of the memory where that is less
    /// than 124.8 MiB.
    #[must_use]
    pub fn heap_in(&self, limit: Bytes) -> Bytes {
        if let Some(heap) = self.max_heap {
            return heap;
        }
        let memory = self.max_ram.unwrap_or(limit).get();
        let share = |percentage: Option<f64>, default: f64| {
            memory * percentage.unwrap_or(default).clamp(0.0, 100.0) / 100.0
        };
        let small = share(self.min_ram_percentage, MIN_RAM_PERCENTAGE);
        let heap = match small < SMALL_HEAP {
            true => small,
            false => share(self.max_ram_percentage, MAX_RAM_PERCENTAGE).max(SMALL_HEAP),
        };
        Bytes(self.initial_heap.map_or(heap, |initial| initial.get().max(heap)))
    }
}

/// `-XX:MaxRAMPercentage` when nobody sets it.
const MAX_RAM_PERCENTAGE: f64 = 25.0;

/// `-XX:MinRAMPercentage` when nobody sets it.
const MIN_RAM_PERCENTAGE: f64 = 50.0;

/// The largest heap that HotSpot has as a constant, `ScaleForWordSize(96*M)` on 64 bits. Unit: bytes.
const SMALL_HEAP: f64 = 130_862_280.0;

/// Options whose value is an amount of memory.
const SIZES: &[&str] = &[
    "MaxHeapSize",
    "InitialHeapSize",
    "MaxRAM",
    "MaxMetaspaceSize",
    "MaxDirectMemorySize",
    "ReservedCodeCacheSize",
    "ThreadStackSize",
];

/// Options whose value is a share of the memory.
const SHARES: &[&str] = &[
    "MaxRAMPercentage",
    "MinRAMPercentage",
    "InitialRAMPercentage",
    "MaxRAMFraction",
    "MinRAMFraction",
    "InitialRAMFraction",
];

fn setting(word: &str) -> Option<Setting> {
    if let Some(amount) = word.strip_prefix("-Xmx") {
        return size(amount).map(Setting::MaxHeap);
    }
    if let Some(amount) = word.strip_prefix("-Xms") {
        return size(amount).map(Setting::InitialHeap);
    }
    if let Some(amount) = word.strip_prefix("-Xss") {
        return size(amount).map(Setting::ThreadStack);
    }
    let (name, value) = word.strip_prefix("-XX:")?.split_once('=')?;
    match name {
        "MaxHeapSize" => size(value).map(Setting::MaxHeap),
        "InitialHeapSize" => size(value).map(Setting::InitialHeap),
        "MaxRAM" => size(value).map(Setting::MaxRam),
        "MaxMetaspaceSize" => size(value).map(Setting::MaxMetaspace),
        "MaxDirectMemorySize" => size(value).map(Setting::MaxDirect),
        "ReservedCodeCacheSize" => size(value).map(Setting::CodeCache),
        // In KiB, unlike -Xss.
        "ThreadStackSize" => size(value).map(|kib| Setting::ThreadStack(kib * 1024.0)),
        "MaxRAMPercentage" => percentage(value).map(Setting::MaxRamPercentage),
        "MinRAMPercentage" => percentage(value).map(Setting::MinRamPercentage),
        "InitialRAMPercentage" => percentage(value).map(|_| Setting::InitialRamPercentage),
        "MaxRAMFraction" => fraction(value).map(Setting::MaxRamFraction),
        "MinRAMFraction" => fraction(value).map(Setting::MinRamFraction),
        "InitialRAMFraction" => fraction(value).map(|_| Setting::InitialRamPercentage),
        _ => None,
    }
}

/// A size of which the JVM takes its word; a zero leaves it to the JVM.
fn size(text: &str) -> Option<f64> {
    bytes(text).filter(|n| *n > 0).map(|n| n as f64)
}

/// A size as HotSpot reads it (`parse_integer`): a whole number, decimal or hexadecimal, and one of `k m g t` in either case, all
/// powers of 1024; of 64 bits at most.
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'm' | b'M' => (&text[..text.len() - 1], 20),
        b'g' | b'G' => (&text[..text.len() - 1], 30),
        b't' | b'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    whole(digits)?.checked_mul(1 << shift)
}

fn whole(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // No sign.
    let is_plain = digits.chars().all(|c| c.is_digit(radix));
    u64::from_str_radix(digits, radix).ok().filter(|_| is_plain)
}

/// One part of so many, as a percentage.
fn fraction(text: &str) -> Option<f64> {
    whole(text).filter(|parts| *parts >= 1).map(|parts| 100.0 / parts as f64)
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
            ("-Xmx0x40000000", 1024.0),
            ("-Xmx0X200m", 512.0),
            ("-Xmx00000000000000001073741824", 1024.0),
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
        assert_eq!(
            heap(&[(Arguments, "-XX:MaxRAM=8g -XX:MaxRAMPercentage=50")]),
            4096.0,
            "HotSpot takes its word"
        );
        assert_eq!(
            heap(&[(Arguments, "-XX:InitialRAMPercentage=70")]),
            512.0,
            "the start is below the largest"
        );
        assert_eq!(heap(&[(Arguments, "-Xms1g")]), 1024.0, "a start above the default raises it");
        assert_eq!(heap(&[(Arguments, "-Xms1g -Xmx512m")]), 512.0);
        assert_eq!(heap(&[(Arguments, "-XX:MaxMetaspaceSize=64m")]), 512.0, "a quarter");
    }

    /// As published for JDK 17 and 25 (`java -XX:MaxRAM=N -XX:+PrintFlagsFinal`), before HotSpot rounds up to its regions.
    #[test]
    fn little_memory() {
        let heap = |flags: &str, mib: f64| {
            let memory = memory(flags).unwrap_or_default();
            (memory.heap_in(Bytes(mib * MIB)).get() / MIB).round()
        };
        assert_eq!(heap("", 100.0), 50.0, "half");
        assert_eq!(heap("", 256.0), 125.0);
        assert_eq!(heap("", 499.0), 125.0, "flat");
        assert_eq!(heap("", 1024.0), 256.0, "a quarter");
        assert_eq!(
            heap("-XX:MaxRAMPercentage=75", 128.0),
            64.0,
            "the smaller share, however large the other is"
        );
        assert_eq!(heap("-XX:MinRAMPercentage=80", 128.0), 102.0);
        assert_eq!(heap("-XX:MinRAMFraction=1", 100.0), 100.0);
    }

    /// `MaxHeapSize` of OpenJDK 17.0.15 (`java -XX:MaxRAM=N -XX:+PrintFlagsFinal`), in MiB, rounded up to regions of 2 MiB.
    #[test]
    fn a_fraction_counts_without_a_percentage_alone() {
        for (flags, hot_spot) in [
            ("-XX:MaxRAM=1g -XX:MaxRAMPercentage=90 -XX:MaxRAMFraction=4", 922.0),
            ("-XX:MaxRAM=1g -XX:MaxRAMFraction=4 -XX:MaxRAMPercentage=90", 922.0),
            ("-XX:MaxRAM=1g -XX:MaxRAMPercentage=90 -XX:MaxRAMPercentage=50 -XX:MaxRAMFraction=4", 512.0),
            ("-XX:MaxRAM=1g -XX:MaxRAMPercentage=25 -XX:MaxRAMFraction=2", 256.0),
            ("-XX:MaxRAM=1g -XX:MaxRAMFraction=2", 512.0),
            ("-XX:MaxRAM=1g -XX:InitialRAMPercentage=10 -XX:InitialRAMFraction=2", 256.0),
            ("-XX:MaxRAM=128m -XX:MinRAMPercentage=80 -XX:MinRAMFraction=4", 104.0),
            ("-XX:MaxRAM=128m -XX:MinRAMFraction=4", 32.0),
        ] {
            let heap = memory(flags).unwrap().heap_in(Bytes(4096.0 * MIB)).get() / MIB;
            assert_eq!((heap / 2.0).ceil() * 2.0, hot_spot, "{flags}");
        }
        let told = |text: &str| heap_flag(&flags_in(text, FlagPlace::Arguments)).unwrap().flag.clone();
        assert_eq!(told("-XX:MaxRAMPercentage=90 -XX:MaxRAMFraction=4"), "-XX:MaxRAMPercentage=90");
        assert_eq!(told("-XX:MaxRAMFraction=4"), "-XX:MaxRAMFraction=4");
    }

    #[test]
    fn the_flag_that_tells_the_heap() {
        let flags = [
            flags_in("-XX:MaxRAMPercentage=75", FlagPlace::LastOptions),
            flags_in("-Xmx1g -Xmx2g", FlagPlace::Script),
            flags_in("-Xmx3g", FlagPlace::ToolOptions),
        ]
        .concat();
        assert_eq!(heap_flag(&flags).unwrap().flag, "-Xmx2g");
        assert_eq!(heap_flag(&flags[..1]).unwrap().flag, "-XX:MaxRAMPercentage=75");
        assert_eq!(heap_flag(&[]), None);
        let unread = |place| UnreadOptions { variable: "X".into(), place, why: Unread::Undefined };
        assert!(unread(Some(FlagPlace::ToolOptions)).is_overruled(&flags));
        assert!(
            unread(Some(FlagPlace::SettingsFile)).is_overruled(&flags_in("-Xmx1g", FlagPlace::ToolOptions))
        );
        assert!(
            !unread(Some(FlagPlace::SettingsFile)).is_overruled(&flags[..1]),
            "a share gives way to an amount"
        );
        assert!(!unread(Some(FlagPlace::Script)).is_overruled(&flags), "it may come later in the same text");
        assert!(unread(None).is_overruled(&flags[..1]) && !unread(None).is_overruled(&[]));
    }

    #[test]
    fn words_that_may_become_flags() {
        for word in ["-Xmx$(HEAP)", "-Xms", "-Xss${S}", "-XX:MaxRAMPercentage=$P"] {
            assert!(begins_a_flag(word), "{word}");
        }
        for word in ["-Dx=$(HEAP)", "-XX:+UseG1GC", "-XX:MaxRAMPercentage", "Xmx1g", "-Xm"] {
            assert!(!begins_a_flag(word), "{word}");
        }
        assert!(is_amount("512m") && is_amount("75.5") && !is_amount("hunter2") && !is_amount(""));
    }

    #[test]
    fn values_that_cannot_be_read() {
        for word in [
            "-Xmx",
            "-Xms",
            "-Xmx12q",
            "-Xmx1.5g",
            "-Xmx-1g",
            "-Xmx1gb",
            "-Xssbig",
            "-XX:MaxRAMPercentage=abc",
            "-XX:MaxRAMPercentage=75%",
            "-XX:MaxRAMPercentage=150",
            "-XX:MaxRAMPercentage=",
            "-XX:MaxHeapSize=1q",
            "-Xmx12q?x",
            "-XmxÄ",
            "-Xmx0",
            "-Xmx0x",
            "-Xmx0xg1",
            "-XX:MaxRAMFraction=0",
            // One more than 64 bits hold.
            "-Xmx18446744073709551616",
            "-Xmx16777216t",
            "-Xms99999999999999999999g",
        ] {
            assert_eq!(fault(word), Some(Unread::Malformed), "{word}");
        }
        for word in ["-Xmx%HEAP%", "-Xmx__HEAP__", "-Xmx{{heap}}", "-Xmx<heap>", "-Xmx@heap@m", "-Xmx$HEAP"] {
            assert_eq!(fault(word), Some(Unread::Template), "{word}");
        }
        for word in [
            "-Xmx1g",
            "-Xms0",
            "-Xms0m",
            "-XX:MaxHeapSize=0",
            "-XX:MaxRAMPercentage=0.0",
            "-Xmx0x40000000",
            "-Xmx18446744073709551615",
            "-Xmso512k",
            "-Xssi16k",
            "-XX:MaxMetaspaceSize",
            "-XX:+UseG1GC",
            "-Dx=-Xmx12q",
            "-Xmn1q",
            "-XX:MaxRAMPercentage=75.0",
            "-XX:MaxDirectMemorySize=0",
        ] {
            assert_eq!(fault(word), None, "{word}");
        }
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
