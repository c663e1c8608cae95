//! Claims on unique names: taken before what bears them is written, so that two administrators at two replicas cannot both
//! get one, and given back when that fails.

use jiff::SignedDuration;
use postroad_core::{
    Aggregate as _, Refusal, mailbox,
    name::{Command, Facts, Kind, Rules, claim_id},
    profile,
};
use postroad_journal::{Actor, ExecuteError, Journal};
use postroad_rig::clock;
use uuid::Uuid;

/// How long a claim stands although nothing bears the name: longer than any command takes. After it a crash is assumed.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// A name that is to be borne.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What kind of name.
    pub kind: Kind,
    /// The name.
    pub name: String,
}

/// The names that somebody bears.
pub struct Names<'a> {
    /// The journal.
    pub journal: &'a Journal,
    /// Who asks.
    pub actor: &'a Actor,
    /// Who bears them.
    pub holder: Uuid,
}

impl Names<'_> {
    /// Claims names; gives those that were not the holder's before. Refused, it has given back what it took.
    pub async fn claim(
        &self,
        claims: &[Claim],
        taken: impl Fn(Kind) -> Refusal + Send + Sync,
    ) -> Result<Vec<Claim>, ExecuteError<Refusal>> {
        let mut won = Vec::new();
        for claim in claims {
            match self.claim_one(claim, &taken).await {
                Ok(true) => won.push(claim.clone()),
                Ok(false) => {}
                Err(error) => {
                    self.release(&won).await;
                    return Err(error);
                }
            }
        }
        Ok(won)
    }

    /// Gives names back. What cannot be given back now is found abandoned later.
    pub async fn release(&self, claims: &[Claim]) {
        for claim in claims {
            let command = Command::Release { holder: self.holder };
            let released =
                self.journal.execute::<Rules>(claim_id(claim.kind, &claim.name), self.actor, &command, |_| Facts {
                    holder_lives: true,
                });
            if let Err(error) = released.await {
                tracing::warn!(%error, "a name is given back later");
            }
        }
    }

    async fn claim_one(
        &self,
        claim: &Claim,
        taken: &(impl Fn(Kind) -> Refusal + Send + Sync),
    ) -> Result<bool, ExecuteError<Refusal>> {
        let id = claim_id(claim.kind, &claim.name);
        let mut known = self.journal.load::<Rules>(id).await?;
        let bearer = known.state;
        let holder_lives = match bearer {
            Some(bearer) if bearer != self.holder => self.is_borne(claim, bearer, id).await?,
            _ => false,
        };
        let command = Command::Claim { holder: self.holder };
        let kind = claim.kind;
        let executed = self.journal.execute_on(id, self.actor, &mut known, |state| {
            // Whoever came between is alive.
            let facts = Facts { holder_lives: holder_lives || *state != bearer };
            Rules::decide(state, &command, &facts).map_err(|_| taken(kind))
        });
        Ok(!executed.await?.events.is_empty())
    }

    /// Whether a bearer has the name, or may be about to.
    async fn is_borne(&self, claim: &Claim, bearer: Uuid, id: Uuid) -> Result<bool, ExecuteError<Refusal>> {
        let bears = match claim.kind {
            Kind::ProfileName => {
                let profile = self.journal.load::<profile::Rules>(bearer).await?.state;
                profile.live().is_some_and(|profile| claim_id(claim.kind, &profile.settings.name) == id)
            }
            Kind::MailboxAddress => {
                let mailbox = self.journal.load::<mailbox::Administration>(bearer).await?.state;
                mailbox.live().is_some_and(|mailbox| claim_id(claim.kind, mailbox.settings.address.as_str()) == id)
            }
            // Tokens are the CRM's.
            Kind::TrackingToken => false,
            Kind::MailboxRegarding => {
                let mailbox = self.journal.load::<mailbox::Administration>(bearer).await?.state;
                mailbox.live().is_some_and(|mailbox| match mailbox.settings.kind {
                    mailbox::Kind::User(person) | mailbox::Kind::Queue(person) => {
                        claim_id(claim.kind, &person.to_string()) == id
                    }
                    mailbox::Kind::Forward => false,
                })
            }
        };
        if bears {
            return Ok(true);
        }
        let mut after = 0;
        let mut last = None;
        loop {
            let commits = self.journal.history::<Rules>(id, after, 100).await?;
            let Some(commit) = commits.last() else { break };
            after = commit.sequence;
            last = Some(commit.at);
        }
        Ok(last.is_some_and(|at| clock::now().duration_since(at).abs() < PATIENCE))
    }
}
