use healthcore::snapshot::Gap;

/// A value, and what could not be had of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fetched<T> {
    /// What arrived.
    pub value: T,
    /// What did not.
    pub gaps: Vec<Gap>,
}

impl<T> Fetched<T> {
    /// A value without gaps.
    pub fn whole(value: T) -> Self {
        Self { value, gaps: Vec::new() }
    }
}
