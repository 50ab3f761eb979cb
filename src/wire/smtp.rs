//! Handing a mail to a server, the client's side of RFC 5321: the server's bytes in, ours out, and a verdict.

use core::fmt;

/// Longest reply, all of its lines together. A line has at most 512 octets (RFC 5321 section 4.5.3.1.5).
pub const LONGEST: usize = 8192;

/// A mail and its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The sender, with or without a name: `a@b` or `A <a@b>`.
    pub from: String,
    /// The recipients, likewise.
    pub to: Vec<String>,
    /// Headers, an empty line and the text, lines ended by `\n` or `\r\n`.
    pub message: String,
}

/// What the server is to answer next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has not greeted yet.
    Greeting,
    /// `HELO`.
    Hello,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`, with the place of the recipient.
    Recipient(usize),
    /// `DATA`.
    Data,
    /// The message itself.
    Message,
    /// `QUIT`: whatever comes now, the mail is the server's.
    Quit,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server has to say more.
    Pending,
    /// The server has taken the mail.
    Sent,
    /// It will not.
    Failed(Failure),
}

/// Why a mail was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the server was to answer.
    pub step: Step,
    /// What it did instead.
    pub why: Trouble,
}

/// What a server does instead of taking a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It refuses: the last line of its reply.
    Refused(String),
    /// It speaks, but not SMTP.
    Garbage,
    /// It does not speak.
    Silent,
    /// It hangs up.
    Closed,
}

/// One mail on its way.
#[derive(Debug)]
pub struct Dialogue {
    helo: String,
    mail: Mail,
    step: Step,
    heard: Vec<u8>,
    refused: Vec<String>,
}

impl Dialogue {
    /// The connection stands; the server speaks first.
    #[must_use]
    pub const fn new(helo: String, mail: Mail) -> Self {
        Self {
            helo,
            mail,
            step: Step::Greeting,
            heard: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// What the server is to answer.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// What it said of the recipients that it refused; the mail goes to the others.
    #[must_use]
    pub fn refused(&self) -> &[String] {
        &self.refused
    }

    /// Takes in what the server sent, and puts into `out` what is to be sent to it, also after a failure.
    pub fn hear(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Verdict {
        self.heard.extend_from_slice(bytes);
        let verdict = match reply(&self.heard) {
            Ok(None) if self.heard.len() <= LONGEST => return Verdict::Pending,
            Ok(Some((reply, length))) if length == self.heard.len() => {
                let (code, text) = (reply.code, reply.text);
                self.heard.clear();
                self.answered(code, text, out)
            }
            // Answers to what was not said yet are as bad as none.
            Ok(_) | Err(NoReply) => self.give_up(Trouble::Garbage),
        };
        if matches!(&verdict, Verdict::Failed(failure) if matches!(failure.why, Trouble::Refused(_)))
        {
            out.extend_from_slice(b"QUIT\r\n");
        }
        verdict
    }

    /// The server has said nothing for too long.
    #[must_use]
    pub fn silent(&self) -> Verdict {
        self.give_up(Trouble::Silent)
    }

    /// The server has hung up.
    #[must_use]
    pub fn closed(&self) -> Verdict {
        self.give_up(Trouble::Closed)
    }

    fn give_up(&self, why: Trouble) -> Verdict {
        match self.step {
            Step::Quit => Verdict::Sent,
            step => Verdict::Failed(Failure { step, why }),
        }
    }

    /// One whole reply.
    fn answered(&mut self, code: u16, text: String, out: &mut Vec<u8>) -> Verdict {
        let wanted = match self.step {
            Step::Data => 300..400,
            _ => 200..300,
        };
        let next = match self.step {
            Step::Quit => return Verdict::Sent,
            Step::Recipient(place) if !wanted.contains(&code) => {
                self.refused.push(text.clone());
                // With nobody left there is nothing to send.
                let last = place.saturating_add(1) == self.mail.to.len();
                if last && self.refused.len() == self.mail.to.len() {
                    return self.give_up(Trouble::Refused(text));
                }
                self.after_recipient(place)
            }
            _ if !wanted.contains(&code) => return self.give_up(Trouble::Refused(text)),
            Step::Greeting => Step::Hello,
            Step::Hello => Step::Sender,
            Step::Sender => Step::Recipient(0),
            Step::Recipient(place) => self.after_recipient(place),
            Step::Data => Step::Message,
            Step::Message => Step::Quit,
        };
        self.step = next;
        self.say(out);
        Verdict::Pending
    }

    fn after_recipient(&self, place: usize) -> Step {
        let next = place.saturating_add(1);
        if next < self.mail.to.len() {
            Step::Recipient(next)
        } else {
            Step::Data
        }
    }

    fn say(&self, out: &mut Vec<u8>) {
        let command = match self.step {
            Step::Greeting => return,
            Step::Hello => format!("HELO {}", one_line(&self.helo)),
            Step::Sender => format!("MAIL FROM:<{}>", mailbox(&self.mail.from)),
            Step::Recipient(place) => {
                let to = self.mail.to.get(place).map_or("", String::as_str);
                format!("RCPT TO:<{}>", mailbox(to))
            }
            Step::Data => "DATA".to_owned(),
            Step::Message => return body(&self.mail.message, out),
            Step::Quit => "QUIT".to_owned(),
        };
        out.extend_from_slice(command.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// A text as it may stand in one line: what would end it, or could not be shown, is left out.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// What stands in angle brackets, if there are some.
fn mailbox(address: &str) -> String {
    let inside = address
        .rsplit_once('<')
        .map_or(address, |(_, inside)| inside);
    let inside = inside.split_once('>').map_or(inside, |(inside, _)| inside);
    one_line(inside.trim())
}

/// The message as it goes over the wire: a dot that begins a line is doubled, one that stands alone ends it (RFC 5321
/// section 4.5.2).
fn body(message: &str, out: &mut Vec<u8>) {
    for line in message.lines() {
        if line.starts_with('.') {
            out.push(b'.');
        }
        // A carriage return alone is a line's end to some servers (RFC 5321 section 2.3.8).
        out.extend(line.bytes().filter(|byte| *byte != b'\r'));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
}

/// A reply of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// Its last line.
    pub text: String,
}

/// It is not SMTP what the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReply;

/// A reply and its length; `None` while it has not come whole. All but the last of its lines have a hyphen behind the code
/// (RFC 5321 section 4.2.1).
///
/// # Errors
/// [`NoReply`] as soon as a line is none of a reply.
pub fn reply(heard: &[u8]) -> Result<Option<(Reply, usize)>, NoReply> {
    let mut length = 0_usize;
    for line in heard.split_inclusive(|byte| *byte == b'\n') {
        let Some(line_end) = line.strip_suffix(b"\n") else {
            return Ok(None);
        };
        length = length.saturating_add(line.len());
        let line = line_end.strip_suffix(b"\r").unwrap_or(line_end);
        let Some((code, rest)) = line.split_first_chunk::<3>() else {
            return Err(NoReply);
        };
        if !code.iter().all(u8::is_ascii_digit) {
            return Err(NoReply);
        }
        match rest.first() {
            Some(b'-') => {}
            None | Some(b' ') => {
                let code = code
                    .iter()
                    .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
                let text = one_line(&String::from_utf8_lossy(line));
                return Ok(Some((Reply { code, text }, length)));
            }
            Some(_) => return Err(NoReply),
        }
    }
    Ok(None)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "the connection",
            Self::Hello => "HELO",
            Self::Sender => "MAIL FROM",
            Self::Recipient(_) => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "the message",
            Self::Quit => "QUIT",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step;
        match &self.why {
            Trouble::Refused(text) => write!(f, "it refused {step}: {text}"),
            Trouble::Garbage => write!(f, "its answer to {step} is not SMTP"),
            Trouble::Silent => write!(f, "it did not answer to {step}"),
            Trouble::Closed => write!(f, "it hung up instead of answering to {step}"),
        }
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialogue() -> Dialogue {
        let mail = Mail {
            from: "Router <r@example.net>".to_owned(),
            to: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
            message: "Subject: x\n\n.hidden\nend\n".to_owned(),
        };
        Dialogue::new("me".to_owned(), mail)
    }

    /// What is said to these answers, up to the verdict.
    fn talk(dialogue: &mut Dialogue, answers: &[&str]) -> (String, Verdict) {
        let mut out = Vec::new();
        let mut verdict = Verdict::Pending;
        for answer in answers {
            assert_eq!(verdict, Verdict::Pending, "before {answer:?}");
            verdict = dialogue.hear(answer.as_bytes(), &mut out);
        }
        (String::from_utf8(out).unwrap(), verdict)
    }

    fn failure(step: Step, why: Trouble) -> Verdict {
        Verdict::Failed(Failure { step, why })
    }

    const GOOD: [&str; 8] = [
        "220 hello\r\n",
        "250 me\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go on\r\n",
        "250 queued\r\n",
        "221 bye\r\n",
    ];

    #[test]
    fn a_mail_is_handed_over_step_by_step_with_its_dots_doubled() {
        let (said, verdict) = talk(&mut dialogue(), &GOOD);
        assert_eq!(
            said,
            "HELO me\r\nMAIL FROM:<r@example.net>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n\
             Subject: x\r\n\r\n..hidden\r\nend\r\n.\r\nQUIT\r\n"
        );
        assert_eq!(verdict, Verdict::Sent);
    }

    #[test]
    fn a_reply_may_come_in_pieces_and_in_several_lines() {
        let mut dialogue = dialogue();
        let mut out = Vec::new();
        for piece in [
            "2",
            "20-mail.example.com\r",
            "\n220",
            "-",
            "be nice\n",
            "220",
        ] {
            assert_eq!(dialogue.hear(piece.as_bytes(), &mut out), Verdict::Pending);
            assert!(out.is_empty(), "after {piece:?}");
        }
        assert_eq!(dialogue.hear(b"\r\n", &mut out), Verdict::Pending);
        assert_eq!(out, b"HELO me\r\n");
    }

    #[test]
    fn a_refusal_at_any_step_ends_it_politely() {
        let steps = [
            (0, Step::Greeting),
            (1, Step::Hello),
            (2, Step::Sender),
            (5, Step::Data),
            (6, Step::Message),
        ];
        for (count, step) in steps {
            let mut answers = GOOD[..count].to_vec();
            answers.push("550-no\r\n550 never\r\n");
            let (said, verdict) = talk(&mut dialogue(), &answers);
            let refused = Trouble::Refused("550 never".to_owned());
            assert_eq!(verdict, failure(step, refused));
            assert!(said.ends_with("QUIT\r\n"), "{said}");
        }
    }

    #[test]
    fn one_recipient_refused_the_others_get_the_mail() {
        let mut dialogue = dialogue();
        let mut answers = GOOD;
        answers[3] = "550 unknown\r\n";
        let (said, verdict) = talk(&mut dialogue, &answers);
        assert!(said.contains("DATA\r\n"));
        assert_eq!(verdict, Verdict::Sent);
        assert_eq!(dialogue.refused(), ["550 unknown"]);
    }

    #[test]
    fn all_recipients_refused_there_is_no_mail() {
        let mut answers = GOOD[..5].to_vec();
        (answers[3], answers[4]) = ("550 unknown\r\n", "551 gone\r\n");
        let (said, verdict) = talk(&mut dialogue(), &answers);
        assert!(!said.contains("DATA"), "{said}");
        let refused = Trouble::Refused("551 gone".to_owned());
        assert_eq!(verdict, failure(Step::Recipient(1), refused));
    }

    #[test]
    fn what_is_not_smtp_is_not_answered() {
        for text in [
            "SSH-2.0-x\r\n",
            "\r\n",
            "22\r\n",
            "220_\r\n",
            "220 a\r\n250 b\r\n",
        ] {
            let (said, verdict) = talk(&mut dialogue(), &[text]);
            assert_eq!(
                verdict,
                failure(Step::Greeting, Trouble::Garbage),
                "{text:?}"
            );
            assert_eq!(said, "");
        }
        let endless = "220-more\r\n".repeat(1000);
        let (_, verdict) = talk(&mut dialogue(), &[&endless]);
        assert_eq!(verdict, failure(Step::Greeting, Trouble::Garbage));
    }

    #[test]
    fn silence_and_hanging_up_fail_only_as_long_as_the_mail_is_ours() {
        let mut one = dialogue();
        talk(&mut one, &GOOD[..6]);
        assert_eq!(one.silent(), failure(Step::Message, Trouble::Silent));
        assert_eq!(one.closed(), failure(Step::Message, Trouble::Closed));
        let mut out = Vec::new();
        one.hear(b"250 queued\r\n", &mut out);
        assert_eq!(one.step(), Step::Quit);
        assert_eq!(one.silent(), Verdict::Sent);
        assert_eq!(one.closed(), Verdict::Sent);
    }

    #[test]
    fn no_text_of_ours_makes_a_command_of_its_own() {
        let mail = Mail {
            from: "a@b>\r\nDATA\r\n".to_owned(),
            to: vec!["c@d\nRSET".to_owned()],
            message: "x\r.\r\ny".to_owned(),
        };
        let mut dialogue = Dialogue::new("me\r\nQUIT".to_owned(), mail);
        let (said, _) = talk(
            &mut dialogue,
            &["220\n", "250\n", "250\n", "250\n", "354\n"],
        );
        assert_eq!(
            said,
            "HELO meQUIT\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@dRSET>\r\nDATA\r\nx.\r\ny\r\n.\r\n"
        );
    }
}
