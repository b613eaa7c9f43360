//! One request and its answer on their way through the SDK, whichever client carries them.
//!
//! Invariants: an answer that arrived whole is kept as it came, whatever the SDK thinks of it; without one it is known
//! whether the request can have left this machine.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    self, BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef, Input, Output,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;

use super::wire::{Answer, Request};

/// How far a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reached {
    /// It did not leave the SDK: no credentials, no signature.
    #[default]
    Nothing,
    /// It was handed to the HTTP client, which found no connection.
    Transport,
    /// A connection carried it, at least in part.
    Connection,
}

/// What is known of an exchange.
#[derive(Debug, Default)]
struct Known {
    answer: Option<Answer>,
    reached: Reached,
}

/// One request and what became of it.
#[derive(Clone, Default)]
pub(super) struct Exchange {
    known: Arc<Mutex<Known>>,
}

/// A request that was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unanswered {
    /// How far it came.
    pub reached: Reached,
    /// Whether it was waited for in vain.
    pub timed_out: bool,
    /// What the SDK says, cause by cause.
    pub words: String,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange") // its content may hold secrets
    }
}

impl Exchange {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an answer.
    pub fn answered(&self, response: &HttpResponse) {
        let headers = response.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let answer = Answer {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response.body().bytes().unwrap_or_default().to_vec(),
        };
        self.known().answer = Some(answer);
    }

    /// The answer, or why there is none.
    pub fn end<T, E: Error + 'static>(
        &self,
        result: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<Answer, Unanswered> {
        let mut known = self.known();
        if let Some(answer) = known.answer.take() {
            return Ok(answer);
        }
        let (timed_out, words) = match &result {
            Ok(_) => (false, "the SDK kept the answer to itself".to_owned()),
            Err(error) => {
                let timed_out = match error {
                    SdkError::TimeoutError(_) => true,
                    SdkError::DispatchFailure(failure) => failure.is_timeout(),
                    _ => false,
                };
                (timed_out, causes(error))
            }
        };
        // The head of an answer came, its body did not.
        let reached = match &result {
            Err(SdkError::ResponseError(_) | SdkError::ServiceError(_)) => Reached::Connection,
            _ => known.reached,
        };
        Err(Unanswered { reached, timed_out, words })
    }

    /// What goes along with a call of an SDK client: it puts the request in place, and keeps the answer.
    pub fn escort(&self, request: Request) -> Escort {
        Escort { exchange: self.clone(), request: Mutex::new(Some(request)) }
    }
}

/// An error and its causes, each said once.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !words.iter().any(|said| said.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    // Words that only name a layer, as long as there are others.
    const LAYERS: [&str; 7] = [
        "dispatch failure",
        "response error",
        "service error",
        "unhandled error",
        "io error",
        "client error (Connect)",
        "client error (SendRequest)",
    ];
    if let Some(at) = words.iter().position(|words| !LAYERS.contains(&&**words)) {
        words.drain(..at);
    }
    words.join(": ")
}

/// Goes along with one call.
pub(super) struct Escort {
    exchange: Exchange,
    request: Mutex<Option<Request>>,
}

impl fmt::Debug for Escort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Escort")
    }
}

impl Intercept for Escort {
    fn name(&self) -> &'static str {
        "BelayEscort"
    }

    fn modify_before_serialization(
        &self,
        _: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = self.request.lock().unwrap_or_else(PoisonError::into_inner).take();
        let request = request.ok_or("a request is carried once")?;
        cfg.interceptor_state().store_put(SharedRequestSerializer::new(Written(request)));
        cfg.interceptor_state().store_put(SharedResponseDeserializer::new(Kept(self.exchange.clone())));
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.exchange.known().reached = Reached::Transport;
        Ok(())
    }

    fn read_after_attempt(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if cfg.load::<CaptureSmithyConnection>().is_some_and(|connection| connection.get().is_some()) {
            self.exchange.known().reached = Reached::Connection;
        }
        Ok(())
    }
}

/// Gives the SDK a request that is written already.
struct Written(Request);

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written")
    }
}

impl SerializeRequest for Written {
    fn serialize_input(&self, _: Input, _: &mut ConfigBag) -> Result<HttpRequest, BoxError> {
        let Request { method, uri, headers, body } = &self.0;
        let mut request = HttpRequest::new(SdkBody::from(body.clone()));
        request.set_method(method)?;
        request.set_uri(uri.as_str())?;
        request.headers_mut().insert("content-length", body.len().to_string());
        for (name, value) in headers {
            request.headers_mut().try_insert(name.clone(), value.clone())?;
        }
        Ok(request)
    }
}

/// Keeps the answer as it came. What it gives the SDK instead is nobody's business: every operation has its own types.
#[derive(Debug)]
struct Kept(Exchange);

impl DeserializeResponse for Kept {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        _: &ConfigBag,
    ) -> Result<Output, OrchestratorError<context::Error>> {
        self.0.answered(response);
        Err(OrchestratorError::other("the answer is kept as it came"))
    }
}
