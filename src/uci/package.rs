//! The text of a UCI file → its sections, as libuci reads it.

use core::fmt;

/// Something in the file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Counted from 1.
    pub line: u32,
    /// What is the matter, and what becomes of it.
    pub what: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

/// `config KIND 'NAME'` with what follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The line that begins it.
    pub line: u32,
    /// What it describes.
    pub kind: String,
    /// Its own name; many have none.
    pub name: Option<String>,
    /// Options and lists in their order; a list has any number of values.
    options: Vec<(String, Vec<String>)>,
}

impl Section {
    /// The value of an option; of a list, the first. One without letters counts as none, as in UCI's shell functions.
    #[must_use]
    pub fn get(&self, option: &str) -> Option<&str> {
        let (_, values) = self.options.iter().find(|(name, _)| name == option)?;
        values.first().map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The values of a list. Blanks separate values too: UCI's shell functions make no difference, so files rely on it.
    pub fn list(&self, option: &str) -> impl Iterator<Item = &str> {
        let of_option = self.options.iter().filter(move |(name, _)| name == option);
        let values = of_option.flat_map(|(_, values)| values.iter());
        values.flat_map(|value| value.split_whitespace())
    }

    /// A flag: `None` where it is not given, or is neither on nor off.
    #[must_use]
    pub fn flag(&self, option: &str) -> Option<bool> {
        match self.get(option)? {
            "1" | "on" | "true" | "yes" | "enabled" => Some(true),
            "0" | "off" | "false" | "no" | "disabled" => Some(false),
            _ => None,
        }
    }

    /// What other sections call it: its option `name`, else its own name.
    #[must_use]
    pub fn called(&self) -> Option<&str> {
        self.get("name").or(self.name.as_deref())
    }

    fn set(&mut self, option: String, value: String, list: bool) {
        match self.options.iter_mut().find(|(name, _)| *name == option) {
            Some((_, values)) if list => values.push(value),
            Some((_, values)) => *values = vec![value],
            None => self.options.push((option, vec![value])),
        }
    }
}

/// The sections of a file in their order, and the lines of it that are no UCI.
#[must_use]
pub fn read(text: &str) -> (Vec<Section>, Vec<Remark>) {
    let mut sections: Vec<Section> = Vec::new();
    let mut remarks = Vec::new();
    // The section that options belong to.
    let mut current = None;
    let mut statements = Statements { text, line: 1 };
    while let Some((line, statement)) = statements.next() {
        let mut refuse = |what: String| remarks.push(Remark { line, what });
        let words = match statement {
            Ok(words) => words,
            Err(what) => {
                refuse(what.to_owned());
                continue;
            }
        };
        let mut words = words.into_iter();
        let word = words.next().unwrap_or_default();
        let (first, second, more) = (words.next(), words.next(), words.next());
        match (word.as_str(), first, second, more) {
            ("package", Some(_), None, None) => {}
            ("config", Some(kind), name, None) => {
                let name = name.filter(|name| !name.is_empty());
                // One that is named twice goes on where it was.
                let known = |s: &Section| name.is_some() && s.name == name && s.kind == kind;
                let place = sections.iter().position(known).unwrap_or(sections.len());
                if place == sections.len() {
                    sections.push(Section {
                        line,
                        kind,
                        name,
                        options: Vec::new(),
                    });
                }
                current = Some(place);
            }
            ("option" | "list", Some(option), Some(value), None) => {
                match current.and_then(|place| sections.get_mut(place)) {
                    Some(section) => section.set(option, value, word == "list"),
                    None => refuse(format!(
                        "{word} {option} stands outside any section: left out"
                    )),
                }
            }
            _ => refuse(format!(
                "'{word}' is not 'config KIND [NAME]', 'option NAME VALUE' or 'list NAME VALUE' here: left out"
            )),
        }
    }
    (sections, remarks)
}

/// Statements: a line each, or parts of a line between semicolons; a quoted value may span lines.
struct Statements<'a> {
    text: &'a str,
    line: u32,
}

type Words = Result<Vec<String>, &'static str>;

impl Statements<'_> {
    /// The next one that is not empty, and the line that it begins on.
    fn next(&mut self) -> Option<(u32, Words)> {
        loop {
            let line = self.line;
            let words = self.statement()?;
            if words.as_ref().is_ok_and(Vec::is_empty) {
                continue;
            }
            return Some((line, words));
        }
    }

    fn letter(&mut self) -> Option<char> {
        let letter = self.text.chars().next()?;
        self.text = self.text.get(letter.len_utf8()..).unwrap_or("");
        self.line = self.line.saturating_add(u32::from(letter == '\n'));
        Some(letter)
    }

    fn skip_line(&mut self) {
        while self.letter().is_some_and(|letter| letter != '\n') {}
    }

    /// `None` at the end of the text.
    fn statement(&mut self) -> Option<Words> {
        if self.text.is_empty() {
            return None;
        }
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        while let Some(letter) = self.letter() {
            match letter {
                '\n' | ';' => break,
                '#' if word.is_none() => {
                    self.skip_line();
                    break;
                }
                ' ' | '\t' | '\r' => words.extend(word.take()),
                '\'' | '"' => {
                    let word = word.get_or_insert_default();
                    if !self.quoted(letter, word) {
                        return Some(Err(
                            "a quote does not end: the rest of the file is left out",
                        ));
                    }
                }
                '\\' => {
                    let word = word.get_or_insert_default();
                    word.extend(self.letter().filter(|letter| *letter != '\n'));
                }
                letter => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        Some(Ok(words))
    }

    /// Up to the closing quote. Within single quotes nothing else has a meaning.
    fn quoted(&mut self, quote: char, word: &mut String) -> bool {
        while let Some(letter) = self.letter() {
            match letter {
                letter if letter == quote => return true,
                '\\' if quote == '"' => word.extend(self.letter()),
                letter => word.push(letter),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments_are_those_of_libuci() {
        let text = "package keepalived\n\n# a comment\nconfig vrrp_instance 'lan' # another\n\
            \toption a 'it''s'\n\toption b \"say \\\"hi\\\"\"\n option c two' words'\n option d x\\ y; option e '#1'\n";
        let (sections, remarks) = read(text);
        assert_eq!(remarks, []);
        let [section] = sections.as_slice() else {
            panic!("{sections:?}");
        };
        assert_eq!((section.line, section.kind.as_str()), (4, "vrrp_instance"));
        let values = ["a", "b", "c", "d", "e"].map(|name| section.get(name).unwrap());
        assert_eq!(values, ["its", "say \"hi\"", "two words", "x y", "#1"]);
    }

    #[test]
    fn a_list_gathers_and_an_option_replaces() {
        let (sections, _) = read(
            "config a\n list x '1'\n list x '2 3'\n option y '1'\n option y '2'\n option z ''\n",
        );
        assert!(sections[0].list("x").eq(["1", "2", "3"]));
        assert_eq!(sections[0].get("y"), Some("2"));
        assert_eq!(sections[0].get("z"), None);
    }

    #[test]
    fn a_named_section_may_be_continued() {
        let (sections, _) =
            read("config a 'n'\n option x 1\nconfig a\nconfig a 'n'\n option y 2\n");
        assert_eq!(sections.len(), 2);
        assert_eq!(
            (sections[0].get("x"), sections[0].get("y")),
            (Some("1"), Some("2"))
        );
    }

    #[test]
    fn flags_have_the_words_of_uci() {
        let (sections, _) = read("config a\n option x on\n option y disabled\n option z eth0\n");
        let flags = ["x", "y", "z", "w"].map(|name| sections[0].flag(name));
        assert_eq!(flags, [Some(true), Some(false), None, None]);
    }

    #[test]
    fn what_is_no_uci_is_told_by_its_line_and_the_rest_is_read() {
        let (sections, remarks) = read("option x 1\nconfig a\nconfg b\n option y\n option z 1\n");
        assert_eq!(sections[0].get("z"), Some("1"));
        assert!(remarks.iter().map(|r| r.line).eq([1, 3, 4]), "{remarks:?}");
        let (_, remarks) = read("config a\n option x 'open\nconfig b\n");
        assert_eq!(remarks[0].line, 2);
    }
}
