//! Which page of `HTTP_GET` and `SSL_GET` comes next.
//!
//! Each attempt asks for one page, and keepalived waits `delay_loop` also between the pages of a check. A server that
//! failed has to give first the page that failed, then all of them from the first on.

use crate::model::lvs::Check;

/// What one good or bad page means for its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// This page was right and there are more: no verdict yet.
    Unfinished,
    /// All pages are right.
    Good,
    /// This one is not.
    Bad,
}

/// The place in the list of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    next: usize,
    failed: bool,
}

impl Pages {
    /// The page to be asked for, counted from zero.
    #[must_use]
    pub const fn next(self) -> usize {
        self.next
    }

    /// Whether the page that failed has not passed since: only then `fast_recovery` does not take the pause away.
    #[must_use]
    pub const fn failing(self) -> bool {
        self.failed
    }

    /// Takes in that the page passed, of a check with `count` pages. Also the only page there is has to pass twice.
    pub const fn passed(&mut self, count: usize) -> Round {
        if self.failed {
            *self = Self {
                next: 0,
                failed: false,
            };
            return Round::Unfinished;
        }
        self.next = self.next.saturating_add(1);
        if self.next < count {
            return Round::Unfinished;
        }
        self.next = 0;
        Round::Good
    }

    /// Takes in that the page failed for good, all retries included: it is the next to be asked for.
    pub const fn failed(&mut self) -> Round {
        self.failed = true;
        Round::Bad
    }
}

/// How many pages a check has; one for what is no web page.
#[must_use]
pub fn count(check: &Check) -> usize {
    match check {
        Check::Http(http) => http.urls.len().max(1),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_good_once_every_page_was_right() {
        let mut pages = Pages::default();
        let rounds = [Round::Unfinished, Round::Unfinished, Round::Good];
        for (page, round) in rounds.into_iter().enumerate() {
            assert_eq!(pages.next(), page);
            assert_eq!(pages.passed(3), round);
        }
        assert_eq!(pages.next(), 0);
    }

    #[test]
    fn a_page_that_failed_comes_first_and_then_all_of_them() {
        let mut pages = Pages::default();
        pages.passed(2);
        assert_eq!(pages.failed(), Round::Bad);
        assert_eq!((pages.next(), pages.failing()), (1, true));
        assert_eq!(pages.passed(2), Round::Unfinished);
        assert_eq!((pages.next(), pages.failing()), (0, false));
        assert_eq!(pages.passed(2), Round::Unfinished);
        assert_eq!(pages.passed(2), Round::Good);
    }

    #[test]
    fn the_only_page_has_to_pass_twice_after_a_failure() {
        let mut pages = Pages::default();
        pages.failed();
        assert_eq!(pages.passed(1), Round::Unfinished);
        assert_eq!(pages.passed(1), Round::Good);
        assert_eq!(pages.passed(1), Round::Good);
    }
}
