//! Where questions wait for the process that they are for.

use crate::run::mailbox::Mailbox;

use super::request::{Part, Request};

/// Questions that nobody has answered yet.
pub type Inbox = Mailbox<Call>;

/// A question, and who waits for the answer.
pub struct Call {
    /// The question.
    pub request: Request,
    reply: Mailbox<Part>,
}

impl Call {
    /// Answers it.
    pub fn reply(self, part: Part) {
        self.reply.post(part);
    }
}

impl Inbox {
    /// Leaves a question and waits for the answer.
    pub async fn ask(&self, request: Request) -> Part {
        let reply = Mailbox::default();
        self.post(Call {
            request,
            reply: reply.clone(),
        });
        reply.next().await
    }
}
