//! run

pub mod reactor;
