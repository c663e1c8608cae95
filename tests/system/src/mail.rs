//! Messages to deliver.

use mail_builder::MessageBuilder;

/// The message id of letter number `number` of a play.
pub fn message_id(play: &str, number: usize) -> String {
    format!("{play}.{number}@fabrikam.example")
}

/// A letter to `recipient`: every third one has an HTML body, every fifth an attachment.
pub fn letter(play: &str, number: usize, recipient: &str) -> Vec<u8> {
    let mut letter = MessageBuilder::new()
        .from(("Grace Hopper", "grace@fabrikam.example"))
        .to(recipient)
        .subject(format!("Order {number}: 12 × Füllhalter"))
        .message_id(message_id(play, number))
        .text_body(format!("Dear customer,\r\n\r\nthis is letter {number}.\r\n"));
    if number.is_multiple_of(3) {
        letter = letter.html_body(format!("<p>Dear customer,</p><p>this is letter <b>{number}</b>.</p>"));
    }
    if number.is_multiple_of(5) {
        letter = letter.attachment("text/csv", "order.csv", format!("number\r\n{number}\r\n"));
    }
    letter.write_to_vec().unwrap_or_default()
}
