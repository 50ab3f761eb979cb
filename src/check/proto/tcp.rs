//! `TCP_CHECK`: a connection that stands is all that is asked for.

use crate::check::conversation::{Outcome, Speaker, Step};

#[derive(Debug)]
pub(in crate::check) struct Tcp;

impl Speaker for Tcp {
    fn opened(&mut self, _out: &mut Vec<u8>) -> Step {
        Step::Done(Outcome::Passed)
    }

    fn heard(&mut self, _bytes: &[u8], _out: &mut Vec<u8>) -> Step {
        Step::Done(Outcome::Passed)
    }
}
