//! One connection: requests are read whole within their limits, handed over, and answered.
//!
//! What a caller does wrong is answered with 4xx where it can still be answered. A refused caller may
//! still be sending, and closing at once would take the refusal from it: its rest is read away first.

use std::{convert::Infallible, future::poll_fn, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, sink},
    time::timeout,
};

use super::{Answer, Call, Handler, Limits, response, watched::Watched};
use crate::testbed::{
    caller::{Visit, Who},
    doors::Place,
};

/// How long a refused caller may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);
/// What a client of HTTP/2 says first (RFC 9113, 3.4); hyper answers it with nothing.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// What serves a connection.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) limits: Limits,
    handler: Handler,
}

impl Service {
    pub(super) fn new(limits: Limits, handler: Handler) -> Self {
        Self { limits, handler }
    }

    /// Serves a connection to its end.
    pub(super) async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        arrival: (Who, Option<Visit>),
        place: Place,
    ) {
        let place = Arc::new(place);
        let stream = Watched::new(stream, self.limits.stall, Arc::clone(&place));
        let service = service_fn(|request| Box::pin(self.answer(request, arrival, &place)));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(self.limits.head_bytes)
            .max_headers(self.limits.headers)
            .serve_connection(TokioIo::new(stream), service);
        let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
        let parts = connection.into_parts();
        let mut stream = parts.io.into_inner();
        let unanswered = match ended {
            Err(error) if error.is_timeout() && !parts.read_buf.is_empty() => {
                Some(StatusCode::REQUEST_TIMEOUT)
            }
            Err(_) if parts.read_buf.starts_with(HTTP2_PREFACE) => {
                Some(StatusCode::HTTP_VERSION_NOT_SUPPORTED)
            }
            _ => None,
        };
        // How a caller leaves is its own affair.
        let _left = timeout(FAREWELL, farewell(&mut stream, unanswered)).await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        (who, visit): (Who, Option<Visit>),
        place: &Place,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        if head.method == Method::CONNECT {
            return Ok(refusal(StatusCode::METHOD_NOT_ALLOWED));
        }
        let body = match self.read(body).await {
            Ok(body) => body,
            Err(status) => return Ok(refusal(status)),
        };
        place.keep();
        match (self.handler)(&Call { who, visit, head, body }) {
            Answer::Says(response) => Ok(response),
            Answer::Silence => {
                place.wait();
                std::future::pending().await
            }
        }
    }

    /// The whole body, or what its sender is told.
    async fn read(&self, body: Incoming) -> Result<Bytes, StatusCode> {
        let most = self.limits.body_bytes;
        if body.size_hint().lower() > most as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        match timeout(self.limits.body, Limited::new(body, most).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        }
    }
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = response(status, Bytes::new());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn farewell(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    status: Option<StatusCode>,
) -> std::io::Result<()> {
    if let Some(status) = status {
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
    }
    stream.shutdown().await?;
    copy(stream, &mut sink()).await?;
    Ok(())
}
