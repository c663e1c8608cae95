//! Email activities.

use postroad_core::email::{
    Attachment, Content, Correlation, CorrelationMethod, Delivery, Direction, Email, Event, Omission, Party, Role,
    Rules, Source, Status,
};

use crate::sample::{ID, OTHER, Sample, at, sample};

fn content(fill: char, size: u64) -> Content {
    Content { digest: fill.to_string().repeat(64), size }
}

fn email() -> Email {
    let roles = [Role::From, Role::Sender, Role::To, Role::Cc, Role::Bcc, Role::ReplyTo];
    let party = |role| Party {
        role,
        name: "Grace".into(),
        address: "Grace@fabrikam.example".into(),
        record_id: Some(OTHER),
        is_ambiguous: true,
    };
    let attachment = |omission| Attachment {
        name: "order.pdf".into(),
        content_type: "application/pdf".into(),
        content_id: Some("c@x".into()),
        inline: true,
        content: content('a', 11),
        omission,
    };
    Email {
        id: ID,
        direction: Direction::Incoming,
        message_id: Some("<a@fabrikam.example>".into()),
        in_reply_to: Some("<b@contoso.example>".into()),
        references: vec!["<c@contoso.example>".into(), "<b@contoso.example>".into()],
        conversation_index: vec![1, 0xd7],
        correlation: Some(Correlation { method: CorrelationMethod::InReplyTo, email_id: OTHER }),
        subject: "Re: Bestellung ☂ CRM:0001001".into(),
        sent_at: Some(at(1)),
        received_at: Some(at(2)),
        parties: roles.map(party).into(),
        text: Some(content('b', 12)),
        html: Some(content('c', 13)),
        mime: Some(content('d', 14)),
        attachments: [None, Some(Omission::Blocked), Some(Omission::TooLarge)].map(attachment).into(),
        display_html: Some(content('e', 15)),
        is_subject_changed: true,
        regarding_id: Some(OTHER),
        owner_id: Some(OTHER),
        accepted_by: "ada@contoso.example".into(),
        tracking_token: "CRM:0001001".into(),
        delivery: None,
    }
}

fn source() -> Source {
    Source {
        mailbox_id: OTHER,
        mailbox_address: "ada@contoso.example".into(),
        folder_id: "F".into(),
        is_untracked: false,
    }
}

fn queued() -> Email {
    let delivery = Delivery {
        status: Status::PendingSend,
        attempt: 1,
        send_after: Some(at(60)),
        queued_at: at(3),
        sending_mailbox: "ada@contoso.example".into(),
        failure: String::new(),
        failure_code: String::new(),
    };
    let bare = Email { message_id: None, in_reply_to: None, correlation: None, received_at: None, ..email() };
    Email { direction: Direction::Outgoing, delivery: Some(delivery), ..bare }
}

pub fn samples() -> Vec<Sample> {
    let event = sample::<Rules>;
    let claimed = Event::Claimed { attempt: 2, message_id: "<s@x>".into(), token: "CRM:0001002".into(), at: at(4) };
    let statuses = [
        ("pending_send", Status::PendingSend),
        ("sending", Status::Sending),
        ("sent", Status::Sent),
        ("failed", Status::Failed),
    ];
    let reported = statuses.map(|(name, status)| {
        let (failure, failure_code) = ("The recipient is unknown".into(), "RECIPIENT_REFUSED".into());
        event(
            &format!("email_reported_{name}"),
            Event::Reported { attempt: 2, status, failure, failure_code, at: at(5) },
        )
    });
    let mut samples = vec![
        event("email_promoted", Event::Promoted { email: Box::new(email()), source: source(), at: at(3) }),
        event("email_found_again", Event::FoundAgain { source: source(), at: at(4) }),
        event("email_amended_queue_items", Event::QueueItemsAdded { queues: vec![OTHER, ID], at: at(5) }),
        event("email_amended_untracked", Event::Untracked { mailbox_id: OTHER, at: at(5) }),
        event("email_amended_regarding", Event::RegardingSet { regarding_id: Some(OTHER), at: at(5) }),
        event("email_amended_regarding_nothing", Event::RegardingSet { regarding_id: None, at: at(5) }),
        event("email_queued", Event::Queued { email: Box::new(queued()), at: at(3) }),
        event("email_claimed", claimed),
        event("email_erased", Event::Erased { at: at(7) }),
        event("email_resent", Event::Resent { attempt: 3, at: at(6) }),
    ];
    samples.extend(reported);
    samples
}
