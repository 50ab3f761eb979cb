//! Values: each parser says what it wanted, and the table row says where it belongs.

use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;
use core::time::Duration;

use super::diag::Diag;
use super::keys::Context;
use super::tree::Block;
use super::vrrp::At;
use super::words::Word;
use crate::model::Weight;
use crate::name::IfName;
use crate::time::{Seconds, micros_of};

/// The values after a keyword, taken one after the other.
pub(super) struct Args<'b, 'a, 'c> {
    pub(super) block: &'b Block<'a>,
    next: usize,
    pub(super) context: &'c mut Context,
}

impl<'b, 'a, 'c> Args<'b, 'a, 'c> {
    pub(super) const fn new(block: &'b Block<'a>, context: &'c mut Context) -> Self {
        Self {
            block,
            next: 1,
            context,
        }
    }

    /// A line of a list, whose first word is a value.
    pub(super) const fn line(block: &'b Block<'a>, context: &'c mut Context) -> Self {
        Self {
            block,
            next: 0,
            context,
        }
    }

    /// Says that words were left over.
    pub(super) fn finish(self) {
        if let Some(word) = self.block.words.get(self.next) {
            let what = format!(
                "'{}' after '{}' is ignored",
                word.text,
                self.block.keyword()
            );
            self.context.diags.warn(word.at, what);
        }
    }

    /// The next value, if there is one.
    pub(super) fn word(&mut self) -> Option<Word<'a>> {
        let word = self.block.words.get(self.next).copied()?;
        self.next += 1;
        Some(word)
    }

    /// The next value, left where it is.
    pub(super) fn peek(&self) -> Option<Word<'a>> {
        self.block.words.get(self.next).copied()
    }

    /// Takes the next value if it is this word.
    pub(super) fn flag(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|w| w.text == text);
        if found {
            self.next += 1;
        }
        found
    }

    /// Whether mails are wanted: the first place that wants some is kept.
    pub(super) fn alert(&mut self) -> Option<bool> {
        let wanted = self.switch();
        if wanted == Some(true) {
            let at = self.block.at();
            self.context.alert.get_or_insert(at);
        }
        wanted
    }

    /// The name of a `track_group`, which may be defined later.
    pub(super) fn track_group(&mut self) -> Option<String> {
        let word = self.need("a track_group")?;
        let value = word.text.to_owned();
        self.context.track_groups.push(At {
            value: value.clone(),
            at: word.at,
        });
        Some(value)
    }

    /// The rest is of no interest.
    pub(super) const fn skip(&mut self) {
        self.next = usize::MAX;
    }

    /// The next value; its lack is an error.
    pub(super) fn need(&mut self, what: &str) -> Option<Word<'a>> {
        let word = self.word();
        if word.is_none() {
            let last = self
                .block
                .words
                .last()
                .map_or_else(|| self.block.at(), |w| w.at);
            self.context
                .diags
                .error(last, format!("{what} is missing here"));
        }
        word
    }

    pub(super) fn error(&mut self, word: Word<'_>, what: impl Into<String>) -> &mut Diag {
        self.context.diags.error(word.at, what)
    }

    /// A whole number in a range.
    pub(super) fn number<T: TryFrom<i64>>(&mut self, range: RangeInclusive<i64>) -> Option<T> {
        let word = self.need("a number")?;
        self.number_of(word, range)
    }

    pub(super) fn number_of<T: TryFrom<i64>>(
        &mut self,
        word: Word<'_>,
        range: RangeInclusive<i64>,
    ) -> Option<T> {
        let expected = || format!("expected {} to {}", range.start(), range.end());
        match integer(word.text) {
            None => self
                .error(word, format!("'{}' is not a whole number", word.text))
                .hint(expected()),
            Some(value) if !range.contains(&value) => self
                .error(word, format!("{} is out of range", word.text))
                .hint(expected()),
            Some(value) => return T::try_from(value).ok(),
        };
        None
    }

    /// Seconds with a fraction of up to six digits, in a range of microseconds.
    pub(super) fn time(&mut self, range: RangeInclusive<u64>) -> Option<Duration> {
        let word = self.need("a time in seconds")?;
        self.time_of(word, range)
    }

    pub(super) fn time_of(
        &mut self,
        word: Word<'_>,
        range: RangeInclusive<u64>,
    ) -> Option<Duration> {
        let low = Seconds(Duration::from_micros(*range.start()));
        let high = Seconds(Duration::from_micros(*range.end()));
        let expected = || format!("expected {low} to {high} seconds");
        match micros_of(word.text) {
            None => self
                .error(word, format!("'{}' is not a time in seconds", word.text))
                .hint(expected()),
            Some(value) if !range.contains(&value) => self
                .error(word, format!("{} is out of range", word.text))
                .hint(expected()),
            Some(value) => return Some(Duration::from_micros(value)),
        };
        None
    }

    /// Whole seconds.
    pub(super) fn seconds(&mut self, range: RangeInclusive<i64>) -> Option<Duration> {
        self.number::<u32>(range)
            .map(|s| Duration::from_secs(u64::from(s)))
    }

    /// `on`, `off` and their synonyms; nothing is on.
    pub(super) fn switch(&mut self) -> Option<bool> {
        let Some(word) = self.word() else {
            return Some(true);
        };
        let value = switch(word.text);
        if value.is_none() {
            let what = format!("'{}' is neither on nor off", word.text);
            self.error(word, what)
                .hint("expected on, off, true, false, yes or no");
        }
        value
    }

    /// One of several words; letters may be of either case.
    pub(super) fn choice<T: Copy>(&mut self, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.need(what)?;
        let found = choices
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word.text));
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let text = format!("'{}' is no {what}", word.text);
            let hint = match word.text.strip_suffix([';', ',']) {
                Some(bare) => format!("write '{bare}': nothing ends a line but its end"),
                None => format!("expected {}", names.join(", ")),
            };
            self.error(word, text).hint(hint);
        }
        found.map(|(_, value)| *value)
    }

    /// Any word.
    pub(super) fn text(&mut self, what: &str) -> Option<String> {
        self.need(what).map(|w| w.text.to_owned())
    }

    pub(super) fn interface(&mut self) -> Option<IfName> {
        let word = self.need("an interface")?;
        self.interface_of(word)
    }

    pub(super) fn interface_of(&mut self, word: Word<'_>) -> Option<IfName> {
        let name = IfName::new(word.text);
        if name.is_none() {
            let what = format!("'{}' cannot be the name of an interface", word.text);
            let diag = self.error(word, what);
            if word.text.len() > 15 {
                diag.hint("a name has at most 15 letters");
            } else if let Some((device, _)) = word.text.split_once(':') {
                diag.hint(format!(
                    "'{device}' is the interface; '{}' can be a label",
                    word.text
                ));
            }
        }
        name
    }

    pub(super) fn address(&mut self) -> Option<IpAddr> {
        let word = self.need("an address")?;
        self.parsed(word, "an address")
    }

    pub(super) fn address4(&mut self) -> Option<Ipv4Addr> {
        let word = self.need("an IPv4 address")?;
        self.parsed(word, "an IPv4 address")
    }

    pub(super) fn address6(&mut self) -> Option<Ipv6Addr> {
        let word = self.need("an IPv6 address")?;
        self.parsed(word, "an IPv6 address")
    }

    pub(super) fn parsed<T: core::str::FromStr>(
        &mut self,
        word: Word<'_>,
        what: impl Display,
    ) -> Option<T> {
        let value = word.text.parse().ok();
        if value.is_none() {
            let text = format!("'{}' is not {what}", word.text);
            self.error(word, text);
        }
        value
    }

    /// `address[/length]`; without a length the whole address. An IPv4 mask may be written out.
    pub(super) fn prefix_of(&mut self, word: Word<'_>) -> Option<(IpAddr, u8)> {
        let (address, length) = match word.text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (word.text, None),
        };
        let Ok(ip) = address.parse::<IpAddr>() else {
            let text = format!("'{}' is not an address", word.text);
            self.error(word, text);
            return None;
        };
        let whole = if ip.is_ipv4() { 32 } else { 128 };
        let Some(length) = length else {
            return Some((ip, whole));
        };
        match length
            .parse::<u8>()
            .ok()
            .filter(|l| *l <= whole)
            .or_else(|| mask(length))
        {
            Some(length) => Some((ip, length)),
            None => {
                // As keepalived: the whole address.
                let text = format!("'/{length}' is no prefix length of {address}");
                self.error(word, text).hint(format!("taken as /{whole}"));
                Some((ip, whole))
            }
        }
    }

    /// `N [reverse]` after `weight`.
    pub(super) fn weight(&mut self, limit: i64) -> Option<Weight> {
        let word = self.need("a weight")?;
        let value = match integer(word.text) {
            Some(254) if limit == 253 => Some(self.clipped(word, 253)),
            Some(-254) if limit == 253 => Some(self.clipped(word, -253)),
            _ => self.number_of(word, -limit..=limit),
        };
        let reverse = self.flag("reverse");
        if !reverse && !self.flag("noreverse") {
            self.flag("no_reverse");
        }
        value.map(|value| Weight { value, reverse })
    }

    fn clipped(&mut self, word: Word<'_>, to: i16) -> i16 {
        let what = format!("a weight of {} is out of range, taken as {to}", word.text);
        self.context.diags.warn(word.at, what);
        to
    }
}

/// For values that are looked at, but not kept.
pub(super) fn checked<T>(_: Option<T>) {}

pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// Decimal, or hexadecimal after `0x`; a sign may lead.
pub(super) fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok().map(i64::from),
        None => text.parse().ok(),
    }
}

/// A mask such as 255.255.255.0 as a length.
pub(super) fn mask(text: &str) -> Option<u8> {
    let bits = u32::from(text.parse::<Ipv4Addr>().ok()?);
    let length = bits.leading_ones();
    (bits.count_ones() == length).then(|| u8::try_from(length).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_its_ones_in_front() {
        assert_eq!(mask("255.255.255.0"), Some(24));
        assert_eq!(mask("0.0.0.0"), Some(0));
        assert_eq!(mask("255.0.255.0"), None);
    }
}
