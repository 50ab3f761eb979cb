//! Whatever a server says to a check: an outcome or more patience, the same however it is cut up, and little memory.

#![no_main]

#[path = "../checks/made.rs"]
mod made;

use keepalite::check::conversation::{Conversation, Outcome, Step};
use keepalite::io::tls::Session;
use keepalite::model::lvs::Checker;
use libfuzzer_sys::fuzz_target;

/// The first three hear streams, the others datagrams.
const CHECKS: [&str; 7] = [
    "HTTP_GET {\nurl {\npath /\ndigest 5d41402abc4b2a76b9719d911017c592\n}\n}",
    "HTTP_GET {\nurl {\npath /\nregex \"(a|b)*c$\"\n}\n}",
    "SMTP_CHECK { }",
    "DNS_CHECK { }",
    "UDP_CHECK {\nrequire_reply 01 x2 3\nmax_reply_length 2000\n}",
    "PING_CHECK { }",
    "TCP_CHECK { }",
];
const STREAMS: usize = 3;

thread_local! {
    static CHECKERS: &'static [Checker] = {
        let at = "192.0.2.1:80".parse().unwrap();
        let all: Vec<_> = CHECKS.iter().map(|text| made::check(text, at)).collect();
        all.leak()
    };
}

/// What is said, and how it ends.
fn talk<'a>(checker: &Checker, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Option<Outcome>) {
    let mut conversation = Conversation::new(checker, 0, 0x1234_5678).expect("a check that talks");
    let mut said = Vec::new();
    let mut step = conversation.opened(&mut said);
    for piece in pieces {
        if let Step::Done(outcome) = step {
            return (said, Some(outcome));
        }
        step = conversation.heard(piece, &mut said);
    }
    if step == Step::Listen {
        step = conversation.closed();
    }
    match step {
        Step::Done(outcome) => {
            // What is logged of it.
            if let Outcome::Failed(reason) | Outcome::Untried(reason) = &outcome {
                assert!(reason.to_string().len() < 10_000);
            }
            (said, Some(outcome))
        }
        Step::Listen => (said, None),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&[kind, size], heard)) = input.split_first_chunk::<2>() else {
        return;
    };
    let kind = usize::from(kind) % (CHECKS.len() + 1);
    let size = usize::from(size).max(1);
    let Some(checker) = CHECKERS.with(|all| (*all).get(kind)) else {
        let mut session = Session::new(None, [192, 0, 2, 1].into()).unwrap();
        let mut out = Vec::new();
        session.take(&mut out);
        for piece in heard.chunks(size) {
            if session.hear(piece, |_| true).is_err() {
                break;
            }
        }
        session.take(&mut out);
        assert!(out.len() < 10_000);
        return;
    };
    if kind < STREAMS {
        let whole = talk(checker, std::iter::once(heard));
        assert_eq!(whole, talk(checker, heard.chunks(size)));
    } else {
        talk(checker, heard.chunks(size));
    }
});
