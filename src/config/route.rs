//! Lines of `virtual_routes`, `virtual_rules`, `static_routes` and `static_rules`.

use super::keys::Context;
use super::tree::Block;
use crate::model::{Route, Rule};

pub(super) fn routes(blocks: &[Block<'_>], _context: &mut Context) -> Vec<Route> {
    let words = blocks
        .iter()
        .map(|b| b.words.iter().map(|w| w.text.to_owned()).collect());
    words.map(|words| Route { words }).collect()
}

pub(super) fn rules(blocks: &[Block<'_>], _context: &mut Context) -> Vec<Rule> {
    let words = blocks
        .iter()
        .map(|b| b.words.iter().map(|w| w.text.to_owned()).collect());
    words.map(|words| Rule { words }).collect()
}
