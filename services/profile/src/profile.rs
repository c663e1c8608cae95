//! Profiles: the service.

mod changes;
mod draft;
mod locate;
mod test;
mod view;

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use postroad_core::{
    Refusal,
    autodiscover::Pattern,
    fault::Code,
    name::Kind as NameKind,
    owner,
    profile::{Command, Draft, FIELDS, Facts, Owner, Profile, Rules, State},
};
use postroad_journal::{Actor, Executed};
use postroad_proto::profile::v1::{
    ActivateProfileRequest, ActivateProfileResponse, AssignProfileRequest, AssignProfileResponse, CreateProfileRequest,
    CreateProfileResponse, DeactivateProfileRequest, DeactivateProfileResponse, DeleteProfileRequest,
    DeleteProfileResponse, GetProfileRequest, GetProfileResponse, ListProfileChangesRequest,
    ListProfileChangesResponse, ListProfilesRequest, ListProfilesResponse, LocateMailboxRequest, LocateMailboxResponse,
    Profile as WireProfile, ProfileSettings, ReleaseHostRequest, ReleaseHostResponse, ResealPasswordsRequest,
    ResealPasswordsResponse, TestProfileRequest, TestProfileResponse, TestSettingsRequest, TestSettingsResponse,
    UpdateProfileRequest, UpdateProfileResponse, WithdrawHostRequest, WithdrawHostResponse,
    profile_service_server::ProfileService, test_profile_response, test_settings_response,
};
use postroad_rig::{Caller, actor, clock, status, wire};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::{
    mask::Mask,
    names::{Claim, Names},
    people::PersonKind,
    registry::{Registry, check, not_found},
    reseal,
};

/// The fields of the wire that are no settings.
const SECRETS: &[&str] = &["password"];

/// The service.
pub struct ProfileAdministration {
    registry: Arc<Registry>,
}

impl ProfileAdministration {
    /// The service of a registry.
    pub const fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    fn find(&self, caller: &Caller, name: &str) -> Result<Profile, Status> {
        self.registry.profile(caller, "profile", name)
    }

    fn facts(&self, id: Uuid, name: &str) -> Facts {
        let other = self.registry.directory.profile(name).filter(|other| other.id != id && !name.trim().is_empty());
        Facts { now: clock::now(), name_taken: other.is_some(), used_by: Vec::new() }
    }

    /// Fills in what the wire's settings name; `Err` names the field.
    async fn fill(&self, mut draft: Draft, settings: &ProfileSettings, mask: &Mask) -> Result<Draft, Status> {
        draft::apply(&mut draft, settings, mask).map_err(|refusal| status::refused(&refusal))?;
        if mask.has("owner") {
            draft.owner = match settings.owner.trim() {
                "" => None,
                text => Some(self.owner(text).await?),
            };
        }
        Ok(draft)
    }

    async fn owner(&self, text: &str) -> Result<Owner, Status> {
        let unknown = |rule: String| status::refused(&Refusal::new(Code::OwnerUnknown, "owner", rule));
        let person = self.registry.person(PersonKind::User, text).await?;
        let person = person.ok_or_else(|| unknown(format!("`{text}` is no user of the CRM")))?;
        let address = person
            .address
            .ok_or_else(|| unknown(format!("the user {} has no address for the alert mail", person.name)))?;
        let address =
            postroad_core::EmailAddress::parse("owner", &address).map_err(|refusal| status::refused(&refusal))?;
        Ok(Owner { user_id: person.id, name: person.name, address })
    }

    /// A profile of settings that are not stored; what only a stored one needs is filled in.
    async fn unsaved(&self, mut settings: ProfileSettings, stored: Option<Profile>) -> Result<Profile, Status> {
        let password = std::mem::take(&mut settings.password);
        let owner = Owner {
            user_id: Uuid::nil(),
            name: "nobody".to_owned(),
            address: postroad_core::EmailAddress::trusted("nobody@invalid"),
        };
        let mut draft = Draft::default();
        draft::apply(&mut draft, &settings, &Mask::all(FIELDS)).map_err(|refusal| status::refused(&refusal))?;
        draft.owner = Some(owner);
        if draft.name.trim().is_empty() {
            "not saved".clone_into(&mut draft.name);
        }
        let sealed = match self.registry.seal(password)? {
            None => stored.as_ref().and_then(|stored| stored.sealed.clone()),
            sealed => sealed,
        };
        let settings = draft.settings().map_err(|refusal| status::refused(&refusal))?;
        let id = stored.map_or_else(Uuid::nil, |stored| stored.id);
        Ok(Profile { id, settings, sealed, active: true, revision: 0, last_test: None })
    }

    async fn change(
        &self,
        profile: &Profile,
        draft: Draft,
        password: Option<String>,
        etag: &str,
        actor: &Actor,
    ) -> Result<Executed<Rules>, Status> {
        let facts = self.facts(profile.id, &draft.name);
        let sealed = match password {
            Some(password) => self.registry.seal(password)?,
            None => None,
        };
        let name = draft.name.trim().to_owned();
        let command = Command::Change { draft, sealed };
        check_etag(profile, etag)?;
        check::<Rules>(&State::Live(Arc::new(profile.clone())), &command, &facts)?;
        let names = Names { journal: &self.registry.journal, actor, holder: profile.id };
        let renamed = name.to_lowercase() != profile.settings.name.to_lowercase();
        let claims = if renamed { vec![claim(&name)] } else { Vec::new() };
        let changing = self.execute(profile, &command, &facts, etag, actor);
        let executed = self.registry.bearing(&names, &claims, changing).await?;
        if renamed {
            names.release(&[claim(&profile.settings.name)]).await;
        }
        Ok(executed)
    }

    /// Executes a command on a profile that is to be as it was seen, where an etag says so.
    async fn execute(
        &self,
        profile: &Profile,
        command: &Command,
        facts: &Facts,
        etag: &str,
        actor: &Actor,
    ) -> Result<Executed<Rules>, Status> {
        let expected = (!etag.is_empty()).then_some(profile.revision);
        let is_current =
            |state: &State| expected.is_none_or(|revision| state.live().is_some_and(|live| live.revision == revision));
        self.registry.execute::<Rules>(profile.id, actor, command, facts, is_current).await
    }

    fn answer(&self, state: &State) -> Option<WireProfile> {
        state.live().map(|profile| view::profile(profile, &self.registry))
    }
}

#[async_trait]
impl ProfileService for ProfileAdministration {
    type TestProfileStream = Pin<Box<dyn Stream<Item = Result<TestProfileResponse, Status>> + Send>>;
    type TestSettingsStream = Pin<Box<dyn Stream<Item = Result<TestSettingsResponse, Status>> + Send>>;
    type ResealPasswordsStream = Pin<Box<dyn Stream<Item = Result<ResealPasswordsResponse, Status>> + Send>>;
    type LocateMailboxStream = Pin<Box<dyn Stream<Item = Result<LocateMailboxResponse, Status>> + Send>>;

    async fn create_profile(
        &self,
        request: Request<CreateProfileRequest>,
    ) -> Result<Response<CreateProfileResponse>, Status> {
        let actor = actor::of(&request);
        let settings = request.into_inner().settings.unwrap_or_default();
        let draft = self.fill(Draft::default(), &settings, &Mask::all(FIELDS)).await?;
        let id = Uuid::now_v7();
        let facts = self.facts(id, &draft.name);
        let sealed = self.registry.seal(settings.password)?;
        let name = draft.name.trim().to_owned();
        let command = Command::Create { id, draft, sealed };
        check::<Rules>(&State::Absent, &command, &facts)?;
        let names = Names { journal: &self.registry.journal, actor: &actor, holder: id };
        let creating = self.registry.execute::<Rules>(id, &actor, &command, &facts, |_| true);
        let executed = self.registry.bearing(&names, &[claim(&name)], creating).await?;
        Ok(Response::new(CreateProfileResponse { profile: self.answer(&executed.state) }))
    }

    async fn get_profile(&self, request: Request<GetProfileRequest>) -> Result<Response<GetProfileResponse>, Status> {
        let caller = Caller::of(&request);
        let profile = self.find(&caller, &request.into_inner().profile)?;
        Ok(Response::new(GetProfileResponse { profile: Some(view::profile(&profile, &self.registry)) }))
    }

    async fn list_profiles(
        &self,
        request: Request<ListProfilesRequest>,
    ) -> Result<Response<ListProfilesResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let start = wire::page_start(&request.page_token).map_err(|refusal| status::refused(&refusal))?;
        let key = |profile: &Profile| profile.settings.name.to_lowercase();
        let mut rest = self.registry.directory.profiles();
        if !caller.reaches_all() {
            rest.retain(|profile| caller.reaches(owner::of_profile(profile)));
        }
        rest.retain(|profile| start.as_ref().is_none_or(|start| key(profile) > *start));
        let size = wire::page_size(request.page_size);
        let has_more = rest.len() > size;
        rest.truncate(size);
        let next = rest.last().filter(|_| has_more).map(|last| wire::page_token(&key(last)));
        let profiles = rest.iter().map(|profile| view::profile(profile, &self.registry)).collect();
        Ok(Response::new(ListProfilesResponse { profiles, next_page_token: next.unwrap_or_default() }))
    }

    async fn update_profile(
        &self,
        request: Request<UpdateProfileRequest>,
    ) -> Result<Response<UpdateProfileResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let request = request.into_inner();
        let profile = self.find(&caller, &request.profile)?;
        let mask = Mask::read(request.update_mask.as_ref(), &[FIELDS, SECRETS])
            .map_err(|refusal| status::refused(&refusal))?;
        let settings = request.settings.unwrap_or_default();
        let draft = self.fill(Draft::from(&profile.settings), &settings, &mask).await?;
        let password = mask.has("password").then_some(settings.password);
        if password.as_ref().is_some_and(String::is_empty) {
            return Err(status::refused(&Refusal::new(Code::FieldRequired, "password", "is required")));
        }
        let executed = self.change(&profile, draft, password, &request.etag, &actor).await?;
        Ok(Response::new(UpdateProfileResponse { profile: self.answer(&executed.state) }))
    }

    async fn delete_profile(
        &self,
        request: Request<DeleteProfileRequest>,
    ) -> Result<Response<DeleteProfileResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let request = request.into_inner();
        let profile = self.find(&caller, &request.profile)?;
        check_etag(&profile, &request.etag)?;
        let users = self.registry.directory.mailboxes(Some(profile.id));
        let used_by = users.iter().map(|mailbox| mailbox.settings.address.as_str().to_owned()).collect();
        let facts = Facts { now: clock::now(), name_taken: false, used_by };
        self.execute(&profile, &Command::Delete, &facts, &request.etag, &actor).await?;
        let names = Names { journal: &self.registry.journal, actor: &actor, holder: profile.id };
        names.release(&[claim(&profile.settings.name)]).await;
        Ok(Response::new(DeleteProfileResponse {}))
    }

    async fn assign_profile(
        &self,
        request: Request<AssignProfileRequest>,
    ) -> Result<Response<AssignProfileResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let request = request.into_inner();
        let profile = self.find(&caller, &request.profile)?;
        let mut draft = Draft::from(&profile.settings);
        if request.owner.trim().is_empty() {
            return Err(status::refused(&Refusal::new(Code::FieldRequired, "owner", "is required")));
        }
        draft.owner = Some(self.owner(&request.owner).await?);
        let executed = self.change(&profile, draft, None, &request.etag, &actor).await?;
        Ok(Response::new(AssignProfileResponse { profile: self.answer(&executed.state) }))
    }

    async fn activate_profile(
        &self,
        request: Request<ActivateProfileRequest>,
    ) -> Result<Response<ActivateProfileResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let profile = self.find(&caller, &request.into_inner().profile)?;
        let facts = self.facts(profile.id, "");
        let executed = self.execute(&profile, &Command::Activate, &facts, "", &actor).await?;
        Ok(Response::new(ActivateProfileResponse { profile: self.answer(&executed.state) }))
    }

    async fn deactivate_profile(
        &self,
        request: Request<DeactivateProfileRequest>,
    ) -> Result<Response<DeactivateProfileResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let profile = self.find(&caller, &request.into_inner().profile)?;
        let facts = self.facts(profile.id, "");
        let executed = self.execute(&profile, &Command::Deactivate, &facts, "", &actor).await?;
        Ok(Response::new(DeactivateProfileResponse { profile: self.answer(&executed.state) }))
    }

    async fn test_profile(
        &self,
        request: Request<TestProfileRequest>,
    ) -> Result<Response<Self::TestProfileStream>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let request = request.into_inner();
        let profile = self.find(&caller, &request.profile)?;
        let mailbox = address(&request.email_address)?;
        let told = test::run(Arc::clone(&self.registry), profile, mailbox, Some(actor)).map(|told| {
            let report = match told {
                test::Told::Step(step) => test_profile_response::Report::Step(*step),
                test::Told::Outcome(outcome) => test_profile_response::Report::Outcome(*outcome),
            };
            Ok(TestProfileResponse { report: Some(report) })
        });
        Ok(Response::new(Box::pin(told)))
    }

    async fn test_settings(
        &self,
        request: Request<TestSettingsRequest>,
    ) -> Result<Response<Self::TestSettingsStream>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let mailbox = address(&request.email_address)?;
        let stored = match request.profile.trim() {
            "" => None,
            name => Some(self.find(&caller, name)?),
        };
        let profile = self.unsaved(request.settings.unwrap_or_default(), stored).await?;
        let told = test::run(Arc::clone(&self.registry), profile, mailbox, None).map(|told| {
            let report = match told {
                test::Told::Step(step) => test_settings_response::Report::Step(*step),
                test::Told::Outcome(outcome) => test_settings_response::Report::Outcome(*outcome),
            };
            Ok(TestSettingsResponse { report: Some(report) })
        });
        Ok(Response::new(Box::pin(told)))
    }

    async fn release_host(
        &self,
        request: Request<ReleaseHostRequest>,
    ) -> Result<Response<ReleaseHostResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let request = request.into_inner();
        let profile = self.find(&caller, &request.profile)?;
        let host = Pattern::parse("host", &request.host).map_err(|refusal| status::refused(&refusal))?;
        let mut draft = Draft::from(&profile.settings);
        draft.released_hosts.push(host.to_string());
        let executed = self.change(&profile, draft, None, "", &actor).await?;
        Ok(Response::new(ReleaseHostResponse { profile: self.answer(&executed.state) }))
    }

    async fn withdraw_host(
        &self,
        request: Request<WithdrawHostRequest>,
    ) -> Result<Response<WithdrawHostResponse>, Status> {
        let (caller, actor) = (Caller::of(&request), actor::of(&request));
        let request = request.into_inner();
        let profile = self.find(&caller, &request.profile)?;
        let mut draft = Draft::from(&profile.settings);
        let wanted = request.host.trim().to_lowercase();
        let before = draft.released_hosts.len();
        draft.released_hosts.retain(|host| *host != wanted);
        if draft.released_hosts.len() == before {
            return Err(not_found("host", "released host", &request.host));
        }
        let executed = self.change(&profile, draft, None, "", &actor).await?;
        Ok(Response::new(WithdrawHostResponse { profile: self.answer(&executed.state) }))
    }

    async fn locate_mailbox(
        &self,
        request: Request<LocateMailboxRequest>,
    ) -> Result<Response<Self::LocateMailboxStream>, Status> {
        let caller = Caller::of(&request);
        let told = locate::run(&self.registry, &caller, request.into_inner()).await?;
        Ok(Response::new(Box::pin(told)))
    }

    async fn list_profile_changes(
        &self,
        request: Request<ListProfileChangesRequest>,
    ) -> Result<Response<ListProfileChangesResponse>, Status> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let profile = self.find(&caller, &request.profile)?;
        changes::list(&self.registry.journal, profile.id, &request).await.map(Response::new)
    }

    async fn reseal_passwords(
        &self,
        request: Request<ResealPasswordsRequest>,
    ) -> Result<Response<Self::ResealPasswordsStream>, Status> {
        let actor = actor::of(&request);
        Ok(Response::new(Box::pin(reseal::run(Arc::clone(&self.registry), actor))))
    }
}

fn address(text: &str) -> Result<Option<postroad_core::EmailAddress>, Status> {
    match text.trim() {
        "" => Ok(None),
        text => postroad_core::EmailAddress::parse("email_address", text)
            .map(Some)
            .map_err(|refusal| status::refused(&refusal)),
    }
}

fn claim(name: &str) -> Claim {
    Claim { kind: NameKind::ProfileName, name: name.to_owned() }
}

/// An etag is the profile's revision.
pub fn etag(profile: &Profile) -> String {
    profile.revision.to_string()
}

fn check_etag(profile: &Profile, given: &str) -> Result<(), Status> {
    if given.is_empty() || given == etag(profile) {
        return Ok(());
    }
    let rule = format!("`{given}` is not current; the profile was changed since it was read");
    Err(status::refused(&Refusal::new(Code::EtagStale, "etag", rule)))
}
