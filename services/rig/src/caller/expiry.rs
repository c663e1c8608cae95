//! Answers that end with the token or certificate that opened them: a watch must not outlive what its caller was granted.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::Frame;
use postroad_core::fault::Report;
use tokio::time::Sleep;
use tonic::codegen::http::HeaderMap;

use crate::status;

/// A body that is cut at a time, with a status that says why.
pub struct Expiring {
    body: Body,
    end: Pin<Box<Sleep>>,
    why: Report,
    has_ended: bool,
}

impl Expiring {
    /// Cuts `body` after `left`, and says why.
    pub fn new(body: Body, left: Duration, why: Report) -> Self {
        // A certificate may last for thousands of years, which no point in time has room for.
        Self { body, end: Box::pin(tokio::time::sleep(left)), why, has_ended: false }
    }
}

impl HttpBody for Expiring {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if self.end.as_mut().poll(context).is_ready() {
            self.has_ended = true;
            let mut trailers = HeaderMap::new();
            let expired = status::failed(&self.why);
            // A status of ours fits into headers; without it the stream ends all the same.
            let _ = expired.add_header(&mut trailers);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use http_body_util::BodyExt as _;
    use postroad_core::fault::Code;

    use super::*;

    fn why() -> Report {
        Report::new(Code::AccessTokenRefused, "it has expired")
    }

    async fn frames(mut body: Expiring) -> Vec<Frame<Bytes>> {
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap());
        }
        frames
    }

    #[tokio::test]
    async fn a_watch_ends_with_its_token_and_says_why() {
        let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, axum::Error>>());
        let frames = frames(Expiring::new(endless, Duration::ZERO, why())).await;
        let [last] = frames.as_slice() else { panic!("{} frames", frames.len()) };
        let trailers = last.trailers_ref().unwrap();
        assert_eq!(trailers["grpc-status"], (tonic::Code::Unauthenticated as i32).to_string().as_str());
    }

    #[tokio::test]
    async fn what_ends_before_is_as_it_was() {
        let told = futures::stream::iter(["a", "b"]).map(|text| Ok::<_, axum::Error>(Bytes::from(text)));
        let later = Duration::from_secs(3600);
        let frames = frames(Expiring::new(Body::from_stream(told), later, why())).await;
        let text: Vec<_> = frames.iter().filter_map(|frame| frame.data_ref().cloned()).collect();
        assert_eq!(text, ["a", "b"]);
    }
}
