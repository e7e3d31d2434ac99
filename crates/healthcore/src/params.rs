//! Parameters of checks: name, explanation, default and bounds in one place.

use std::ops::RangeInclusive;

use crate::unit::{Bytes, BytesPerHour, Cores, Ratio, Seconds};

/// A value that a parameter can have: it is read from and shown as text.
pub trait Param: Sized {
    /// What kind of text is expected, with an example.
    const EXPECTED: &'static str;
    /// Reads the text.
    ///
    /// # Errors
    /// The text is not such a value; the message names the notation and the text.
    fn read(text: &str) -> Result<Self, String>;
    /// The text that reads as this value.
    fn show(&self) -> String;
}

macro_rules! param_by_text {
    ($($type:ty = $expected:literal),+ $(,)?) => { $(
        impl Param for $type {
            const EXPECTED: &'static str = $expected;
            fn read(text: &str) -> Result<Self, String> {
                let refused = || format!("expected {}, got `{text}`", $expected);
                // No parameter is negative, and none is NaN or infinite.
                let plain = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
                if plain { text.parse().map_err(|_| refused()) } else { Err(refused()) }
            }
            fn show(&self) -> String { self.to_string() }
        }
    )+ };
}
param_by_text! {
    Bytes = "an amount of memory such as `512Mi`",
    BytesPerHour = "a rate such as `10MB/h`",
    Cores = "an amount of CPU such as `250m`",
    Ratio = "a share such as `85%`",
    Seconds = "a duration such as `30m`",
    u32 = "a whole number such as `5`",
    f64 = "a number such as `0.05`",
}

impl Param for bool {
    const EXPECTED: &'static str = "`true` or `false`";
    /// The words of YAML 1.1 count too: `yes` and `no`, `on` and `off`.
    fn read(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "on" => Ok(true),
            "false" | "no" | "n" | "off" => Ok(false),
            _ => Err(format!("expected {}, got `{text}`", Self::EXPECTED)),
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// What the documentation says of a parameter.
#[derive(Debug, Clone)]
pub struct ParamInfo {
    /// Key in settings, kebab case.
    pub name: String,
    /// What it means, with its unit.
    pub doc: &'static str,
    /// The notation of its values.
    pub expected: &'static str,
    /// Smallest and largest value, both allowed; none for words.
    pub bounds: Option<(String, String)>,
}

/// Whether a value that was read from `text` lies within its bounds; else what was expected.
///
/// # Errors
/// It does not.
pub fn within<T: Param + PartialOrd>(
    value: &T,
    text: &str,
    bounds: &RangeInclusive<T>,
) -> Result<(), String> {
    if bounds.contains(value) {
        return Ok(());
    }
    // The usual example may lie outside of these bounds, which show the notation anyway.
    let (what, _) = T::EXPECTED.split_once(" such as ").unwrap_or((T::EXPECTED, ""));
    let (low, high) = (bounds.start().show(), bounds.end().show());
    Err(format!("expected {what} from `{low}` to `{high}`, got `{text}`{}", meant(text, bounds)))
}

/// A share without its sign is a hundred times as much as it was meant to be. What is below 1 was meant as it stands.
fn meant<T: Param + PartialOrd>(text: &str, bounds: &RangeInclusive<T>) -> String {
    let with_sign = format!("{text}%");
    let fits = T::read(&with_sign).is_ok_and(|value| bounds.contains(&value));
    match text.parse::<f64>() {
        Ok(percent) if fits && percent >= 1.0 => {
            format!(", did you mean `{with_sign}` or `{}`?", percent / 100.0)
        }
        _ => String::new(),
    }
}

/// All parameters of a check.
pub trait Params: Default + Clone + Send + Sync + 'static {
    /// What there is, in order.
    fn infos() -> Vec<ParamInfo>;
    /// Reads one value.
    ///
    /// # Errors
    /// The text is no such value. An unknown name is the caller's to refuse: it looks names up in
    /// [`Params::infos`].
    fn set(&mut self, name: &str, text: &str) -> Result<(), String>;
    /// The text of one value.
    fn get(&self, name: &str) -> Option<String>;
    /// Whether the values fit together, for instance warning below critical.
    ///
    /// # Errors
    /// What does not fit.
    fn validate(&self) -> Result<(), String>;
}

/// Declares the parameters of a check: documentation, type, default and bounds of each, and what must hold between
/// them.
///
/// ```
/// use healthcore::params::Params as _;
/// use healthcore::unit::Ratio;
/// healthcore::params! {
///     /// Parameters of an example.
///     pub struct Example {
///         /// Use above which a warning is due.
///         warning: Ratio = Ratio(0.7) => Ratio(0.01)..=Ratio(1.0),
///         /// Use above which it is critical.
///         critical: Ratio = Ratio(0.85) => Ratio(0.01)..=Ratio(1.0),
///     }
///     where |p| p.warning <= p.critical, "warning must not be above critical";
/// }
/// let mut example = Example::default();
/// example.set("warning", "90%").unwrap();
/// assert_eq!(example.validate().unwrap_err(), "warning must not be above critical: warning `90%`, critical `85%`");
/// assert_eq!(
///     example.set("warning", "60").unwrap_err(),
///     "expected a share from `1%` to `100%`, got `60`, did you mean `60%` or `0.6`?"
/// );
/// ```
#[macro_export]
macro_rules! params {
    (
        $(#[$outer:meta])*
        pub struct $name:ident { $( $(#[doc = $doc:literal])+ $field:ident : $type:ty = $default:expr $(=> $bounds:expr)? ),* $(,)? }
        $( where |$p:ident| $rule:expr, $message:literal; )*
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone)]
        pub struct $name { $( $(#[doc = $doc])+ pub $field: $type ),* }

        impl Default for $name {
            fn default() -> Self { Self { $( $field: $default ),* } }
        }

        impl $crate::params::Params for $name {
            fn infos() -> Vec<$crate::params::ParamInfo> {
                vec![ $( $crate::params::ParamInfo {
                    name: stringify!($field).replace('_', "-"),
                    doc: concat!($($doc),+).trim_ascii(),
                    expected: <$type as $crate::params::Param>::EXPECTED,
                    bounds: [$({
                        let bounds: std::ops::RangeInclusive<$type> = $bounds;
                        let show = <$type as $crate::params::Param>::show;
                        (show(bounds.start()), show(bounds.end()))
                    })?].into_iter().next(),
                } ),* ]
            }
            #[allow(unused_variables)]
            fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
                $( if name == stringify!($field).replace('_', "-") {
                    let value = <$type as $crate::params::Param>::read(text)?;
                    $( $crate::params::within(&value, text, &($bounds))?; )?
                    self.$field = value;
                    return Ok(());
                } )*
                Err(format!("no parameter is named `{name}`"))
            }
            #[allow(unused_variables)]
            fn get(&self, name: &str) -> Option<String> {
                $( if name == stringify!($field).replace('_', "-") {
                    return Some($crate::params::Param::show(&self.$field));
                } )*
                None
            }
            fn validate(&self) -> Result<(), String> {
                $( {
                    let $p = self;
                    let holds: bool = $rule;
                    if !holds {
                        let mut values = String::new();
                        for info in <Self as $crate::params::Params>::infos() {
                            if $message.contains(&info.name) {
                                let value = $crate::params::Params::get(self, &info.name).unwrap_or_default();
                                values.push_str(if values.is_empty() { ": " } else { ", " });
                                values.push_str(&format!("{} `{value}`", info.name));
                            }
                        }
                        return Err(format!("{}{values}", $message));
                    }
                } )*
                Ok(())
            }
        }
    };
}

/// Makes an enum of words a parameter: `choice! { pub enum Method { Linear = "linear", .. } }`.
#[macro_export]
macro_rules! choice {
    ($(#[$outer:meta])* pub enum $name:ident { $( $(#[$doc:meta])* $variant:ident = $word:literal ),+ $(,)? } expected = $expected:literal) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[$doc])* $variant ),+ }
        impl $crate::params::Param for $name {
            const EXPECTED: &'static str = $expected;
            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $( $word => Ok(Self::$variant), )+
                    _ => Err(format!("expected {}, got `{text}`", $expected)),
                }
            }
            fn show(&self) -> String { match self { $( Self::$variant => $word.to_owned() ),+ } }
        }
    };
}
