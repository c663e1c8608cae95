//! From an email of the CRM to a draft: MIME, and the attachments that are too large to be part of one request.

use mail_builder::{
    MessageBuilder,
    headers::{address::Address, message_id::MessageId},
};
use postroad_core::{
    email::{normalized, subject_with},
    fault::{Code, Report},
    organization::Settings,
};
use postroad_proto::crm::v1::{Attachment, Email, Party, PartyRole};
use uuid::Uuid;

use crate::{
    crm::{Crm, Refused},
    exchange::{NewAttachment, NewDraft},
};

/// Attachments beyond so many bytes in all are added one by one: a request is limited to 35 MB by Exchange 2010, Base64 included, and a
/// small one that fails is repeated cheaply (PROTOCOL.md §5).
const IN_MESSAGE: usize = 4 * 1024 * 1024;

/// Makes the draft of an email that is sent through the mailbox `own`, and the attachments to add to it.
pub async fn compose(
    crm: &dyn Crm,
    email: &Email,
    own: &str,
    settings: &Settings,
) -> Result<(NewDraft, Vec<NewAttachment>), Refused> {
    let text = content(crm, &email.id, email.text.as_ref()).await?;
    let html = content(crm, &email.id, email.html.as_ref()).await?;
    let mut within = Vec::new();
    let mut later = Vec::new();
    let mut room = IN_MESSAGE;
    for attachment in &email.attachments {
        let file = file(crm, &email.id, attachment).await?;
        match room.checked_sub(file.content.len()) {
            Some(left) => {
                room = left;
                within.push(file);
            }
            None => later.push(file),
        }
    }
    let email_id = Uuid::parse_str(&email.id).map_err(|_| malformed(format!("the email has the id `{}`", email.id)))?;
    let from = email.parties.iter().find(|party| party.role() == PartyRole::From);
    let from = from.ok_or_else(|| malformed("the email has no sender"))?;
    let mime = message(email, from, (text, html), &within, settings)
        .map_err(|error| malformed(format!("the email cannot be written: {error}")))?;
    let is_other = !from.address.trim().eq_ignore_ascii_case(own);
    let draft = NewDraft {
        email_id,
        message_id: email.message_id.clone(),
        mime: mime.into(),
        bcc: of_role(email, PartyRole::Bcc).map(named).collect(),
        from: is_other.then(|| named(from)),
    };
    Ok((draft, later))
}

fn malformed(detail: impl Into<String>) -> Refused {
    Refused::Message(Report::new(Code::RecipientInvalid, detail))
}

async fn content(
    crm: &dyn Crm,
    email_id: &str,
    content: Option<&postroad_proto::crm::v1::Content>,
) -> Result<Option<String>, Refused> {
    match content {
        None => Ok(None),
        Some(content) => {
            let bytes = crm.content(email_id, &content.digest).await?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
    }
}

async fn file(crm: &dyn Crm, email_id: &str, attachment: &Attachment) -> Result<NewAttachment, Refused> {
    let digest = attachment.content.as_ref().map(|content| content.digest.clone()).unwrap_or_default();
    Ok(NewAttachment {
        name: attachment.name.clone(),
        content_type: attachment.content_type.clone(),
        content_id: attachment.content_id.clone(),
        is_inline: attachment.inline,
        content: crm.content(email_id, &digest).await?,
    })
}

fn of_role(email: &Email, role: PartyRole) -> impl Iterator<Item = &Party> {
    let mut seen = std::collections::HashSet::new();
    // A recipient that is several records is one address.
    email.parties.iter().filter(move |party| party.role() == role && seen.insert(party.address.to_lowercase()))
}

fn named(party: &Party) -> (String, String) {
    (party.name.clone(), party.address.trim().to_owned())
}

fn addresses(email: &Email, role: PartyRole) -> Option<Address<'static>> {
    let list: Vec<Address<'static>> = of_role(email, role).map(address).collect();
    (!list.is_empty()).then(|| Address::new_list(list))
}

fn address(party: &Party) -> Address<'static> {
    let (name, address) = named(party);
    Address::new_address((!name.is_empty()).then_some(name), address)
}

fn message(
    email: &Email,
    from: &Party,
    (text, html): (Option<String>, Option<String>),
    attachments: &[NewAttachment],
    settings: &Settings,
) -> std::io::Result<Vec<u8>> {
    let mut builder = MessageBuilder::new()
        .from(address(from))
        .subject(subject_with(&email.subject, &email.tracking_token, settings.most_subject))
        .message_id(normalized(&email.message_id).to_owned());
    if let Some(to) = addresses(email, PartyRole::To) {
        builder = builder.to(to);
    }
    if let Some(cc) = addresses(email, PartyRole::Cc) {
        builder = builder.cc(cc);
    }
    if !email.in_reply_to.is_empty() {
        builder = builder.in_reply_to(normalized(&email.in_reply_to).to_owned());
    }
    if !email.references.is_empty() {
        let ids: Vec<String> = email.references.iter().map(|id| normalized(id).to_owned()).collect();
        builder = builder.references(MessageId::new_list(ids.into_iter()));
    }
    // A message without any body is refused by some readers.
    let text = text.or_else(|| html.is_none().then(String::new));
    if let Some(text) = text {
        builder = builder.text_body(text);
    }
    if let Some(html) = html {
        builder = builder.html_body(html);
    }
    for file in attachments {
        let content = file.content.to_vec();
        builder = if file.is_inline && !file.content_id.is_empty() {
            builder.inline(file.content_type.clone(), file.content_id.clone(), content)
        } else {
            builder.attachment(file.content_type.clone(), file.name.clone(), content)
        };
    }
    builder.write_to_vec()
}
