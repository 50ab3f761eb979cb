//! The keywords: a table per block, a row per keyword, and how a block is read by its table.

use super::diag::{Diags, Span};
use super::names::Names;
use super::script::{Scripts, Users};
use super::tree::Block;
use super::value::Args;
use super::vrrp::At;

use crate::sorted::Set;

/// What this build does about a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// What it asks for is done.
    Obeyed,
    /// It is read, and will never be done here: why.
    Ignored(&'static str),
    /// This build lacks the feature of this name.
    Feature(&'static str),
}

/// A row of the tables, for those who show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The block that it stands in; empty at the top level.
    pub block: &'static str,
    /// The keyword.
    pub keyword: &'static str,
    /// What this build does about it.
    pub status: Status,
}

/// Every keyword of every block.
#[must_use]
pub fn table() -> Vec<Row> {
    let mut rows = Vec::new();
    super::root::rows(&mut rows);
    rows
}

/// What follows a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Any number of values, also none.
    Any,
    /// At least one value.
    Value,
    /// Braces.
    Block,
    /// A name, or more, and braces.
    Named,
}

/// A keyword of a block whose draft is a `D`.
pub(super) struct Key<D> {
    word: Keyword,
    set: fn(&mut D, &mut Args<'_, '_, '_>),
}

/// What a keyword is, whatever its draft.
#[derive(Clone, Copy)]
struct Keyword {
    name: &'static str,
    shape: Shape,
    status: Status,
}

/// Shorthand for the rows.
pub(super) const fn key<D>(
    name: &'static str,
    shape: Shape,
    status: Status,
    set: fn(&mut D, &mut Args<'_, '_, '_>),
) -> Key<D> {
    let word = Keyword {
        name,
        shape,
        status,
    };
    Key { word, set }
}

/// A part of the program that a build may leave out.
#[derive(Clone, Copy)]
pub(super) struct Feature {
    name: &'static str,
    pub(super) built: bool,
}

impl Feature {
    const fn new(name: &'static str, built: bool) -> Self {
        Self { name, built }
    }

    /// Virtual servers and the checks of their servers.
    pub(super) const LVS: Self = Self::new("lvs", cfg!(feature = "lvs"));
    /// `TCP_CHECK`.
    pub(super) const TCP: Self = Self::new("check-tcp", cfg!(feature = "check-tcp"));
    /// `HTTP_GET`.
    pub(super) const HTTP: Self = Self::new("check-http", cfg!(feature = "check-http"));
    /// `SSL_GET`.
    pub(super) const TLS: Self = Self::new("tls", cfg!(feature = "tls"));
    /// `regex` of a page.
    pub(super) const REGEX: Self = Self::new("regex", cfg!(feature = "regex"));
    /// `SMTP_CHECK`.
    pub(super) const SMTP: Self = Self::new("check-smtp", cfg!(feature = "check-smtp"));
    /// `DNS_CHECK`.
    pub(super) const DNS: Self = Self::new("check-dns", cfg!(feature = "check-dns"));
    /// `UDP_CHECK`.
    pub(super) const UDP: Self = Self::new("check-udp", cfg!(feature = "check-udp"));
    /// `PING_CHECK`.
    pub(super) const PING: Self = Self::new("check-ping", cfg!(feature = "check-ping"));
    /// `MISC_CHECK`.
    pub(super) const MISC: Self = Self::new("check-misc", cfg!(feature = "check-misc"));
    /// `FILE_CHECK`.
    pub(super) const FILE: Self = Self::new("check-file", cfg!(feature = "check-file"));
}

/// A keyword of a feature; a build without that names it and skips it.
pub(super) const fn of<D>(feature: Feature, key: Key<D>) -> Key<D> {
    if feature.built {
        return key;
    }
    let word = Keyword {
        status: Status::Feature(feature.name),
        ..key.word
    };
    let set = |_: &mut D, a: &mut Args<'_, '_, '_>| a.skip();
    Key { word, set }
}

/// The keywords of a block; a family of blocks may share some.
pub(super) struct Table<D: 'static> {
    pub(super) block: &'static str,
    pub(super) keys: &'static [&'static [Key<D>]],
}

impl<D> Table<D> {
    fn get(&self, place: usize) -> Option<&'static Key<D>> {
        self.keys.iter().copied().flatten().nth(place)
    }

    pub(super) fn rows(&self, rows: &mut Vec<Row>) {
        let table: &dyn Keywords = self;
        table.rows(rows);
    }

    /// Reads the blocks that stand in this one.
    pub(super) fn read(&self, blocks: &[Block<'_>], draft: &mut D, context: &mut Context) {
        for block in blocks {
            self.read_one(block, draft, context);
        }
    }

    pub(super) fn read_one(&self, block: &Block<'_>, draft: &mut D, context: &mut Context) {
        let muted = context.muted;
        let table: &dyn Keywords = self;
        if let Some(key) = table
            .choose(block, context)
            .and_then(|place| self.get(place))
        {
            let mut args = Args::new(block, context);
            (key.set)(draft, &mut args);
            args.finish();
        }
        context.muted = muted;
    }
}

/// A table but for its drafts: what is done with any of them is compiled once.
trait Keywords {
    fn block(&self) -> &'static str;
    fn word(&self, place: usize) -> Option<Keyword>;
}

impl<D> Keywords for Table<D> {
    fn block(&self) -> &'static str {
        self.block
    }

    fn word(&self, place: usize) -> Option<Keyword> {
        self.get(place).map(|key| key.word)
    }
}

impl dyn Keywords + '_ {
    fn words(&self) -> impl Iterator<Item = Keyword> {
        (0..).map_while(|place| self.word(place))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.words().position(|word| word.name == name)
    }

    fn rows(&self, rows: &mut Vec<Row>) {
        rows.extend(self.words().map(|word| Row {
            block: self.block(),
            keyword: word.name,
            status: word.status,
        }));
    }

    /// Which keyword a block begins with, unless something is wrong with that; what is to be said of it is said.
    fn choose(&self, block: &Block<'_>, context: &mut Context) -> Option<usize> {
        let Some(place) = self.find(block.keyword()) else {
            return self.unknown(block, context);
        };
        let word = self.word(place)?;
        if !fits(block, word.shape, &mut context.diags) {
            return None;
        }
        context.tell(self.block(), word.name, word.status, block.at());
        context.muted |= word.status != Status::Obeyed;
        Some(place)
    }

    /// The keyword that is meant, if an old word has a new one.
    fn unknown(&self, block: &Block<'_>, context: &mut Context) -> Option<usize> {
        let name = block.keyword();
        let old = OLD
            .iter()
            .find(|old| old.name == name && old.blocks.contains(&self.block()));
        if let Some(old) = old {
            match old.now {
                Now::Gone(why) => {
                    context
                        .diags
                        .warn(block.at(), format!("'{name}' has no effect"))
                        .hint(why);
                }
                Now::Wrong(instead) => {
                    context
                        .diags
                        .error(block.at(), format!("unknown keyword '{name}'"))
                        .hint(instead);
                }
                Now::Called(new) => {
                    context
                        .diags
                        .warn(
                            block.at(),
                            format!("'{name}' is no keyword, taken as '{new}'"),
                        )
                        .hint(format!("write '{new}'"));
                    return self.find(new);
                }
            }
            return None;
        }
        if !context.diags.keeps_errors() {
            context.diags.error(block.at(), "unknown keyword");
            return None;
        }
        let place = if self.block().is_empty() {
            "at the top level".to_owned()
        } else {
            format!("in {}", self.block())
        };
        let hint = self.hint(block, context);
        let diag = context
            .diags
            .error(block.at(), format!("unknown keyword '{name}' {place}"));
        diag.hint = hint;
        None
    }

    /// What an unknown word may have been meant to be.
    fn hint(&self, block: &Block<'_>, context: &Context) -> Option<String> {
        let name = block.keyword();
        if name.chars().any(|c| {
            !c.is_ascii()
                && (c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}'))
        }) {
            return Some("an invisible character stands here: type the line anew".to_owned());
        }
        let near = nearest(name, self.words().map(|word| word.name));
        if let Some((near, 1)) = near {
            return Some(format!("did you mean '{near}'?"));
        }
        let home = context
            .homes
            .iter()
            .find(|row| row.keyword == name)
            .map(|row| row.block);
        match (home, near) {
            (Some(""), _) => {
                Some("it belongs to the top level: is a '}' missing above?".to_owned())
            }
            (Some(home), _) if self.block().is_empty() => Some(format!(
                "it belongs into {home}: is a '{{' missing, or a '}}' too many, above?"
            )),
            (Some(home), _) => Some(format!("it belongs into {home}")),
            (None, Some((near, _))) => Some(format!("did you mean '{near}'?")),
            (None, None) => block
                .body
                .is_some()
                .then(|| "ignored with its whole block".to_owned()),
        }
    }
}

/// Whether values and braces are as the keyword needs them.
fn fits(block: &Block<'_>, shape: Shape, diags: &mut Diags) -> bool {
    let name = block.keyword();
    let bare = block.words.len() < 2;
    match shape {
        Shape::Value | Shape::Named if bare => {
            diags.error(block.at(), format!("'{name}' needs a value"));
            false
        }
        Shape::Block | Shape::Named if block.body.is_none() => {
            diags
                .error(block.at(), format!("'{name}' needs a block"))
                .hint("a '{' is missing");
            false
        }
        Shape::Any | Shape::Value if block.body.is_some() => {
            diags
                .error(block.at(), format!("'{name}' takes no block"))
                .hint("ignored up to its '}'");
            true
        }
        _ => true,
    }
}

/// The preference of the first rule that has none: half of that of the kernel's own rule for the main table.
const FIRST_PREFERENCE: u32 = 16384;

/// What is needed while reading, besides the draft.
pub(super) struct Context {
    pub(super) diags: Diags,
    pub(super) users: Users,
    pub(super) scripts: Scripts,
    /// Within a block that is not obeyed: that has been said.
    muted: bool,
    told: Set<(&'static str, &'static str)>,
    homes: Vec<Row>,
    /// What the next rule without a preference gets.
    preference: u32,
    /// Where mails are asked for.
    pub(super) alert: Option<Span>,
    /// Where names of routes and rules are defined.
    pub(super) names: Names,
    /// The `track_group`s that static entries name.
    pub(super) track_groups: Vec<At<String>>,
}

impl Context {
    pub(super) fn new(diags: Diags) -> Self {
        Self {
            diags,
            users: Users::default(),
            scripts: Scripts::default(),
            muted: false,
            told: Set::new(),
            homes: table(),
            preference: FIRST_PREFERENCE,
            alert: None,
            names: Names::default(),
            track_groups: Vec::new(),
        }
    }

    /// The preference of a rule that has none: downwards, as keepalived gives them.
    pub(super) const fn next_preference(&mut self) -> u32 {
        let next = self.preference;
        self.preference = next.saturating_sub(1);
        next
    }

    /// Says once for each keyword that it is not obeyed.
    fn tell(&mut self, block: &'static str, name: &'static str, status: Status, at: Span) {
        if status == Status::Obeyed || self.muted || !self.told.insert((block, name)) {
            return;
        }
        match status {
            Status::Obeyed => {}
            Status::Ignored(why) => {
                self.diags
                    .warn(at, format!("'{name}' is ignored"))
                    .hint(why);
            }
            Status::Feature(feature) => {
                self.diags
                    .warn(at, format!("'{name}' is not in this build"))
                    .hint(format!("it needs the feature '{feature}'"));
            }
        }
    }
}

/// What became of a word that people still write.
enum Now {
    /// Nothing: why nothing is lost.
    Gone(&'static str),
    /// It has another name.
    Called(&'static str),
    /// It never was, or means something that is said otherwise: how.
    Wrong(&'static str),
}

struct Old {
    name: &'static str,
    blocks: &'static [&'static str],
    now: Now,
}

const fn gone(name: &'static str, blocks: &'static [&'static str], why: &'static str) -> Old {
    Old {
        name,
        blocks,
        now: Now::Gone(why),
    }
}

const fn called(name: &'static str, blocks: &'static [&'static str], new: &'static str) -> Old {
    Old {
        name,
        blocks,
        now: Now::Called(new),
    }
}

const fn wrong(name: &'static str, blocks: &'static [&'static str], instead: &'static str) -> Old {
    Old {
        name,
        blocks,
        now: Now::Wrong(instead),
    }
}

const DPVS: &str = "it is of DPVS, which is another program";

/// Words of early versions, and misspellings that are copied from page to page.
const OLD: &[Old] = &[
    gone(
        "nat_mask",
        &["virtual_server"],
        "keepalived dropped it in 1.2: remove the line",
    ),
    gone(
        "net_mask",
        &["virtual_server"],
        "it was never a keyword: remove the line",
    ),
    called("lvs_id", &["global_defs"], "router_id"),
    called(
        "lvs_sync_daemon_inteface",
        &["vrrp_instance"],
        "lvs_sync_daemon_interface",
    ),
    called("lb_kind", &["real_server"], "lvs_method"),
    called(
        "netify_backup",
        &["vrrp_instance", "vrrp_sync_group"],
        "notify_backup",
    ),
    called("weigth", &["real_server", "vrrp_script"], "weight"),
    called("vrrp_grap_interval", &["global_defs"], "vrrp_garp_interval"),
    called("connetc_port", CHECKERS, "connect_port"),
    called("nb_get_retry", RETRYING, "retry"),
    called("notice_down", &["real_server"], "notify_down"),
    called("SMTP_CHEKC", &["real_server"], "SMTP_CHECK"),
    called("ICMP_CHECK", &["real_server"], "PING_CHECK"),
    called("interface_name", &["vrrp_instance"], "interface"),
    called(
        "smtp_connect_time",
        &["global_defs"],
        "smtp_connect_timeout",
    ),
    wrong(
        "sync_instance",
        &["vrrp_instance"],
        "write a vrrp_sync_group with both instances",
    ),
    wrong("local_address_group", &[""], DPVS),
    wrong("deny_address_group", &[""], DPVS),
    wrong("laddr_group_name", &["virtual_server"], DPVS),
    wrong("daddr_group_name", &["virtual_server"], DPVS),
    wrong("establish_timeout", &["virtual_server"], DPVS),
    wrong("dpdk_interface", &["vrrp_instance"], DPVS),
    wrong(
        "dynamic",
        &["FILE_CHECK"],
        "the manual page of keepalived has it, but no version",
    ),
    wrong(
        "notify_deleted",
        &["vrrp_sync_group"],
        "the manual page of keepalived has it, but only instances can be deleted",
    ),
    wrong(
        "state_file_location",
        &["global_defs"],
        "the manual page of keepalived has it; the keyword is state_dump_file",
    ),
    wrong(
        "stats_file_location",
        &["global_defs"],
        "the manual page of keepalived has it; the keyword is stats_dump_file",
    ),
    wrong(
        "json_file_location",
        &["global_defs"],
        "the manual page of keepalived has it; the keyword is json_dump_file",
    ),
];

const RETRYING: &[&str] = &[
    "TCP_CHECK",
    "SMTP_CHECK",
    "DNS_CHECK",
    "UDP_CHECK",
    "PING_CHECK",
    "MISC_CHECK",
];
const CHECKERS: &[&str] = &[
    "TCP_CHECK",
    "HTTP_GET",
    "SSL_GET",
    "SMTP_CHECK",
    "DNS_CHECK",
    "UDP_CHECK",
    "PING_CHECK",
];

/// The name most like a word, and how many letters are to be changed, if few enough.
#[must_use]
pub fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<(&'n str, usize)> {
    let most = (word.len() / 3).clamp(1, 4);
    if word.len() > 64 {
        return None;
    }
    let near = names.map(|name| (name, distance(word.as_bytes(), name.as_bytes())));
    near.filter(|(_, d)| *d <= most).min_by_key(|(_, d)| *d)
}

/// Letters to insert, delete, change, or swap with their neighbour.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let change =
                above.get(j).copied().unwrap_or(0) + usize::from(!x.eq_ignore_ascii_case(y));
            let insert = row.get(j).copied().unwrap_or(0) + 1;
            let delete = above.get(j + 1).copied().unwrap_or(0) + 1;
            let mut best = change.min(insert).min(delete);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(before.get(j - 1).copied().unwrap_or(0) + 1);
            }
            row.push(best);
        }
        before = core::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_also_for_swapped_letters() {
        let names = ["priority", "preempt", "state"];
        assert_eq!(nearest("priorty", names.into_iter()), Some(("priority", 1)));
        assert_eq!(nearest("satte", names.into_iter()), Some(("state", 1)));
        assert_eq!(nearest("banana", names.into_iter()), None);
    }

    #[test]
    fn no_block_has_a_keyword_twice() {
        let mut seen = Set::new();
        for row in table() {
            assert!(seen.insert((row.block, row.keyword)), "{row:?}");
        }
    }

    #[cfg(not(feature = "lvs"))]
    #[test]
    fn what_this_build_lacks_is_told_by_the_name_of_its_feature() {
        let mut files = crate::config::files::Memory::new();
        let text = "virtual_server 10.0.0.1 80 {\n    real_server 10.0.0.2 80 {\n    }\n}\n";
        files.insert("a.conf", text);
        let options = crate::config::Options::default();
        let loaded = crate::config::load_from(&files, "a.conf".as_ref(), &options).unwrap();
        let told: Vec<String> = loaded.findings().map(|f| f.to_string()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("it needs the feature 'lvs'"), "{told:?}");
    }
}
