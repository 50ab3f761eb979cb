//! What the keywords of the configuration mean, for people: texts of ours, beside what the tables of `config` and the parsers in
//! them say.

pub mod screen;
pub mod values;

/// A line in brackets names the blocks in which what follows stands. An entry is a paragraph: keywords with their arguments, then,
/// indented, its default, sentences, and what keepalived does otherwise.
const TEXTS: [&str; 3] = [
    include_str!("text/global.txt"),
    include_str!("text/vrrp.txt"),
    include_str!("text/servers.txt"),
];

/// Entries that hold in the same blocks.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The blocks; an empty name is the top level.
    pub blocks: Vec<&'static str>,
    /// What can stand there.
    pub entries: Vec<Entry>,
}

/// What is said of a keyword, or of several that mean the same.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Each way to write it: the keyword, then its arguments.
    pub heads: Vec<&'static str>,
    /// What is so without it; empty where nothing needs to be said.
    pub default: &'static str,
    /// Sentences.
    pub text: Vec<&'static str>,
    /// What keepalived does otherwise; mostly empty.
    pub keepalived: &'static str,
}

impl Entry {
    /// The keywords, each once.
    #[must_use]
    pub fn keywords(&self) -> Vec<&'static str> {
        let mut words: Vec<_> = self.heads.iter().map(|head| first_word(head)).collect();
        words.dedup();
        words
    }

    fn read(paragraph: &'static str) -> Self {
        let mut entry = Self::default();
        for line in paragraph.lines() {
            let Some(said) = line.strip_prefix("    ") else {
                entry.heads.push(line);
                continue;
            };
            if let Some(default) = said.strip_prefix("default: ") {
                entry.default = default;
            } else if let Some(keepalived) = said.strip_prefix("keepalived: ") {
                entry.keepalived = keepalived;
            } else {
                entry.text.push(said);
            }
        }
        entry
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// Everything that is written, in order.
#[must_use]
pub fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let paragraphs = TEXTS.iter().flat_map(|text| text.split("\n\n"));
    for paragraph in paragraphs.map(|paragraph| paragraph.trim_end()) {
        let blocks = paragraph.strip_prefix('[');
        if let Some(blocks) = blocks.and_then(|blocks| blocks.strip_suffix(']')) {
            sections.push(Section {
                blocks: blocks.split(' ').collect(),
                entries: Vec::new(),
            });
        } else if let Some(section) = sections.last_mut() {
            section.entries.push(Entry::read(paragraph));
        }
    }
    sections
}
