//! File name patterns of `include`: `*`, `?`, `[a-z]`, and braces as the C shell has them.

use std::path::{Path, PathBuf};

use super::files::Files;

/// No pattern may stand for more than this many.
const MOST: usize = 4096;

/// Whether a pattern can match anything but itself.
pub(super) fn is_wild(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// What `a{b,c{d,e}}f` stands for: `abf`, `acdf`, `acef`.
pub(super) fn braces(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        match split(&pattern) {
            Some((before, choices, after)) if done.len() + open.len() < MOST => {
                let made = choices
                    .iter()
                    .rev()
                    .map(|choice| format!("{before}{choice}{after}"));
                open.extend(made);
            }
            _ => done.push(pattern),
        }
    }
    done.truncate(MOST);
    done
}

/// The first pair of braces with a comma at its own depth.
fn split(pattern: &str) -> Option<(&str, Vec<&str>, &str)> {
    let start = pattern.find('{')?;
    let (before, rest) = (pattern.get(..start)?, pattern.get(start + 1..)?);
    let (mut depth, mut choices, mut from) = (0u32, Vec::new(), 0);
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            ',' if depth == 0 => {
                choices.push(rest.get(from..at)?);
                from = at + 1;
            }
            '}' if depth == 0 => {
                choices.push(rest.get(from..at)?);
                return Some((before, choices, rest.get(at + 1..)?));
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The paths that a pattern without braces matches, sorted; relative ones start from `base`.
pub(super) fn paths(files: &dyn Files, base: &Path, pattern: &str) -> Vec<PathBuf> {
    let start = if pattern.starts_with('/') {
        PathBuf::from("/")
    } else {
        base.to_owned()
    };
    let mut found = vec![start];
    for part in pattern.split('/').filter(|p| !p.is_empty()) {
        let mut next = Vec::new();
        for directory in found {
            if is_wild(part) {
                next.extend(matching(files, &directory, part));
            } else {
                next.push(directory.join(part));
            }
            next.truncate(MOST);
        }
        found = next;
    }
    found.retain(|path| files.exists(path));
    found.sort();
    found
}

fn matching(files: &dyn Files, directory: &Path, part: &str) -> Vec<PathBuf> {
    let names = files.list(directory).into_iter();
    // As in a shell, a leading dot must be asked for.
    let shown = names.filter(|n| !n.starts_with('.') || part.starts_with('.'));
    shown
        .filter(|n| is_match(part.as_bytes(), n.as_bytes()))
        .map(|n| directory.join(n))
        .collect()
}

/// Whether `name` matches `pattern`, in time proportional to the product of their lengths.
pub(super) fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match (p.split_first(), n.split_first()) {
            (None, None) => return true,
            (Some((b'*', rest)), _) => {
                retry = Some((rest, n));
                Some((rest, n))
            }
            (Some((b'?', rest)), Some((_, tail))) => Some((rest, tail)),
            (Some((b'[', rest)), Some((c, tail))) => match class(rest, *c) {
                Some((true, rest)) => Some((rest, tail)),
                Some((false, _)) => None,
                None => (*c == b'[').then_some((rest, tail)),
            },
            (Some((a, rest)), Some((b, tail))) if a == b => Some((rest, tail)),
            _ => None,
        };
        (p, n) = match (step, retry) {
            (Some(next), _) => next,
            (None, Some((after, [_, tail @ ..]))) => {
                retry = Some((after, tail));
                (after, tail)
            }
            (None, _) => return false,
        };
    }
}

/// Whether `c` is of the class that begins after `[`, and what follows it; `None` if it never ends.
fn class(pattern: &[u8], c: u8) -> Option<(bool, &[u8])> {
    let (negated, body) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    // A bracket in the first place is a member.
    let end = body.iter().skip(1).position(|b| *b == b']')? + 1;
    let (mut members, rest) = (body.get(..end)?, body.get(end + 1..)?);
    let mut found = false;
    loop {
        members = match members {
            [low, b'-', high, more @ ..] => {
                found |= (*low..=*high).contains(&c);
                more
            }
            [one, more @ ..] => {
                found |= *one == c;
                more
            }
            [] => return Some((found != negated, rest)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_multiply_and_nest() {
        assert_eq!(braces("a{b,c{d,e}}f"), ["abf", "acdf", "acef"]);
        assert_eq!(braces("plain"), ["plain"]);
        assert_eq!(braces("{never"), ["{never"]);
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        let yes = [
            ("*.conf", "a.conf"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a]x", "bx"),
            ("*a*b", "xaxxb"),
            ("[]]", "]"),
        ];
        for (pattern, name) in yes {
            assert!(
                is_match(pattern.as_bytes(), name.as_bytes()),
                "{pattern} {name}"
            );
        }
        for (pattern, name) in [
            ("*.conf", "a.txt"),
            ("a?c", "ac"),
            ("[a-c]x", "dx"),
            ("[!a]x", "ax"),
            ("a", "ab"),
        ] {
            assert!(
                !is_match(pattern.as_bytes(), name.as_bytes()),
                "{pattern} {name}"
            );
        }
    }
}
