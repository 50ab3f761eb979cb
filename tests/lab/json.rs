//! Reading JSON (RFC 8259): what `ip -j` and the daemons write.

use std::fmt;

/// A value. Members keep their order, numbers their spelling.
#[derive(Clone, PartialEq)]
pub(crate) enum Json {
    /// `null`, `true`, `false` or a number, as it is spelt.
    Word(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a whole text; `None` if it is not JSON, or not all of it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let value = value(&mut rest)?;
        rest.trim().is_empty().then_some(value)
    }

    /// The member of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The names of the members, in their order.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Object(members) => members.iter().map(|(name, _)| name.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The elements of a list.
    pub(crate) fn elements(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            _ => &[],
        }
    }

    /// A text, or a word as it is spelt.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Word(text) | Self::Text(text) => text,
            _ => "",
        }
    }

    /// The member of that name as a number.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.get(name)
            .and_then(|v| v.as_str().parse().ok())
            .unwrap_or_else(|| panic!("{name} is no number in {self:?}"))
    }

    /// Takes the members of these names out.
    pub(crate) fn without(self, names: &[&str]) -> Self {
        match self {
            Self::Object(mut members) => {
                members.retain(|(name, _)| !names.contains(&name.as_str()));
                Self::Object(members)
            }
            other => other,
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(elements) => f.debug_list().entries(elements).finish(),
            Self::Object(members) => f
                .debug_map()
                .entries(members.iter().map(|(n, v)| (n, v)))
                .finish(),
        }
    }
}

fn value(rest: &mut &str) -> Option<Json> {
    if take(rest, '{') {
        let mut members = Vec::new();
        while !take(rest, '}') {
            let name = text(rest)?;
            if !take(rest, ':') {
                return None;
            }
            members.push((name, value(rest)?));
            end_of_element(rest, '}')?;
        }
        return Some(Json::Object(members));
    }
    if take(rest, '[') {
        let mut elements = Vec::new();
        while !take(rest, ']') {
            elements.push(value(rest)?);
            end_of_element(rest, ']')?;
        }
        return Some(Json::List(elements));
    }
    if rest.trim_start().starts_with('"') {
        return text(rest).map(Json::Text);
    }
    let word = rest.trim_start();
    let end = word
        .find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))
        .unwrap_or(word.len());
    let (word, after) = word.split_at(end);
    *rest = after;
    let known = matches!(word, "null" | "true" | "false") || word.parse::<f64>().is_ok();
    known.then(|| Json::Word(word.to_owned()))
}

fn take(rest: &mut &str, wanted: char) -> bool {
    match rest.trim_start().strip_prefix(wanted) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// A comma, or the closing bracket ahead.
fn end_of_element(rest: &mut &str, close: char) -> Option<()> {
    (take(rest, ',') || rest.trim_start().starts_with(close)).then_some(())
}

fn text(rest: &mut &str) -> Option<String> {
    if !take(rest, '"') {
        return None;
    }
    let mut found = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => match chars.next()? {
                'n' => found.push('\n'),
                't' => found.push('\t'),
                'u' => {
                    let code: String = chars.by_ref().take(4).collect();
                    found.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                }
                plain => found.push(plain),
            },
            plain => found.push(plain),
        }
    }
    *rest = chars.as_str();
    Some(found)
}
