//! Mailboxes: the service.

mod draft;
mod listing;
mod preconditions;
mod selection;
mod test;
mod timeline;
mod view;

use std::{pin::Pin, sync::Arc};

use futures::Stream;
use postroad_core::{
    Refusal,
    fault::Code,
    mailbox::{AdminCommand, AdminFacts, Approval, Draft, FIELDS, Kind, Mailbox, State},
    name::Kind as NameKind,
};
use postroad_journal::{Actor, Executed};
use postroad_proto::mailbox::v1::{
    ActivateMailboxesRequest, ActivateMailboxesResponse, ApplyDefaultSettingsRequest, ApplyDefaultSettingsResponse,
    Approval as WireApproval, ApproveMailboxesRequest, ApproveMailboxesResponse, CreateMailboxRequest,
    CreateMailboxResponse, DeactivateMailboxesRequest, DeactivateMailboxesResponse, DeleteMailboxRequest,
    DeleteMailboxResponse, GetMailboxRequest, GetMailboxResponse, ListMailboxesRequest, ListMailboxesResponse,
    ListTimelineRequest, ListTimelineResponse, Mailbox as WireMailbox, MailboxResult, MailboxSelection,
    MailboxSettings, SummarizeMailboxesRequest, SummarizeMailboxesResponse, TestAndEnableMailboxesRequest,
    TestAndEnableMailboxesResponse, UpdateMailboxRequest, UpdateMailboxResponse, UpdateMailboxesRequest,
    UpdateMailboxesResponse, mailbox_service_server::MailboxService,
};
use postroad_rig::{Caller, actor, clock, status, wire};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use listing::Filter;

use crate::{
    mask::Mask,
    names::{Claim, Names},
    registry::{Mailboxes, Registry, check, not_found, profile_facts, report_of},
};

/// The fields of the wire that are no settings.
const SECRETS: &[&str] = &["password"];
/// What is set once, when a mailbox is created.
const FIXED: &[&str] = &["kind", "regarding"];
/// What cannot be the same for many.
const OWN: &[&str] = &["name", "kind", "regarding", "email_address"];

/// The service.
pub struct MailboxAdministration {
    registry: Arc<Registry>,
}

/// A change that is wanted.
struct Wanted {
    draft: Draft,
    password: Option<String>,
    etag: String,
}

impl MailboxAdministration {
    /// The service of a registry.
    pub const fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    fn find(&self, caller: &Caller, name: &str) -> Result<Mailbox, Status> {
        self.registry.mailbox(caller, "mailbox", name)
    }

    /// The profile that a request names; `None` means all.
    fn profile(&self, caller: &Caller, name: &str) -> Result<Option<Uuid>, Status> {
        match name.trim() {
            "" => Ok(None),
            name => self.registry.profile(caller, "profile", name).map(|profile| Some(profile.id)),
        }
    }

    /// The mailboxes that are wanted and that the caller reaches, with their keys.
    fn reached(&self, caller: &Caller, is_wanted: impl Fn(&Mailbox) -> bool) -> Vec<(String, Arc<Mailbox>)> {
        let mut found = self.registry.directory.filtered(is_wanted);
        if !caller.reaches_all() {
            found.retain(|(_, mailbox)| self.registry.reaches(caller, mailbox));
        }
        found
    }

    fn shown(&self, mailbox: &Mailbox) -> WireMailbox {
        view::mailbox(mailbox, &self.registry.directory, clock::now())
    }

    /// What a decision about settings may know; the user or queue was looked up before.
    fn facts(&self, id: Uuid, draft: &Draft) -> AdminFacts {
        let directory = &self.registry.directory;
        let address_taken = directory.mailbox(&draft.address).is_some_and(|other| other.id != id);
        let person = draft.kind.and_then(person_of);
        let same_person = |other: &Mailbox| other.id != id && person_of(other.settings.kind) == person;
        AdminFacts {
            now: clock::now(),
            address_taken,
            regarding_taken: person.is_some() && directory.mailboxes(None).iter().any(same_person),
            regarding_known: true,
            profile: draft.profile_id.and_then(|id| directory.profile_by_id(id)).map(|profile| profile_facts(&profile)),
            retry: self.registry.policy.retry,
        }
    }

    async fn fill(&self, mut draft: Draft, settings: &MailboxSettings, mask: &Mask) -> Result<Draft, Status> {
        draft::apply(&mut draft, settings, mask).map_err(|refusal| status::refused(&refusal))?;
        if mask.has("kind") {
            draft.kind = draft::kind(&self.registry, settings).await?;
        }
        if mask.has("profile") {
            draft.profile_id = match settings.profile.trim() {
                "" => None,
                name => {
                    let profile = self.registry.directory.profile(name);
                    Some(profile.ok_or_else(|| not_found("profile", "profile", name))?.id)
                }
            };
        }
        Ok(draft)
    }

    async fn change(&self, mailbox: &Mailbox, wanted: Wanted, actor: &Actor) -> Result<Executed<Mailboxes>, Status> {
        check_etag(mailbox, &wanted.etag)?;
        let facts = self.facts(mailbox.id, &wanted.draft);
        let sealed = match wanted.password {
            Some(password) => self.registry.seal(password)?,
            None => None,
        };
        let address = wanted.draft.address.trim().to_owned();
        let command = AdminCommand::Change { draft: wanted.draft, sealed };
        check::<Mailboxes>(&State::Live(Arc::new(mailbox.clone())), &command, &facts)?;
        let names = Names { journal: &self.registry.journal, actor, holder: mailbox.id };
        let readdressed = !address.eq_ignore_ascii_case(mailbox.settings.address.as_str());
        let claims = if readdressed { vec![address_claim(&address)] } else { Vec::new() };
        let changing = self.execute(mailbox, &command, &facts, &wanted.etag, actor);
        let executed = self.registry.bearing(&names, &claims, changing).await?;
        if readdressed {
            names.release(&[address_claim(mailbox.settings.address.as_str())]).await;
        }
        Ok(executed)
    }

    async fn execute(
        &self,
        mailbox: &Mailbox,
        command: &AdminCommand,
        facts: &AdminFacts,
        etag: &str,
        actor: &Actor,
    ) -> Result<Executed<Mailboxes>, Status> {
        let expected = etag.to_owned();
        let is_current =
            move |state: &State| expected.is_empty() || state.live().is_some_and(|live| view::etag(live) == expected);
        self.registry.execute::<Mailboxes>(mailbox.id, actor, command, facts, is_current).await
    }

    /// Does the same to many; each is changed or refused for itself.
    async fn each<F: Future<Output = Result<Executed<Mailboxes>, Status>>>(
        &self,
        caller: &Caller,
        selection: Option<MailboxSelection>,
        doing: impl Fn(Mailbox) -> F,
    ) -> Result<Vec<MailboxResult>, Status> {
        let selected = selection::select(&self.registry, caller, selection)?;
        let mut results = Vec::with_capacity(selected.len());
        for (name, mailbox) in selected {
            let outcome = match mailbox {
                Ok(mailbox) => doing(mailbox).await,
                Err(status) => Err(status),
            };
            results.push(match outcome {
                Ok(executed) => MailboxResult { mailbox: name, after: self.answer(&executed.state), fault: None },
                Err(status) => {
                    MailboxResult { mailbox: name, after: None, fault: Some(status::to_wire(&report_of(&status))) }
                }
            });
        }
        Ok(results)
    }

    /// Does a command that needs no facts of its own to many.
    async fn command_each(
        &self,
        selection: Option<MailboxSelection>,
        caller: &Caller,
        command: AdminCommand,
    ) -> Result<Vec<MailboxResult>, Status> {
        let (command, actor) = (&command, caller.actor());
        self.each(caller, selection, |mailbox| async move {
            let facts = self.registry.plain_facts(mailbox.settings.profile_id);
            self.execute(&mailbox, command, &facts, "", actor).await
        })
        .await
    }

    fn answer(&self, state: &State) -> Option<WireMailbox> {
        state.live().map(|mailbox| self.shown(mailbox))
    }
}

#[async_trait]
impl MailboxService for MailboxAdministration {
    type TestAndEnableMailboxesStream =
        Pin<Box<dyn Stream<Item = Result<TestAndEnableMailboxesResponse, Status>> + Send>>;

    async fn create_mailbox(
        &self,
        request: Request<CreateMailboxRequest>,
    ) -> Result<Response<CreateMailboxResponse>, Status> {
        let actor = actor::of(&request);
        let settings = request.into_inner().settings.unwrap_or_default();
        let draft = self.fill(draft::blank(), &settings, &Mask::all(FIELDS)).await?;
        let id = Uuid::now_v7();
        let facts = self.facts(id, &draft);
        let sealed = self.registry.seal(settings.password)?;
        let mut claims = vec![address_claim(&draft.address)];
        let person = draft.kind.and_then(person_of);
        claims.extend(person.map(|person| Claim { kind: NameKind::MailboxRegarding, name: person.to_string() }));
        let command = AdminCommand::Create { id, draft, sealed };
        check::<Mailboxes>(&State::Absent, &command, &facts)?;
        let names = Names { journal: &self.registry.journal, actor: &actor, holder: id };
        let creating = self.registry.execute::<Mailboxes>(id, &actor, &command, &facts, |_| true);
        let executed = self.registry.bearing(&names, &claims, creating).await?;
        Ok(Response::new(CreateMailboxResponse { mailbox: self.answer(&executed.state) }))
    }

    async fn get_mailbox(&self, request: Request<GetMailboxRequest>) -> Result<Response<GetMailboxResponse>, Status> {
        let caller = Caller::of(&request);
        let mailbox = self.find(&caller, &request.into_inner().mailbox)?;
        Ok(Response::new(GetMailboxResponse { mailbox: Some(self.shown(&mailbox)) }))
    }

    async fn list_mailboxes(
        &self,
        request: Request<ListMailboxesRequest>,
    ) -> Result<Response<ListMailboxesResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let start = wire::page_start(&request.page_token).map_err(|refusal| status::refused(&refusal))?;
        let profile = self.profile(&caller, &request.profile)?;
        let filter = Filter::new(&request, profile).map_err(|refusal| status::refused(&refusal))?;
        let now = clock::now();
        let found = self.reached(&caller, |mailbox| filter.fits(mailbox, now));
        let (mailboxes, next) = listing::page(found, start.as_deref(), wire::page_size(request.page_size));
        let mailboxes = mailboxes.iter().map(|mailbox| self.shown(mailbox)).collect();
        let next_page_token = next.map(|next| wire::page_token(&next)).unwrap_or_default();
        Ok(Response::new(ListMailboxesResponse { mailboxes, next_page_token }))
    }

    async fn summarize_mailboxes(
        &self,
        request: Request<SummarizeMailboxesRequest>,
    ) -> Result<Response<SummarizeMailboxesResponse>, Status> {
        let caller = Caller::of(&request);
        let profile = self.profile(&caller, &request.into_inner().profile)?;
        let now = clock::now();
        let of_profile = |mailbox: &Mailbox| profile.is_none() || mailbox.settings.profile_id == profile;
        let summary = if caller.reaches_all() {
            let directory = &self.registry.directory;
            directory.with_mailboxes(|all| listing::summarize(all.filter(|mailbox| of_profile(mailbox)), now))
        } else {
            let reached = self.reached(&caller, of_profile);
            listing::summarize(reached.iter().map(|(_, mailbox)| mailbox.as_ref()), now)
        };
        Ok(Response::new(summary))
    }

    async fn update_mailbox(
        &self,
        request: Request<UpdateMailboxRequest>,
    ) -> Result<Response<UpdateMailboxResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let request = request.into_inner();
        let mailbox = self.find(&caller, &request.mailbox)?;
        let mask = read_mask(request.update_mask.as_ref())?;
        let settings = request.settings.unwrap_or_default();
        let draft = self.fill(Draft::from(&mailbox.settings), &settings, &mask).await?;
        let password = password(&mask, settings.password)?;
        let executed = self.change(&mailbox, Wanted { draft, password, etag: request.etag }, &actor).await?;
        Ok(Response::new(UpdateMailboxResponse { mailbox: self.answer(&executed.state) }))
    }

    async fn update_mailboxes(
        &self,
        request: Request<UpdateMailboxesRequest>,
    ) -> Result<Response<UpdateMailboxesResponse>, Status> {
        let caller = Caller::of(&request);
        let actor = caller.actor();
        let request = request.into_inner();
        let mask = &read_mask(request.update_mask.as_ref())?;
        if let Some(field) = mask.first_of(OWN) {
            let rule = "cannot be the same for many mailboxes";
            return Err(status::refused(&Refusal::new(Code::FieldNotApplicable, field, rule)));
        }
        let settings = &request.settings.unwrap_or_default();
        let password = &password(mask, settings.password.clone())?;
        let results = self.each(&caller, request.selection, |mailbox| async move {
            let draft = self.fill(Draft::from(&mailbox.settings), settings, mask).await?;
            let wanted = Wanted { draft, password: password.clone(), etag: String::new() };
            self.change(&mailbox, wanted, actor).await
        });
        Ok(Response::new(UpdateMailboxesResponse { results: results.await? }))
    }

    async fn delete_mailbox(
        &self,
        request: Request<DeleteMailboxRequest>,
    ) -> Result<Response<DeleteMailboxResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let request = request.into_inner();
        let mailbox = self.find(&caller, &request.mailbox)?;
        check_etag(&mailbox, &request.etag)?;
        let facts = self.registry.plain_facts(None);
        self.execute(&mailbox, &AdminCommand::Delete, &facts, &request.etag, &actor).await?;
        let mut claims = vec![address_claim(mailbox.settings.address.as_str())];
        let person = person_of(mailbox.settings.kind);
        claims.extend(person.map(|person| Claim { kind: NameKind::MailboxRegarding, name: person.to_string() }));
        Names { journal: &self.registry.journal, actor: &actor, holder: mailbox.id }.release(&claims).await;
        Ok(Response::new(DeleteMailboxResponse {}))
    }

    async fn apply_default_settings(
        &self,
        request: Request<ApplyDefaultSettingsRequest>,
    ) -> Result<Response<ApplyDefaultSettingsResponse>, Status> {
        let caller = Caller::of(&request);
        let actor = caller.actor();
        let defaults = &self.registry.policy.defaults;
        let profile = match defaults.profile.trim() {
            "" => None,
            name => {
                let profile = self.registry.directory.profile(name);
                Some(profile.ok_or_else(|| not_found("profile.defaults.profile", "profile", name))?.id)
            }
        };
        let results = self.each(&caller, request.into_inner().selection, |mailbox| async move {
            let mut draft = Draft::from(&mailbox.settings);
            draft::apply_defaults(&mut draft, defaults, profile);
            let wanted = Wanted { draft, password: None, etag: String::new() };
            self.change(&mailbox, wanted, actor).await
        });
        Ok(Response::new(ApplyDefaultSettingsResponse { results: results.await? }))
    }

    async fn approve_mailboxes(
        &self,
        request: Request<ApproveMailboxesRequest>,
    ) -> Result<Response<ApproveMailboxesResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let approval = match request.approval() {
            WireApproval::Unspecified => {
                return Err(status::refused(&Refusal::new(Code::FieldRequired, "approval", "is required")));
            }
            WireApproval::Pending => Approval::Pending,
            WireApproval::Approved => Approval::Approved,
            WireApproval::Rejected => Approval::Rejected,
        };
        let results = self.command_each(request.selection, &caller, AdminCommand::SetApproval(approval)).await?;
        Ok(Response::new(ApproveMailboxesResponse { results }))
    }

    async fn activate_mailboxes(
        &self,
        request: Request<ActivateMailboxesRequest>,
    ) -> Result<Response<ActivateMailboxesResponse>, Status> {
        let caller = Caller::of(&request);
        let results = self.command_each(request.into_inner().selection, &caller, AdminCommand::Activate).await?;
        Ok(Response::new(ActivateMailboxesResponse { results }))
    }

    async fn deactivate_mailboxes(
        &self,
        request: Request<DeactivateMailboxesRequest>,
    ) -> Result<Response<DeactivateMailboxesResponse>, Status> {
        let caller = Caller::of(&request);
        let results = self.command_each(request.into_inner().selection, &caller, AdminCommand::Deactivate).await?;
        Ok(Response::new(DeactivateMailboxesResponse { results }))
    }

    async fn test_and_enable_mailboxes(
        &self,
        request: Request<TestAndEnableMailboxesRequest>,
    ) -> Result<Response<Self::TestAndEnableMailboxesStream>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let selected = selection::select(&self.registry, &caller, request.into_inner().selection)?;
        let mut mailboxes = Vec::with_capacity(selected.len());
        for (_, mailbox) in selected {
            mailboxes.push(mailbox?);
        }
        Ok(Response::new(Box::pin(test::run(Arc::clone(&self.registry), mailboxes, actor))))
    }

    async fn list_timeline(
        &self,
        request: Request<ListTimelineRequest>,
    ) -> Result<Response<ListTimelineResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let mailbox = self.find(&caller, &request.mailbox)?;
        timeline::list(&self.registry, mailbox.id, &request).await.map(Response::new)
    }
}

fn address_claim(address: &str) -> Claim {
    Claim { kind: NameKind::MailboxAddress, name: address.to_owned() }
}

const fn person_of(kind: Kind) -> Option<Uuid> {
    match kind {
        Kind::User(person) | Kind::Queue(person) => Some(person),
        Kind::Forward => None,
    }
}

fn read_mask(mask: Option<&prost_types::FieldMask>) -> Result<Mask, Status> {
    let mask = Mask::read(mask, &[FIELDS, SECRETS]).map_err(|refusal| status::refused(&refusal))?;
    match mask.first_of(FIXED) {
        Some(field) => {
            Err(status::refused(&Refusal::new(Code::FieldNotApplicable, field, "is set when the mailbox is created")))
        }
        None => Ok(mask),
    }
}

fn password(mask: &Mask, password: String) -> Result<Option<String>, Status> {
    if !mask.has("password") {
        return Ok(None);
    }
    if password.is_empty() {
        return Err(status::refused(&Refusal::new(Code::FieldRequired, "password", "is required")));
    }
    Ok(Some(password))
}

fn check_etag(mailbox: &Mailbox, given: &str) -> Result<(), Status> {
    if given.is_empty() || given == view::etag(mailbox) {
        return Ok(());
    }
    let rule = format!("`{given}` is not current; the mailbox was changed since it was read");
    Err(status::refused(&Refusal::new(Code::EtagStale, "etag", rule)))
}
