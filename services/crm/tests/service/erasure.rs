//! A person is erased, whatever happens meanwhile.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postroad_core::{email::Rules as Emails, erasure, record};
use postroad_crm::content::{Error, KeyMemory, Keys, Memory, Objects, Reader};
use postroad_journal::{Actor, sealing::Keyring};
use postroad_proto::crm::v1::{
    ClaimEmailRequest, EmailStatus, ErasePersonRequest, ErasePersonResponse, FindPersonRequest, ReportDeliveryRequest,
    ResealContentKeysRequest, SendEmailRequest, SendHeader, send_email_request,
};
use uuid::Uuid;

use super::*;

async fn erase(crm: &Crm, person: &str, dry_run: bool) -> Result<ErasePersonResponse, tonic::Status> {
    let request = ErasePersonRequest { person: person.to_owned(), dry_run };
    let told = crm.client.clone().erase_person(request).await?.into_inner().try_collect::<Vec<_>>().await?;
    Ok(told.into_iter().last().unwrap())
}

/// The answer to a promotion: whether it is erased.
async fn is_erased(crm: &Crm, message: &Message) -> bool {
    let requests = futures::stream::iter(stream(message));
    crm.client.clone().promote_email(requests).await.unwrap().into_inner().erased
}

#[tokio::test]
async fn a_person_is_found_by_one_address_with_all_of_them() {
    let crm = crm().await;
    let save = async |kind: RecordKind, name: &str, addresses: &[&str]| {
        let mut record = person(kind, name, addresses[0]);
        record.addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        crm.save(record).await.unwrap().0.id
    };
    save(RecordKind::Contact, "Eve", &["Eve@x.example", "eve@home.example"]).await;
    save(RecordKind::Lead, "Eve again", &["eve@home.example", "eve@third.example"]).await;
    save(RecordKind::Contact, "Ben", &["ben@x.example"]).await;
    let user = save(RecordKind::User, "Eve, the user", &["eve@x.example", "ada@contoso.example"]).await;
    let mut first = message("<1@x.example>", 1);
    first.header.email.as_mut().unwrap().parties[0].address = "EVE@third.example".into();
    let (named, _) = crm.promote(stream(&first)).await.unwrap();
    crm.promote(stream(&message("<2@x.example>", 1))).await.unwrap();
    let find = async |wanted: &str| {
        let request = FindPersonRequest { person: wanted.to_owned() };
        let told = crm.client.clone().find_person(request).await.unwrap().into_inner();
        told.try_collect::<Vec<_>>().await.unwrap()
    };
    let found = find(" eve@X.example ").await;
    assert_eq!(found[0].addresses, ["eve@home.example", "eve@third.example", "eve@x.example"]);
    let mut names: Vec<_> = found[0].records.iter().map(|record| record.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Eve", "Eve again", "Eve, the user"], "what the user has besides is the user's");
    assert_eq!(found[1..].iter().flat_map(|more| more.email_ids.clone()).collect::<Vec<_>>(), [named]);
    assert!(find(&user).await[0].addresses.contains(&"ada@contoso.example".to_owned()));
    let request = FindPersonRequest { person: "nobody".into() };
    assert_eq!(crm.client.clone().find_person(request).await.err().unwrap().code(), Code::NotFound);
}

#[tokio::test]
async fn an_erased_person_leaves_nothing_and_does_not_come_back() {
    let crm = crm().await;
    let (ada, _) = crm.save(person(RecordKind::Contact, "Ada", "ada@fabrikam.example")).await.unwrap();
    let mut other = message("<other@x.example>", 1);
    other.header.email.as_mut().unwrap().parties[0].address = "eve@x.example".into();
    let (kept, _) = crm.promote(stream(&other)).await.unwrap();
    let first = message("<1@x.example>", 1);
    let (id, _) = crm.promote(stream(&first)).await.unwrap();
    let before = crm.email(&id).await.unwrap();

    let found = erase(&crm, "ADA@fabrikam.example", true).await.unwrap();
    assert_eq!((found.emails, found.written, found.erased, found.records.len()), (1, 1, 0, 1));
    assert!(crm.email(&id).await.is_ok(), "a dry run erases nothing");
    let done = erase(&crm, &ada.id, false).await.unwrap();
    assert_eq!((done.addresses, done.emails, done.erased, done.waiting), (found.addresses, 1, 1, 0));

    let gone = crm.email(&id).await.unwrap_err();
    assert_eq!(fault_of(&gone), "EMAIL_ERASED");
    let request = ReadContentRequest { digest: before.mime.unwrap().digest, email_id: id.clone() };
    assert_eq!(crm.client.clone().read_content(request).await.unwrap_err().code(), Code::NotFound);
    // The same attachment is another email's as well.
    assert!(crm.read(crm.email(&kept).await.unwrap().attachments[0].content.as_ref().unwrap()).await.len() > 1000);
    // From whatever mailbox it comes again, and what of before was never tracked.
    assert!(is_erased(&crm, &message("<1@x.example>", 2)).await);
    let mut old = message("<old@x.example>", 3);
    old.header.email.as_mut().unwrap().received_at = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    assert!(is_erased(&crm, &old).await);
    let mut later = message("<later@x.example>", 1);
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    later.header.email.as_mut().unwrap().received_at = Some(postroad_rig::wire::timestamp(tomorrow));
    assert!(!is_erased(&crm, &later).await, "what comes later is new");
    assert!(erase(&crm, "nobody", false).await.is_err());

    // What is left in the journal says that, and nothing else.
    let left = crm.journal.history::<Emails>(id.parse().unwrap(), 0, 10).await.unwrap();
    assert!(matches!(&left[..], [only] if matches!(only.events[..], [postroad_core::email::Event::Erased { .. }])));
    let left = crm.journal.history::<record::Rules>(ada.id.parse().unwrap(), 0, 10).await.unwrap();
    assert!(matches!(&left[..], [only] if only.events == [record::Event::Deleted]));
}

#[tokio::test]
async fn one_address_of_a_record_erases_the_mail_of_all_its_addresses() {
    let crm = crm().await;
    let mut ada = person(RecordKind::Contact, "Ada", "ada@fabrikam.example");
    ada.addresses.push("ada@home.example".into());
    crm.save(ada).await.unwrap();
    // A duplicate that shares only the second address.
    let mut lead = person(RecordKind::Lead, "Ada B.", "ADA@home.example");
    lead.addresses.push("ada@old.example".into());
    let (lead, _) = crm.save(lead).await.unwrap();
    let (kept, _) = crm.save(person(RecordKind::Contact, "Eve", "eve@x.example")).await.unwrap();
    let mut ids = Vec::new();
    for (at, address) in
        ["ada@fabrikam.example", "Ada@Home.example", "ada@old.example", "eve@x.example"].iter().enumerate()
    {
        let mut message = message(&format!("<{at}@x.example>"), 1);
        message.header.email.as_mut().unwrap().parties[0].address = (*address).into();
        ids.push(crm.promote(stream(&message)).await.unwrap().0);
    }
    let all = ["ada@fabrikam.example", "ada@home.example", "ada@old.example"];
    let found = erase(&crm, "ada@fabrikam.example", true).await.unwrap();
    assert_eq!((found.addresses.clone(), found.records.len(), found.emails), (all.map(str::to_owned).to_vec(), 2, 3));
    let done = erase(&crm, "ada@fabrikam.example", false).await.unwrap();
    assert_eq!((done.addresses, done.erased), (found.addresses, 3));
    for id in &ids[..3] {
        assert_eq!(fault_of(&crm.email(id).await.unwrap_err()), "EMAIL_ERASED");
    }
    assert!(crm.email(&ids[3]).await.is_ok());
    let get = async |record: &str| {
        let request = GetRecordRequest { record: record.into(), ..Default::default() };
        crm.client.clone().get_record(request).await.is_ok()
    };
    assert!(!get(&lead.id).await && get(&kept.id).await);
}

#[tokio::test]
async fn users_are_not_erased() {
    let crm = crm().await;
    crm.save(person(RecordKind::User, "Ada", "ada@fabrikam.example")).await.unwrap();
    let refused = erase(&crm, "ada@fabrikam.example", false).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("user Ada"), "{}", refused.message());
}

/// Whatever was done when the process died, the next one ends it: with nothing but the wish, with a tombstone, with all.
#[tokio::test]
async fn an_erasure_that_a_crash_cut_off_is_ended_at_the_next_start() {
    for cut in 0..3 {
        let crm = crm().await;
        let (id, _) = crm.promote(stream(&message("<1@x.example>", 1))).await.unwrap();
        crm.promote(stream(&message("<1@x.example>", 2))).await.unwrap();
        let (id, actor) = (Uuid::parse_str(&id).unwrap(), Actor::new("test"));
        let now = jiff::Timestamp::now();
        let digest = erasure::digest("ada@fabrikam.example");
        crm.journal.execute::<erasure::Rules>(digest, &actor, &erasure::Erase, |_| now).await.unwrap();
        if cut > 0 {
            let command = postroad_core::email::Command::Erase;
            let tombstone = crm.journal.execute::<Emails>(id, &actor, &command, |_| now).await.unwrap().sequence;
            if cut > 1 {
                crm.journal.erase_before(postroad_journal::Kind::Email, id, tombstone).await.unwrap();
            }
        }
        let (store, shutdown) = (Arc::new(Store::default()), CancellationToken::new());
        let following = tokio::spawn(Arc::clone(&store).follow(crm.journal.clone(), shutdown.clone()));
        store.caught_up().await;
        let eraser = Eraser::new(crm.journal.clone(), Arc::clone(&store), Contents::memory().unwrap());
        assert_eq!(eraser.end().await, []);
        assert_eq!(eraser.end().await, []);
        shutdown.cancel();
        following.await.unwrap().unwrap();
        let left = crm.journal.history::<Emails>(id, 0, 10).await.unwrap();
        assert_eq!(left.len(), 1, "{cut}");
        assert!(matches!(left[0].events[..], [postroad_core::email::Event::Erased { .. }]));
        assert!(store.read(|view| view.was_erased(id) && view.unfinished().is_empty() && view.to_erase().is_empty()));
    }
}

/// A small message of the person.
fn letter(message_id: &str) -> Message {
    let mut letter = message(message_id, 1);
    letter.contents[2] = b"attached".to_vec();
    letter.header.email.as_mut().unwrap().attachments[0].content = Some(content(b"attached"));
    letter
}

/// Queues an email of Ada to an address; gives its id.
async fn queued(crm: &Crm, to: &str) -> Uuid {
    crm.save(person(RecordKind::User, "Ada", "ada@contoso.example")).await.unwrap();
    let party =
        |role: PartyRole, address: &str| Party { role: role.into(), address: address.into(), ..Default::default() };
    let text = b"Dear Eve";
    let email = Email {
        direction: EmailDirection::Outgoing.into(),
        subject: "Offer".into(),
        parties: vec![party(PartyRole::From, "ada@contoso.example"), party(PartyRole::To, to)],
        text: Some(content(text)),
        ..Default::default()
    };
    let header = send_email_request::Part::Header(SendHeader { email: Some(email), ..Default::default() });
    let piece = send_email_request::Part::Piece(text.to_vec());
    let requests = [header, piece].map(|part| SendEmailRequest { part: Some(part) });
    let sent = crm.client.clone().send_email(futures::stream::iter(requests)).await.unwrap();
    sent.into_inner().email_id.parse().unwrap()
}

/// Sends a queued email as a worker does.
async fn claimed(crm: &Crm, id: Uuid, attempt: u32, message_id: &str) {
    let (email_id, message_id) = (id.to_string(), message_id.to_owned());
    crm.client.clone().claim_email(ClaimEmailRequest { email_id, attempt, message_id }).await.unwrap();
}

async fn reported(crm: &Crm, id: Uuid, attempt: u32, status: EmailStatus) {
    let request =
        ReportDeliveryRequest { email_id: id.to_string(), attempt, status: status.into(), ..Default::default() };
    crm.client.clone().report_delivery(request).await.unwrap();
}

/// What synchronization finds in Sent Items.
fn sent_items(message_id: &str, to: &str, at: jiff::Timestamp) -> Message {
    let mut found = letter(message_id);
    let email = found.header.email.as_mut().unwrap();
    email.direction = EmailDirection::Outgoing.into();
    email.parties[0].address = "ada@contoso.example".into();
    email.parties[1].address = to.into();
    email.sent_at = Some(postroad_rig::wire::timestamp(at));
    found
}

#[tokio::test]
async fn an_email_that_waited_when_the_person_was_erased_goes_once_it_is_sent() {
    // Given two emails to the person, both queued: one that was tried before, and one that is new.
    let crm = crm().await;
    let (tried, new) = (queued(&crm, "eve@fabrikam.example").await, queued(&crm, "Eve@fabrikam.example").await);
    claimed(&crm, tried, 1, "<tried.1@contoso.example>").await;
    reported(&crm, tried, 1, EmailStatus::Failed).await;
    crm.client
        .clone()
        .resend_email(postroad_proto::crm::v1::ResendEmailRequest { email_id: tried.to_string() })
        .await
        .unwrap();
    // When the person is erased, they are left until they are sent.
    let done = erase(&crm, "eve@fabrikam.example", false).await.unwrap();
    assert_eq!((done.erased, done.waiting), (0, 2));
    assert_eq!(crm.eraser.end().await, []);
    claimed(&crm, tried, 2, "<tried.2@contoso.example>").await;
    claimed(&crm, new, 1, "<new.1@contoso.example>").await;
    for (id, attempt) in [(tried, 2), (new, 1)] {
        reported(&crm, id, attempt, EmailStatus::Sent).await;
    }
    assert_eq!(crm.eraser.end().await, []);
    // Then nothing of them is left.
    for id in [tried, new] {
        let left = crm.journal.history::<Emails>(id, 0, 10).await.unwrap();
        assert!(matches!(&left[..], [only] if matches!(only.events[..], [postroad_core::email::Event::Erased { .. }])));
        assert_eq!(fault_of(&crm.email(&id.to_string()).await.unwrap_err()), "EMAIL_ERASED");
        assert!(crm.contents.open(id, &digest(b"Dear Eve")).await.unwrap().is_none());
    }
    // And their copies in Sent Items, dated later, do not come back, whichever attempt it was that arrived.
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    for message_id in ["<tried.1@contoso.example>", "tried.2@contoso.example", "<new.1@contoso.example>"] {
        assert!(is_erased(&crm, &sent_items(message_id, "eve@fabrikam.example", later)).await, "{message_id}");
    }
    assert!(!is_erased(&crm, &sent_items("<other@contoso.example>", "eve@fabrikam.example", later)).await);
}

/// Begins a promotion that breaks off when its first content is stored.
async fn broken_off(crm: &Crm, message: &Message) {
    let cut = vec![header(message), piece(&message.contents[0])];
    assert!(crm.promote(cut).await.is_err());
    assert_eq!(keys(crm).await.len(), 1);
}

async fn keys(crm: &Crm) -> Vec<Uuid> {
    crm.contents.emails().await.unwrap().try_collect().await.unwrap()
}

#[tokio::test]
async fn contents_that_a_broken_promotion_left_go_when_it_is_repeated_after_the_erasure() {
    // Given a promotion that broke off.
    let crm = crm().await;
    let mut message = letter("<1@x.example>");
    message.header.email.as_mut().unwrap().received_at = Some(postroad_rig::wire::timestamp(jiff::Timestamp::now()));
    broken_off(&crm, &message).await;
    // When the sender is erased, and the promotion repeated.
    erase(&crm, "ada@fabrikam.example", false).await.unwrap();
    assert!(is_erased(&crm, &message).await);
    // Then its key is gone.
    assert!(keys(&crm).await.is_empty());
}

#[tokio::test]
async fn contents_that_a_broken_promotion_left_go_after_a_day_also_when_nobody_repeats_it() {
    // Given a promotion that broke off, one that came to its end, and one that is repeated a day later.
    let kept = Arc::new(KeyMemory::default());
    let crm = crm_with(contents(Arc::clone(&kept) as Arc<dyn Keys>, Arc::new(Memory::default()))).await;
    let (abandoned, repeated) = (letter("<1@x.example>"), letter("<2@x.example>"));
    broken_off(&crm, &abandoned).await;
    let day = jiff::SignedDuration::from_hours(24);
    let (lost, now) = (keys(&crm).await[0], jiff::Timestamp::now());
    assert_eq!(crm.eraser.abandoned(now).await.unwrap(), 0, "it may be under way");
    let done: Uuid = crm.promote(stream(&letter("<3@x.example>"))).await.unwrap().0.parse().unwrap();
    assert!(crm.promote(vec![header(&repeated), piece(&repeated.contents[0])]).await.is_err());
    let again = keys(&crm).await.into_iter().find(|id| *id != lost && *id != done).unwrap();
    [lost, done, again].iter().for_each(|id| kept.date(*id, now - day));
    // When the repetition has begun, and keys that are as old are looked for.
    let chest = crm.contents.chest(again).await.unwrap();
    assert_eq!(crm.eraser.abandoned(now).await.unwrap(), 1);
    drop(chest);
    // Then only the abandoned key is gone.
    assert_eq!(keys(&crm).await.len(), 2);
    assert!(!keys(&crm).await.contains(&lost));
    assert!(crm.contents.open(done, &digest(b"small")).await.unwrap().is_some());
    let (id, _) = crm.promote(stream(&repeated)).await.unwrap();
    assert_eq!(id.parse::<Uuid>().unwrap(), again);
}

#[tokio::test]
async fn a_person_who_is_erased_while_their_message_comes_gets_no_record() {
    // Given a promotion that creates the sender, and has not sent all its contents.
    let crm = crm().await;
    let mut message = letter("<1@x.example>");
    message.header.create_sender = Some(person(RecordKind::Contact, "Ada", "ada@fabrikam.example"));
    let requests = stream(&message);
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    sender.send(requests[0].clone()).unwrap();
    let mut client = crm.client.clone();
    let incoming = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
    let promotion = tokio::spawn(async move { client.promote_email(incoming).await });
    let begun = stage::eventually(std::time::Duration::from_secs(30), || async {
        (!keys(&crm).await.is_empty()).then_some(())
    });
    begun.await.unwrap();
    // When the sender is erased, and then the rest comes.
    erase(&crm, "ada@fabrikam.example", false).await.unwrap();
    requests[1..].iter().for_each(|request| sender.send(request.clone()).unwrap());
    drop(sender);
    // Then there is neither a record, nor an activity, nor a key.
    assert!(promotion.await.unwrap().unwrap().into_inner().erased);
    let found = crm.client.clone().list_records(ListRecordsRequest::default()).await.unwrap().into_inner();
    assert_eq!((found.records, keys(&crm).await), (vec![], vec![]));
}

/// Objects of which those of one email cannot be removed.
struct Stuck {
    objects: Memory,
    email: std::sync::Mutex<Option<Uuid>>,
}

#[async_trait::async_trait]
impl Objects for Stuck {
    async fn size(&self, name: &str) -> Result<Option<u64>, Error> {
        self.objects.size(name).await
    }

    async fn put(&self, name: &str, content: &mut Reader<'_>) -> Result<(), Error> {
        self.objects.put(name, content).await
    }

    async fn open(&self, name: &str) -> Result<Option<Box<Reader<'static>>>, Error> {
        self.objects.open(name).await
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        let stuck = *self.email.lock().unwrap();
        if stuck.is_some_and(|email| name.starts_with(&email.to_string())) {
            let source = std::io::Error::other("it is stuck").into();
            return Err(Error::Store { what: "removing an object", source });
        }
        self.objects.remove(name).await
    }
}

#[tokio::test]
async fn what_cannot_be_ended_is_told_and_holds_up_nothing_else() {
    // Given emails of a person, each of which in its turn is the one that cannot be destroyed.
    for stuck in 0..3 {
        let objects = Arc::new(Stuck { objects: Memory::default(), email: std::sync::Mutex::default() });
        let crm = crm_with(contents(Arc::new(KeyMemory::default()), Arc::clone(&objects) as Arc<dyn Objects>)).await;
        let mut ids = Vec::<Uuid>::new();
        for number in 0..3 {
            let message = letter(&format!("<{number}@x.example>"));
            ids.push(crm.promote(stream(&message)).await.unwrap().0.parse().unwrap());
        }
        *objects.email.lock().unwrap() = Some(ids[stuck]);
        let (digest, now) = (erasure::digest("ada@fabrikam.example"), jiff::Timestamp::now());
        let actor = Actor::new("test");
        let erased = crm.journal.execute::<erasure::Rules>(digest, &actor, &erasure::Erase, |_| now).await.unwrap();
        crm.store.reached(erased.sequence).await;
        // When what is left of it is ended.
        let left = crm.eraser.end().await;
        // Then the fault is told, and the others are gone.
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].detail.contains("it is stuck"), "{left:?}");
        assert_eq!(keys(&crm).await, [ids[stuck]]);
        // And it goes too, once it can.
        *objects.email.lock().unwrap() = None;
        assert_eq!((crm.eraser.end().await, keys(&crm).await), (vec![], vec![]));
    }
}

/// Contents over these keys and objects.
fn contents(keys: Arc<dyn Keys>, objects: Arc<dyn Objects>) -> Contents {
    sealed(&["1"], keys, objects)
}

/// The same under keys of the deployment, the first of which seals.
fn sealed(ids: &[&str], keys: Arc<dyn Keys>, objects: Arc<dyn Objects>) -> Contents {
    let key = |id: &&str| ((*id).to_owned(), STANDARD.encode([id.as_bytes()[0]; 32]).into());
    Contents::new(objects, keys, Arc::new(Keyring::load(ids.iter().map(key)).unwrap()))
}

#[tokio::test]
async fn keys_of_contents_under_a_former_key_are_told_and_let_be_in_a_dry_run() {
    // Given contents of two emails, of which one is under a former key.
    let (keys, objects) = (Arc::new(KeyMemory::default()), Arc::new(Memory::default()));
    let both = || sealed(&["2", "1"], Arc::clone(&keys) as Arc<dyn Keys>, Arc::clone(&objects) as Arc<dyn Objects>);
    let former = contents(Arc::clone(&keys) as Arc<dyn Keys>, Arc::clone(&objects) as Arc<dyn Objects>);
    former.chest(Uuid::from_u128(1)).await.unwrap();
    both().chest(Uuid::from_u128(2)).await.unwrap();
    let crm = crm_with(both()).await;
    let ask = async |dry_run: bool| {
        let request = ResealContentKeysRequest { dry_run };
        let told = crm.client.clone().reseal_content_keys(request).await.unwrap().into_inner();
        let last = told.try_collect::<Vec<_>>().await.unwrap().into_iter().last().unwrap();
        (last.done, last.changed, last.failed)
    };
    // When it is asked for, then it is told as often as it is asked, and no more once they are sealed anew.
    assert_eq!((ask(true).await, ask(true).await), ((2, 1, 0), (2, 1, 0)));
    assert_eq!((ask(false).await, ask(true).await), ((2, 1, 0), (2, 0, 0)));
    // And a key that is lost is a failure.
    let lost = sealed(&["3"], Arc::clone(&keys) as Arc<dyn Keys>, Arc::clone(&objects) as Arc<dyn Objects>);
    let crm = crm_with(lost).await;
    let request = ResealContentKeysRequest { dry_run: true };
    let told = crm.client.clone().reseal_content_keys(request).await.unwrap().into_inner();
    let last = told.try_collect::<Vec<_>>().await.unwrap().into_iter().last().unwrap();
    assert_eq!((last.failed, last.faults[0].code.as_str()), (2, "SEALING_KEY_LOST"));
}

/// The name of the fault that a status carries.
fn fault_of(status: &tonic::Status) -> String {
    postroad_rig::status::fault_of(status).map(|fault| fault.code).unwrap_or_default()
}
