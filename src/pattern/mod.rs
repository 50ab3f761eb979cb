//! Regular expressions for pages, where the build has them.

#[cfg(feature = "regex")]
mod light;
#[cfg(not(feature = "regex"))]
mod no_regex;

#[cfg(feature = "regex")]
pub use light::Search;
#[cfg(not(feature = "regex"))]
pub use no_regex::Search;
