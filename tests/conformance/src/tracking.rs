//! What people do by hand: categories and folders.

use postroad_proto::crm::v1::{ImposeRegardingRequest, RecordKind, UntrackEmailRequest};
use uuid::Uuid;

use crate::{Trouble, ensure, stage::Stage};

pub async fn untrack(stage: &Stage) -> Result<(), Trouble> {
    let message = stage.message("untracked", 1);
    let (id, _) = stage.promote(&message).await?;
    let mailbox_id = Uuid::from_u128(1).to_string();
    for _ in 0..2 {
        let request = UntrackEmailRequest { email_id: id.clone(), mailbox_id: mailbox_id.clone() };
        stage.crm().untrack_email(request).await?;
    }
    let email = stage.email(&id).await?;
    let source = email.sources.iter().find(|source| source.mailbox_id == mailbox_id);
    ensure(source.is_some_and(|source| source.is_untracked), || "the mailbox still tracks it".to_owned())?;
    stage.promote(&message).await?;
    let tracked = stage.email(&id).await?.sources.iter().any(|source| !source.is_untracked);
    ensure(tracked, || "it cannot be tracked again".to_owned())
}

pub async fn impose(stage: &Stage) -> Result<(), Trouble> {
    let account = stage.record(RecordKind::Account, &stage.address("folder-account")).await?;
    let folder_id = stage.id("folder");
    let mut inside = stage.message("inside", 7);
    if let Some(source) = &mut inside.header.source {
        source.folder_id.clone_from(&folder_id);
    }
    let (inside, _) = stage.promote(&inside).await?;
    let (outside, _) = stage.promote(&stage.message("outside", 7)).await?;
    let request =
        ImposeRegardingRequest { mailbox_id: Uuid::from_u128(7).to_string(), folder_id, regarding_id: account.clone() };
    let first = stage.crm().impose_regarding(request.clone()).await?.into_inner().changed;
    let second = stage.crm().impose_regarding(request).await?.into_inner().changed;
    ensure((first, second) == (1, 0), || format!("{first} were changed, then {second}"))?;
    let (inside, outside) = (stage.email(&inside).await?.regarding_id, stage.email(&outside).await?.regarding_id);
    ensure(inside == account && outside.is_empty(), || format!("inside regards {inside:?}, outside {outside:?}"))
}
