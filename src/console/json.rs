//! Writing JSON, as much of it as our answers need.

use core::fmt::{self, Display, Write};

/// The members of an object without its braces: others may follow.
pub fn member(mut fill: impl FnMut(&mut Json<'_>) -> fmt::Result) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = fill(&mut Json::new(&mut text));
    text
}

/// Writes one JSON value after another, commas where they belong.
///
/// ```
/// # use keepalite::console::json::Json;
/// let mut text = String::new();
/// let mut json = Json::new(&mut text);
/// json.object(|o| {
///     o.text("name", "a \"b\"")?;
///     o.number("vrid", 51)?;
///     o.array("vips", ["10.0.0.1"])
/// })?;
/// assert_eq!(text, r#"{"name":"a \"b\"","vrid":51,"vips":["10.0.0.1"]}"#);
/// # Ok::<(), core::fmt::Error>(())
/// ```
pub struct Json<'a> {
    out: &'a mut dyn Write,
    first: bool,
}

impl<'a> Json<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, first: true }
    }

    /// An object as the next value; `fill` writes its members.
    pub fn object(&mut self, mut fill: impl FnMut(&mut Json<'_>) -> fmt::Result) -> fmt::Result {
        self.comma()?;
        self.nest('{', '}', &mut fill)
    }

    /// A list as the next value; `fill` writes its elements.
    pub fn list(&mut self, mut fill: impl FnMut(&mut Json<'_>) -> fmt::Result) -> fmt::Result {
        self.comma()?;
        self.nest('[', ']', &mut fill)
    }

    /// A member that is an object.
    pub fn member(
        &mut self,
        key: &str,
        mut fill: impl FnMut(&mut Json<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.key(key)?;
        self.nest('{', '}', &mut fill)
    }

    /// A member that is a text.
    pub fn text(&mut self, key: &str, value: &str) -> fmt::Result {
        self.key(key)?;
        self.quoted(&value)
    }

    /// A member that prints as a number.
    pub fn number(&mut self, key: &str, value: impl Display) -> fmt::Result {
        self.bare(key, &value)
    }

    fn bare(&mut self, key: &str, value: &dyn Display) -> fmt::Result {
        self.key(key)?;
        write!(self.out, "{value}")
    }

    /// A member that is true or false.
    pub fn boolean(&mut self, key: &str, value: bool) -> fmt::Result {
        self.number(key, value)
    }

    /// A member that is a list of texts.
    pub fn array<T: Display>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = T>,
    ) -> fmt::Result {
        self.key(key)?;
        let mut values = values.into_iter();
        self.nest('[', ']', &mut |list| {
            values.try_for_each(|value| {
                list.comma()?;
                list.quoted(&value)
            })
        })
    }

    /// A member that is a list; `fill` writes its elements.
    pub fn array_of(
        &mut self,
        key: &str,
        mut fill: impl FnMut(&mut Json<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.key(key)?;
        self.nest('[', ']', &mut fill)
    }

    fn nest(
        &mut self,
        open: char,
        close: char,
        fill: &mut dyn FnMut(&mut Json<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.out.write_char(open)?;
        fill(&mut Json {
            out: self.out,
            first: true,
        })?;
        self.out.write_char(close)
    }

    fn comma(&mut self) -> fmt::Result {
        if core::mem::take(&mut self.first) {
            Ok(())
        } else {
            self.out.write_char(',')
        }
    }

    fn key(&mut self, key: &str) -> fmt::Result {
        self.comma()?;
        self.quoted(&key)?;
        self.out.write_char(':')
    }

    fn quoted(&mut self, value: &dyn Display) -> fmt::Result {
        self.out.write_char('"')?;
        write!(Escape(self.out), "{value}")?;
        self.out.write_char('"')
    }
}

/// Escapes what passes through it (RFC 8259 section 7).
struct Escape<'a>(&'a mut dyn Write);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '"' => self.0.write_str("\\\""),
            '\\' => self.0.write_str("\\\\"),
            c if (c as u32) < 0x20 => write!(self.0, "\\u{:04x}", c as u32),
            c => self.0.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_quotes_and_backslashes_are_escaped() {
        let mut text = String::new();
        Json::new(&mut text)
            .object(|o| o.text("k\n", "a\"b\\c\u{1}é"))
            .expect("a String takes everything");
        assert_eq!(text, "{\"k\\u000a\":\"a\\\"b\\\\c\\u0001é\"}");
    }

    #[test]
    fn commas_stand_between_values_only() {
        let mut text = String::new();
        let done = Json::new(&mut text).list(|l| {
            l.object(|o| {
                o.number("a", 1)?;
                o.boolean("b", true)?;
                o.array("c", ["x", "y"])
            })?;
            l.object(|_| Ok(()))
        });
        done.expect("a String takes everything");
        assert_eq!(text, r#"[{"a":1,"b":true,"c":["x","y"]},{}]"#);
    }
}
