//! Routes and rules that come and go with a virtual router, or stand from start to stop.

/// One line of `virtual_routes` or `static_routes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The words of the line, checked.
    pub words: Vec<String>,
}

/// One line of `virtual_rules` or `static_rules`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The words of the line, checked.
    pub words: Vec<String>,
}
