//! Regular expressions for pages: keepalived's PCRE2 options on a light engine, over pieces of a page as they come.
//!
//! A page is bytes, and so it is to PCRE2 unless `utf` says otherwise: each byte is taken as the character of that number,
//! in the page and in the expression. Back references, look-around and the like are not understood, which is told when the
//! configuration is read.

use regex_lite::{Regex, RegexBuilder};

use crate::model::lvs;

/// So many bytes are looked through at once, and so many of them are kept for a match that goes on in the next piece:
/// as with keepalived a match has less than 4 KiB.
const WINDOW: usize = 16_384;
const OVERLAP: usize = 4_096;

/// Options of pcre2api(3) that change what an expression means, and how.
const OPTIONS: [(&str, Setter); 7] = [
    ("caseless", |s| s.caseless = true),
    ("multiline", |s| s.multiline = true),
    ("dotall", |s| s.dotall = true),
    ("extended", |s| s.extended = true),
    ("ungreedy", |s| s.ungreedy = true),
    ("dollar_endonly", |s| s.dollar_endonly = true),
    ("utf", |s| s.utf = true),
];

/// Options that are about speed, captures or what an expression must not have: whether it matches is the same without.
const HARMLESS: [&str; 9] = [
    "auto_callout",
    "dupnames",
    "never_backslash_c",
    "never_ucp",
    "never_utf",
    "no_auto_capture",
    "no_auto_possess",
    "no_dotstar_anchor",
    "no_start_optimize",
];

type Setter = fn(&mut Settings);

#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    caseless: bool,
    multiline: bool,
    dotall: bool,
    extended: bool,
    ungreedy: bool,
    dollar_endonly: bool,
    utf: bool,
}

/// An expression that is understood, and how far its search has come.
#[derive(Debug)]
pub struct Search {
    regex: Regex,
    settings: Settings,
    first: usize,
    last: usize,
    /// What is being looked through, and its place in the page.
    window: String,
    base: usize,
    /// Bytes of the window that no match can begin in any more; also those that come too early.
    passed: usize,
    /// Bytes of a character whose rest has not come.
    broken: Vec<u8>,
    matched: bool,
}

impl Search {
    /// Begins to search for what the configuration says.
    ///
    /// # Errors
    /// In words, what is not understood of it.
    pub fn new(wanted: &lvs::Regex) -> Result<Self, String> {
        let mut settings = Settings::default();
        for option in &wanted.options {
            match OPTIONS.iter().find(|(name, _)| name == option) {
                Some((_, set)) => set(&mut settings),
                None if HARMLESS.contains(&option.as_str()) => {}
                None => return Err(format!("the option '{option}' is not understood")),
            }
        }
        if has_possessive(&wanted.pattern) {
            return Err("possessive quantifiers are not understood".to_owned());
        }
        let pattern = pattern(&wanted.pattern, settings.utf);
        let regex = RegexBuilder::new(&pattern)
            .case_insensitive(settings.caseless)
            .multi_line(settings.multiline)
            .dot_matches_new_line(settings.dotall)
            .ignore_whitespace(settings.extended)
            .swap_greed(settings.ungreedy)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            regex,
            settings,
            first: usize::try_from(wanted.min_offset).unwrap_or(usize::MAX),
            last: wanted
                .max_offset
                .and_then(|last| usize::try_from(last).ok())
                .unwrap_or(usize::MAX),
            window: String::new(),
            base: 0,
            passed: 0,
            broken: Vec::new(),
            matched: false,
        })
    }

    /// Takes in a piece of the page.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while !self.matched && self.base <= self.last && !piece.is_empty() {
            let room = WINDOW.saturating_sub(self.window.len()).max(1);
            let (now, later) = piece.split_at(piece.len().min(room));
            self.append(now);
            piece = later;
            if self.window.len() >= WINDOW {
                self.look(false);
            }
        }
    }

    /// Whether it matches the page, which has come to its end.
    pub fn finish(&mut self) -> bool {
        if !self.matched {
            let broken = core::mem::take(&mut self.broken);
            self.window.push_str(&String::from_utf8_lossy(&broken));
            self.look(true);
            // `$` also stands in front of the last line feed, as in PCRE2.
            if !self.matched && !self.settings.dollar_endonly && self.window.ends_with('\n') {
                self.window.pop();
                self.look(true);
            }
        }
        self.matched
    }

    fn append(&mut self, bytes: &[u8]) {
        if !self.settings.utf {
            self.window
                .extend(bytes.iter().map(|byte| char::from(*byte)));
            return;
        }
        self.broken.extend_from_slice(bytes);
        let whole = match core::str::from_utf8(&self.broken) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.broken.len(),
        };
        let rest = self.broken.split_off(whole);
        let text = core::mem::replace(&mut self.broken, rest);
        self.window.push_str(&String::from_utf8_lossy(&text));
    }

    /// Looks through the window; with more of the page to come, a match at its end might be none, or go on.
    fn look(&mut self, whole: bool) {
        let mut from = self.passed.min(self.window.len());
        let keep = loop {
            let Some(found) = self.regex.find_at(&self.window, from) else {
                break self.window.len().saturating_sub(OVERLAP).max(from);
            };
            let place = self.base.saturating_add(self.bytes(found.start()));
            if place > self.last {
                break self.window.len();
            }
            if found.end() == self.window.len() && !whole {
                // One that fills the window is longer than any that counts.
                let long = self.window.len() - found.start() > WINDOW - OVERLAP;
                break if long {
                    self.window.len()
                } else {
                    found.start()
                };
            }
            if place >= self.first {
                self.matched = true;
                return;
            }
            from = self.after(found.start());
            if from > self.window.len() {
                break self.window.len();
            }
        };
        if !whole {
            self.drop_before(keep);
        }
    }

    /// Forgets what stands before a place, but for the character in front of it, which anchors look at.
    fn drop_before(&mut self, place: usize) {
        let mut place = place.min(self.window.len());
        while !self.window.is_char_boundary(place) {
            place -= 1;
        }
        let context = self
            .window
            .get(..place)
            .and_then(|text| text.chars().next_back());
        let cut = place - context.map_or(0, char::len_utf8);
        self.base = self.base.saturating_add(self.bytes(cut));
        self.passed = place - cut;
        self.window.drain(..cut);
    }

    /// Where the next character begins.
    fn after(&self, place: usize) -> usize {
        let next = self
            .window
            .get(place..)
            .and_then(|text| text.chars().next());
        place + next.map_or(1, char::len_utf8)
    }

    /// So many bytes of the page are the first so many of the window.
    fn bytes(&self, length: usize) -> usize {
        match self.settings.utf {
            true => length,
            false => self
                .window
                .get(..length)
                .map_or(length, |text| text.chars().count()),
        }
    }
}

/// The expression as this engine writes it: bytes as characters, and no word boundaries where PCRE2 has angle brackets.
fn pattern(text: &str, utf: bool) -> String {
    let text = text.replace("\\<", "<").replace("\\>", ">");
    match utf {
        true => text,
        false => text.bytes().map(char::from).collect(),
    }
}

/// Whether a quantifier has a plus behind it, which this engine takes for another quantifier.
fn has_possessive(text: &str) -> bool {
    let (mut escaped, mut class, mut before) = (false, false, ' ');
    for c in text.chars() {
        let quantifier = matches!(before, '+' | '*' | '?' | '}');
        match c {
            _ if escaped => {
                escaped = false;
                before = ' ';
                continue;
            }
            '\\' => {
                escaped = true;
                before = ' ';
                continue;
            }
            '[' => class = true,
            ']' => class = false,
            '+' if quantifier && !class => return true,
            _ => {}
        }
        before = if class { ' ' } else { c };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pattern: &str, options: &str) -> Search {
        let wanted = lvs::Regex {
            pattern: pattern.to_owned(),
            options: options.split_whitespace().map(str::to_owned).collect(),
            ..lvs::Regex::default()
        };
        Search::new(&wanted).unwrap()
    }

    fn matches(pattern: &str, options: &str, page: &[u8]) -> bool {
        let mut whole = search(pattern, options);
        whole.feed(page);
        let found = whole.finish();
        let mut bytes = search(pattern, options);
        page.iter().for_each(|byte| bytes.feed(&[*byte]));
        assert_eq!(bytes.finish(), found, "{pattern} byte by byte");
        found
    }

    #[test]
    fn options_mean_what_they_mean_in_pcre2() {
        for (pattern, options, page, expected) in [
            ("ok", "", "all OK\n", false),
            ("ok", "caseless", "all OK\n", true),
            ("^b$", "", "a\nb\nc", false),
            ("^b$", "multiline", "a\nb\nc", true),
            ("a.b", "", "a\nb", false),
            ("a.b", "dotall", "a\nb", true),
            ("a b", "extended", "ab", true),
            ("end$", "", "the end\n", true),
            ("end$", "dollar_endonly", "the end\n", false),
            ("end\\n$", "", "the end\n", true),
            ("\\<b\\>", "no_auto_capture", "<b>", true),
        ] {
            let found = matches(pattern, options, page.as_bytes());
            assert_eq!(found, expected, "{pattern} {options}");
        }
    }

    #[test]
    fn a_page_is_bytes_unless_it_is_said_to_be_utf_8() {
        assert!(matches("^caf..$", "", "café".as_bytes()));
        assert!(matches("^caf.$", "utf", "café".as_bytes()));
        assert!(matches("café", "", "un café".as_bytes()));
        assert!(matches("^\\xe9$", "", b"\xe9"));
        assert!(!matches("é", "utf", b"\xe9"));
        assert!(matches("^..$", "utf", b"\xff\xfe"));
    }

    #[test]
    fn a_match_is_found_wherever_pieces_of_the_page_end() {
        let mut page = vec![b'.'; 50_000];
        for place in [0, 1, 4_095, 16_380, 16_384, 30_000, 49_997] {
            page[place..place + 3].copy_from_slice(b"abc");
            for length in [1, 1_000, 7_777, 50_000] {
                let mut search = search("a(bc)+", "");
                page.chunks(length).for_each(|piece| search.feed(piece));
                assert!(search.finish(), "at {place} in pieces of {length}");
            }
            page[place..place + 3].copy_from_slice(b"...");
        }
    }

    #[test]
    fn anchors_mean_the_ends_of_the_page_not_of_its_pieces() {
        let mut page = vec![b'a'; 100_000];
        for pattern in ["^b", "b$", "\\Ab", "b\\z"] {
            let mut search = search(pattern, "");
            search.feed(&page);
            assert!(!search.finish(), "{pattern}");
        }
        page[40_000] = b'b';
        assert!(!matches("^b", "", &page));
        assert!(!matches("b$", "", &page));
        page[99_999] = b'b';
        assert!(matches("b$", "", &page));
    }

    #[test]
    fn offsets_say_where_a_match_may_begin() {
        let page = "0123456789".repeat(5_000);
        let found = |first, last| {
            let wanted = lvs::Regex {
                pattern: "5".to_owned(),
                min_offset: first,
                max_offset: last,
                ..lvs::Regex::default()
            };
            let mut search = Search::new(&wanted).unwrap();
            search.feed(page.as_bytes());
            search.finish()
        };
        assert!(found(0, None) && found(5, Some(5)) && found(49_995, None));
        assert!(found(0, Some(5)) && found(30_005, Some(30_005)));
        assert!(!found(0, Some(4)) && !found(6, Some(14)) && !found(49_996, None));
    }

    #[test]
    fn what_the_engine_cannot_do_is_said() {
        for (pattern, options) in [
            ("(a)\\1", ""),
            ("(?=a)", ""),
            ("a++", ""),
            ("(", ""),
            ("a", "ucp"),
        ] {
            let wanted = lvs::Regex {
                pattern: pattern.to_owned(),
                options: options.split_whitespace().map(str::to_owned).collect(),
                ..lvs::Regex::default()
            };
            assert!(Search::new(&wanted).is_err(), "{pattern} {options}");
        }
    }

    #[test]
    fn a_plus_is_not_possessive_where_it_stands_for_itself() {
        assert!(matches("^\\++[+]+a+?$", "", b"++++aa"));
    }

    #[test]
    fn a_page_without_end_needs_no_more_memory() {
        let mut search = search("never (found)", "");
        let piece = vec![b'n'; 65_536];
        for _ in 0..64 {
            search.feed(&piece);
        }
        assert!(search.window.capacity() <= 4 * WINDOW);
        assert!(!search.finish());
    }
}
