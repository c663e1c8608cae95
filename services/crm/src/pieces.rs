//! The stream of a promotion: a header, then the pieces of its contents as one run of bytes, cut at the contents' sizes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use futures::{Stream, StreamExt as _};
use postroad_core::{Refusal, email::Content, fault::Code};
use postroad_proto::crm::v1::{PromoteEmailRequest, PromoteHeader, promote_email_request::Part as Sent};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

use crate::content::hexadecimal;

/// The largest piece.
const PIECE: usize = 1024 * 1024;

/// Why a stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It is not what the contract says; sending it again is of no use.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It broke off.
    #[error("the stream broke off")]
    Lost(#[source] Box<tonic::Status>),
}

/// The requests of a promotion.
pub struct Pieces<S> {
    requests: S,
    rest: Bytes,
}

impl<S: Stream<Item = Result<PromoteEmailRequest, tonic::Status>> + Unpin> Pieces<S> {
    /// Reads the header.
    pub async fn begin(mut requests: S) -> Result<(PromoteHeader, Self), Broken> {
        let first = requests.next().await.transpose().map_err(|status| Broken::Lost(Box::new(status)))?;
        match first.and_then(|request| request.part) {
            Some(Sent::Header(header)) => Ok((header, Self { requests, rest: Bytes::new() })),
            Some(Sent::Piece(_)) => {
                Err(Refusal::new(Code::FieldRequired, "header", "must come before any piece").into())
            }
            None => Err(Refusal::new(Code::FieldRequired, "header", "is required").into()),
        }
    }

    /// What follows a header that was read already.
    pub const fn after_header(requests: S) -> Self {
        Self { requests, rest: Bytes::new() }
    }

    /// A reader of the next content, which fails unless the content has its size and digest.
    pub fn next<'a>(&'a mut self, field: &'a str, content: &'a Content) -> Part<'a, S> {
        Part { pieces: self, field, content, read: 0, digest: Sha256::new(), is_verified: false, broken: None }
    }

    /// Reads what is not wanted, so that the sender is not cut off.
    pub async fn drain(&mut self) -> Result<(), Broken> {
        while let Some(request) = self.requests.next().await {
            request.map_err(|status| Broken::Lost(Box::new(status)))?;
        }
        Ok(())
    }

    /// Checks that nothing follows the last content.
    pub async fn end(mut self) -> Result<(), Broken> {
        let has_more = std::future::poll_fn(|context| self.poll_fill(context)).await?;
        if has_more {
            return Err(Refusal::new(Code::ValueOutOfRange, "piece", "is more content than the header names").into());
        }
        Ok(())
    }

    /// Makes `rest` non-empty; gives false at the stream's end.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, Broken>> {
        while self.rest.is_empty() {
            let request = match ready!(self.requests.poll_next_unpin(context)) {
                Some(Ok(request)) => request,
                Some(Err(status)) => return Poll::Ready(Err(Broken::Lost(Box::new(status)))),
                None => return Poll::Ready(Ok(false)),
            };
            let refused = |code, field: &str, rule: &str| Poll::Ready(Err(Refusal::new(code, field, rule).into()));
            match request.part {
                Some(Sent::Piece(piece)) if piece.len() > PIECE => {
                    return refused(Code::ValueOutOfRange, "piece", "is larger than 1 MiB");
                }
                Some(Sent::Piece(piece)) => self.rest = piece,
                Some(Sent::Header(_)) => return refused(Code::FieldNotApplicable, "header", "comes once, first"),
                None => return refused(Code::FieldRequired, "part", "is neither header nor piece"),
            }
        }
        Poll::Ready(Ok(true))
    }
}

/// One content of the stream.
pub struct Part<'a, S> {
    pieces: &'a mut Pieces<S>,
    field: &'a str,
    content: &'a Content,
    read: u64,
    digest: Sha256,
    is_verified: bool,
    broken: Option<Broken>,
}

impl<S> Part<'_, S> {
    /// Why reading failed, if it did. What reads cannot carry it.
    pub fn broken(self) -> Option<Broken> {
        self.broken
    }

    fn fail(&mut self, broken: impl Into<Broken>) -> Poll<io::Result<()>> {
        self.broken = Some(broken.into());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the content is not what the header says")))
    }

    fn verify(&mut self) -> Poll<io::Result<()>> {
        if !self.is_verified && hexadecimal(&std::mem::take(&mut self.digest).finalize()) != self.content.digest {
            let rule = "is not the SHA-256 of the content that was sent";
            return self.fail(Refusal::new(Code::ValueOutOfRange, format!("{}.digest", self.field), rule));
        }
        self.is_verified = true;
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream<Item = Result<PromoteEmailRequest, tonic::Status>> + Unpin> AsyncRead for Part<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.content.size - self.read;
        if left == 0 {
            return self.verify();
        }
        match ready!(self.pieces.poll_fill(context)) {
            Ok(true) => {}
            Ok(false) => {
                let rule = format!("is {} bytes; {} were sent", self.content.size, self.read);
                let field = format!("{}.size", self.field);
                return self.fail(Refusal::new(Code::ValueOutOfRange, field, rule));
            }
            Err(broken) => return self.fail(broken),
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.remaining());
        let length = self.pieces.rest.len().min(most);
        let taken = self.pieces.rest.split_to(length);
        self.digest.update(&taken);
        self.read += length as u64;
        buffer.put_slice(taken.chunk());
        Poll::Ready(Ok(()))
    }
}
