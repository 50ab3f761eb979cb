//! A file whose number counts.

/// The longest text that is looked at.
pub const LONGEST: usize = 127;

/// The number that a file's text begins with, as strtol(3) with base 0 reads it: white space, a sign, then a decimal,
/// octal (`010`) or hexadecimal (`0x10`) number. Anything else is zero; `None` where it is beyond 32 bits, which keepalived
/// takes for no answer at all.
#[must_use]
pub fn number(text: &[u8]) -> Option<i64> {
    let text = text.get(..LONGEST).unwrap_or(text).trim_ascii_start();
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (base, text) = match text {
        [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
            (16, rest)
        }
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let digits = text
        .iter()
        .map_while(|byte| char::from(*byte).to_digit(base));
    let value = digits.fold(0_i64, |value, digit| {
        value
            .saturating_mul(i64::from(base))
            .saturating_add(i64::from(digit))
    });
    let value = if negative { -value } else { value };
    i32::try_from(value).ok().map(i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_as_the_number_that_it_begins_with() {
        for (text, value) in [
            ("20\n", 20),
            ("-30", -30),
            ("  +7 apples", 7),
            ("0x10", 16),
            ("010", 8),
            ("0x", 0),
            ("", 0),
            ("\n\n", 0),
            ("up", 0),
            ("-", 0),
            ("2147483647", i64::from(i32::MAX)),
            ("-2147483648", i64::from(i32::MIN)),
        ] {
            assert_eq!(number(text.as_bytes()), Some(value), "{text:?}");
        }
    }

    #[test]
    fn a_number_beyond_32_bits_is_no_answer() {
        assert_eq!(number(b"2147483648"), None);
        assert_eq!(number(&[b'9'; 1000]), None);
        assert_eq!(number(b"-99999999999999999999999999"), None);
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        assert_eq!(number(&[0xff; 300]), Some(0));
        assert_eq!(number(b"12\x0034"), Some(12));
    }
}
