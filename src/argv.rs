//! Spellings that getopt_long allows, turned into the one that argh knows.
//!
//! `-nlDf/etc/x.conf --pid=y --log-cons` becomes `--dont-fork --log-console --log-detail --use-file /etc/x.conf --pid y`,
//! with words that belong to no option set aside, and of an option given twice the last value in force.

use core::fmt;

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// `-n`
    None,
    /// `-f FILE`, `-fFILE`, `--use-file FILE`, `--use-file=FILE`
    Required,
    /// `-t`, `-tLOG`, `--config-test=LOG`: only ever attached. Left out it is passed on as an empty word.
    Optional,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Without its dashes. Underscores in what is given are taken as dashes.
    pub long: &'static str,
    /// Its letter.
    pub short: Option<char>,
    /// Its value.
    pub arity: Arity,
}

/// A command line in its plain form.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// Options, each by its long name with its value as the next word.
    pub options: Vec<String>,
    /// What is not an option.
    pub extra: Vec<String>,
    /// A command and all that follows it, still as it was given.
    pub command: Vec<String>,
}

/// A word that cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Misspelt {
    /// No such option; the nearest that there is.
    Unknown(String, Option<&'static str>),
    /// The beginning of more than one option.
    Ambiguous(String, Vec<&'static str>),
    /// An option without the value that it must have.
    NoValue(String),
    /// A value given to an option that has none.
    Value(String),
}

impl fmt::Display for Misspelt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word, Some(near)) => {
                write!(f, "unknown option {word}; did you mean --{near}?")
            }
            Self::Unknown(word, None) => write!(f, "unknown option {word}"),
            Self::Ambiguous(word, all) => {
                write!(f, "option {word} is ambiguous: --{}", all.join(", --"))
            }
            Self::NoValue(word) => write!(f, "option {word} needs a value"),
            Self::Value(word) => write!(f, "option {word} takes no value"),
        }
    }
}

/// Brings the words after the program's name into their plain form, up to the first one that is among `commands`.
///
/// # Errors
/// [`Misspelt`] for the first word that is no option of `forms`, or lacks its value.
pub fn plain(
    args: impl IntoIterator<Item = String>,
    forms: &[Form],
    commands: &[&str],
) -> Result<Plain, Misspelt> {
    let mut args = args.into_iter();
    let mut given: Vec<(Form, Option<String>)> = Vec::new();
    let mut extra = Vec::new();
    let mut command = Vec::new();
    while let Some(arg) = args.next() {
        if arg == "--" {
            extra.extend(args);
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let form = find(name, forms)?;
            let word = || format!("--{}", form.long);
            let value = match (form.arity, value) {
                (Arity::None, Some(_)) => return Err(Misspelt::Value(word())),
                (Arity::Required, None) => {
                    Some(args.next().ok_or_else(|| Misspelt::NoValue(word()))?)
                }
                (_, value) => value,
            };
            given.push((form, value));
            continue;
        }
        let bundle = arg.strip_prefix('-').filter(|letters| !letters.is_empty());
        let Some(letters) = bundle else {
            if extra.is_empty() && commands.contains(&arg.as_str()) {
                command.push(arg);
                command.extend(args);
                break;
            }
            extra.push(arg);
            continue;
        };
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let form = forms.iter().find(|form| form.short == Some(letter));
            let Some(&form) = form else {
                let near = nearest(&arg, forms.iter().map(|form| form.long));
                return Err(Misspelt::Unknown(format!("-{letter}"), near));
            };
            let rest = letters.as_str();
            let value = match form.arity {
                Arity::None => {
                    given.push((form, None));
                    continue;
                }
                Arity::Required if rest.is_empty() => Some(
                    args.next()
                        .ok_or_else(|| Misspelt::NoValue(format!("-{letter}")))?,
                ),
                Arity::Optional if rest.is_empty() => None,
                // `-t=LOG` is no spelling of getopt's, but of nearly everybody who reads "-t[=LOG]".
                Arity::Optional => Some(rest.strip_prefix('=').unwrap_or(rest).to_owned()),
                Arity::Required => Some(rest.to_owned()),
            };
            given.push((form, value));
            break;
        }
    }
    Ok(Plain {
        options: last_ones(given),
        extra,
        command,
    })
}

/// Writes the options out; of one with a value only the last, for argh takes no second one.
fn last_ones(given: Vec<(Form, Option<String>)>) -> Vec<String> {
    let mut options = Vec::new();
    let mut rest = given.into_iter();
    while let Some((form, value)) = rest.next() {
        let again = rest
            .as_slice()
            .iter()
            .any(|(later, _)| later.long == form.long);
        if form.arity != Arity::None && again {
            continue;
        }
        options.push(format!("--{}", form.long));
        if form.arity != Arity::None {
            options.push(value.unwrap_or_default());
        }
    }
    options
}

/// An option by its long name, or by a beginning that no other one has.
fn find(name: &str, forms: &[Form]) -> Result<Form, Misspelt> {
    let name = name.replace('_', "-");
    if let Some(form) = forms.iter().find(|form| form.long == name) {
        return Ok(*form);
    }
    let begin = |form: &&Form| !name.is_empty() && form.long.starts_with(&name);
    let found: Vec<&Form> = forms.iter().filter(begin).collect();
    match found.as_slice() {
        [form] => Ok(**form),
        [] => {
            let near = nearest(&name, forms.iter().map(|form| form.long));
            Err(Misspelt::Unknown(format!("--{name}"), near))
        }
        several => Err(Misspelt::Ambiguous(
            format!("--{name}"),
            several.iter().map(|form| form.long).collect(),
        )),
    }
}

/// The candidate that takes the fewest changes of a letter, if these are few for its length.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.trim_start_matches('-');
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let change = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = change.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn form(long: &'static str, short: char, arity: Arity) -> Form {
        Form {
            long,
            short: Some(short),
            arity,
        }
    }

    const FORMS: &[Form] = &[
        form("use-file", 'f', Arity::Required),
        form("dont-fork", 'n', Arity::None),
        form("dont-respawn", 'R', Arity::None),
        form("log-detail", 'D', Arity::None),
        form("config-test", 't', Arity::Optional),
        form("vrrp-pid", 'r', Arity::Required),
    ];

    fn of(line: &str) -> Result<String, String> {
        let words = line.split_whitespace().map(str::to_owned);
        let plain = plain(words, FORMS, &["status"]).map_err(|e| e.to_string())?;
        Ok(format!(
            "{} | {}",
            plain.options.join(" "),
            plain.extra.join(" ")
        ))
    }

    #[test]
    fn every_spelling_of_getopt_comes_to_the_same() {
        let same = "--dont-fork --log-detail --use-file x | ";
        for line in [
            "-n -D -f x",
            "-nDfx",
            "-nD -fx",
            "--dont-fork --log-detail --use-file x",
            "--dont-f --log --use=x",
            "--dont_fork -D --use_file=x",
        ] {
            assert_eq!(of(line).as_deref(), Ok(same), "{line}");
        }
    }

    #[test]
    fn an_optional_value_is_only_ever_attached() {
        assert_eq!(of("-t x").unwrap(), "--config-test  | x");
        assert_eq!(of("-tx").unwrap(), "--config-test x | ");
        assert_eq!(of("-t=x").unwrap(), "--config-test x | ");
        assert_eq!(of("--config-test=x").unwrap(), "--config-test x | ");
        assert_eq!(of("--config-test x").unwrap(), "--config-test  | x");
    }

    #[test]
    fn of_a_value_given_twice_the_last_stands_and_a_letter_given_twice_counts_twice() {
        assert_eq!(of("-fa --use-file=b").unwrap(), "--use-file b | ");
        assert_eq!(of("-DD").unwrap(), "--log-detail --log-detail | ");
    }

    #[test]
    fn other_words_are_set_aside_wherever_they_stand() {
        assert_eq!(of("a -n - b").unwrap(), "--dont-fork | a - b");
        assert_eq!(of("-n -- -D").unwrap(), "--dont-fork | -D");
    }

    #[test]
    fn a_command_ends_the_options_and_keeps_its_own() {
        let words = "-n status -f --json x".split(' ').map(str::to_owned);
        let plain = plain(words, FORMS, &["status"]).unwrap();
        assert_eq!(plain.options, ["--dont-fork"]);
        assert_eq!(plain.command, ["status", "-f", "--json", "x"]);
        // Not where scripts have other words, and not as the value of an option.
        assert_eq!(of("start status").unwrap(), " | start status");
        assert_eq!(of("-f status").unwrap(), "--use-file status | ");
        assert_eq!(of("-- status").unwrap(), " | status");
    }

    #[test]
    fn a_value_may_look_like_an_option_or_hold_an_equals_sign() {
        assert_eq!(of("-f -n").unwrap(), "--use-file -n | ");
        assert_eq!(of("--use-file=a=b").unwrap(), "--use-file a=b | ");
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        let wrong = |line| of(line).unwrap_err();
        assert_eq!(
            wrong("--dnot-fork"),
            "unknown option --dnot-fork; did you mean --dont-fork?"
        );
        assert_eq!(wrong("--quux"), "unknown option --quux");
        assert_eq!(wrong("-nQ"), "unknown option -Q");
        assert_eq!(
            wrong("--dont"),
            "option --dont is ambiguous: --dont-fork, --dont-respawn"
        );
        assert_eq!(wrong("-f"), "option -f needs a value");
        assert_eq!(wrong("--use-file"), "option --use-file needs a value");
        assert_eq!(
            wrong("--dont-fork=yes"),
            "option --dont-fork takes no value"
        );
    }

    #[test]
    fn a_long_name_with_one_dash_is_pointed_to_its_name() {
        assert_eq!(
            of("-use-file").unwrap_err(),
            "unknown option -u; did you mean --use-file?"
        );
    }
}
