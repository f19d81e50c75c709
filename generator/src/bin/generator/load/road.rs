//! The ways to where events go: requests over HTTP, messages and records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Url};

use super::schedule::Request;
use super::sign::Signer;
use super::tally::Tally;
use super::{LoadError, causes};
use crate::args::{Args, Compress, Target, Wrapper};
use crate::carrier::Carrier;
use crate::envelope::{Batch, Failure, judge};
use crate::messages::{Message, pack};

/// How requests get to where they go.
pub(super) enum Road {
    Http(Post),
    Messages(Packer),
}

/// One request, ready to be sent.
pub(super) enum Load {
    Http(Bytes),
    Messages(Vec<Message>),
}

impl Road {
    /// Makes the client.
    pub(super) async fn open(args: &Args) -> Result<Self, LoadError> {
        let failed = |reason: String| LoadError::Carrier {
            to: args.to.to_string(),
            reason,
        };
        if let Target::Http(url) = &args.to {
            let signer = Signer::open(args, url).await;
            return Ok(Self::Http(Post {
                client: client(args, url)?,
                signer: signer.map_err(|error| failed(causes(&*error)))?,
                url: url.clone(),
                wrapper: args.to.is_invocation().then_some(args.wrapper),
                gzip: args.gzip,
                n_retries: args.n_retries(),
            }));
        }
        let carrier = Carrier::open(args).await;
        let carrier = carrier.map_err(|error| failed(causes(&*error)))?;
        Ok(Self::Messages(Packer {
            carrier: carrier.ok_or_else(|| failed("it takes no requests".to_owned()))?,
            n_events_of_message: usize::try_from(args.pack).unwrap_or(1),
            compress: args.compress,
            is_logged: args.log_messages.is_some(),
            n_retries: args.n_retries(),
        }))
    }

    /// What is sent for this request, which is due then.
    pub(super) fn load(&self, request: &Request, due_at_ms: i64) -> Load {
        match self {
            Self::Http(post) => Load::Http(post.payload(request, due_at_ms)),
            Self::Messages(packer) => Load::Messages(packer.pack(request)),
        }
    }

    /// Sends it.
    ///
    /// # Errors
    ///
    /// When not all of it was taken in the end.
    pub(super) async fn send(
        &self,
        load: Load,
        due_at_ms: i64,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        match (self, load) {
            (Self::Http(post), Load::Http(payload)) => post.send_with_retries(payload, tally).await,
            (Self::Messages(packer), Load::Messages(messages)) => {
                packer.send(&messages, due_at_ms, tally).await
            }
            // A load is made by the road that it is sent on.
            _ => Ok(()),
        }
    }
}

/// Messages to a queue or records to a stream.
pub(super) struct Packer {
    carrier: Carrier,
    n_events_of_message: usize,
    compress: Compress,
    is_logged: bool,
    n_retries: u32,
}

impl Packer {
    fn pack(&self, request: &Request) -> Vec<Message> {
        pack(
            &request.ndjson,
            self.n_events_of_message,
            self.compress,
            self.carrier.is_text(),
        )
    }

    async fn send(
        &self,
        messages: &[Message],
        due_at_ms: i64,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let sent = self.carrier.send(messages, self.n_retries).await;
        tally.n_messages += sent.taken.len() as u64;
        tally.n_retries += sent.n_resent;
        if self.is_logged {
            for (position, id) in &sent.taken {
                let n_events = messages[*position].n_events;
                let line =
                    serde_json::json!({ "id": id, "due_ms": due_at_ms, "n_events": n_events });
                tally.message_log.push_str(&line.to_string());
                tally.message_log.push('\n');
            }
        }
        let refused = sent.refused.iter();
        let n_events = refused.map(|&position| messages[position].n_events).sum();
        match sent.reason {
            Some(reason) if n_events > 0 => Err(Failure {
                reason,
                n_events: Some(n_events),
            }),
            _ => Ok(()),
        }
    }
}

/// Requests over HTTP.
pub(super) struct Post {
    client: Client,
    signer: Option<Signer>,
    url: Url,
    wrapper: Option<Wrapper>,
    gzip: bool,
    n_retries: u32,
}

impl Post {
    fn payload(&self, request: &Request, due_at_ms: i64) -> Bytes {
        let batch = Batch {
            ndjson: &request.ndjson,
            request_id: &request.id,
            sent_at_ms: due_at_ms,
            gzip: self.gzip,
        };
        Bytes::from(match self.wrapper {
            Some(wrapper) => batch.invocation(wrapper),
            None => batch.body(),
        })
    }

    /// Sends the payload, and again as often as allowed. What failed in part is not sent again: the rest would be doubled.
    async fn send_with_retries(&self, payload: Bytes, tally: &mut Tally) -> Result<(), Failure> {
        let mut n_left = self.n_retries;
        loop {
            match self.send(payload.clone()).await {
                Err(Failure { n_events: None, .. }) if n_left > 0 => {
                    let wait_ms = 100 << (self.n_retries - n_left).min(6);
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                    n_left -= 1;
                    tally.n_retries += 1;
                }
                result => return result,
            }
        }
    }

    async fn send(&self, payload: Bytes) -> Result<(), Failure> {
        let mut headers = Vec::new();
        if self.wrapper.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        } else {
            headers.push(("content-type", "application/x-ndjson".to_owned()));
            if self.gzip {
                headers.push(("content-encoding", "gzip".to_owned()));
            }
        }
        if let Some(signer) = &self.signer {
            let signature = signer.sign(&self.url, &headers, &payload).await;
            headers.extend(signature.map_err(|error| Failure {
                reason: format!("cannot sign: {}", causes(&*error)),
                n_events: None,
            })?);
        }
        let mut request = self.client.post(self.url.clone()).body(payload);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let failed = |error: reqwest::Error| Failure {
            reason: causes(&error),
            n_events: None,
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let function_error = response.headers().contains_key("x-amz-function-error");
        let answer = response.bytes().await.map_err(failed)?;
        judge(status, function_error, self.wrapper, &answer)
    }
}

/// Whether the name is that of this machine, or below it.
fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost" || host.ends_with(".localhost") // A URL's host is in lower case.
}

fn client(args: &Args, url: &Url) -> Result<Client, LoadError> {
    let mut builder = Client::builder()
        .timeout(Duration::from_secs_f64(args.timeout))
        .pool_max_idle_per_host(usize::from(args.concurrency));
    let host = url.host_str().unwrap_or_default();
    let is_localhost = is_localhost(host);
    if is_localhost || matches!(host, "127.0.0.1" | "[::1]") {
        // What runs on this machine is not reached through a proxy.
        builder = builder.no_proxy();
    }
    if is_localhost {
        // Resolvers need not know names below it (RFC 6761), such as those of LocalStack's Function URLs. Port 0: the URL's.
        let loopback = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ];
        builder = builder.resolve_to_addrs(host, &loopback.map(|address| (address, 0).into()));
    }
    builder
        .build()
        .map_err(|source| LoadError::Client { source })
}
