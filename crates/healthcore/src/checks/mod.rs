//! All checks, in the order in which reports show them: what breaks now, what will break, what is wasted.

use crate::check::{AnyCheck, Erased};

mod memory_usage;

pub use memory_usage::MemoryUsage;

/// Every check. Adding one is its file and its line here.
pub static CHECKS: &[&dyn AnyCheck] = &[&Erased::<MemoryUsage>::new()];
