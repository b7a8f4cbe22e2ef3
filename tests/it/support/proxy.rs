//! A reverse proxy on 127.0.0.1 before an S3 server that spoils some of the requests, as a bad day of the network does, or
//! refuses them and says too much.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It is not done; the answer has this status.
    Status(u16),
    /// It is done, and the answer says that it failed.
    Done(u16),
    /// It is not done; the connection is closed without an answer.
    Reset,
    /// It is done, and the connection is closed without an answer.
    DoneReset,
    /// It is done; half of the answer's body arrives.
    HalfBody,
    /// Nothing happens for so long; then the connection is closed.
    Hang(Duration),
    /// It is done, so much later.
    Slow(Duration),
    /// It is not done; the answer is 403 and repeats the request's first line and headers, as some gateways do.
    Echo,
}

/// The proxy's address, and what it did.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    requests: Arc<AtomicUsize>,
    spoiled: Arc<AtomicUsize>,
    echoed: Arc<Mutex<String>>,
}

type Body = BoxBody<Bytes, std::io::Error>;

fn text(status: u16, text: String) -> Response<Body> {
    let body = Full::from(text).map_err(|never: Infallible| match never {}).boxed();
    Response::builder().status(StatusCode::from_u16(status).unwrap()).body(body).unwrap()
}

fn failure(status: u16) -> Response<Body> {
    let code = if status == 503 { "SlowDown" } else { "InternalError" };
    text(status, format!("<Error><Code>{code}</Code><Message>the test asked for it</Message></Error>"))
}

fn closed() -> std::io::Error {
    std::io::ErrorKind::ConnectionReset.into()
}

impl Proxy {
    /// Spoils each `every`th request, and no two in a row.
    pub(crate) fn start(upstream: &str, every: usize, weather: Weather) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self { endpoint, requests: Arc::default(), spoiled: Arc::default(), echoed: Arc::default() };
        let (own, upstream) = (proxy.clone(), upstream.trim_start_matches("http://").to_owned());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((socket, _)) = listener.accept().await {
                    let (proxy, upstream) = (own.clone(), upstream.clone());
                    tokio::spawn(async move {
                        let service =
                            service_fn(move |request| proxy.clone().answer(request, upstream.clone(), every, weather));
                        // A connection that ends badly is what this is for.
                        let _ =
                            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                    });
                }
            });
        });
        proxy
    }

    /// Requests that came, and those that were spoiled.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.requests.load(Ordering::Relaxed), self.spoiled.load(Ordering::Relaxed))
    }

    /// The request that [`Weather::Echo`] received.
    pub(crate) fn echoed(&self) -> String {
        self.echoed.lock().unwrap().clone()
    }

    async fn answer(
        self,
        request: Request<Incoming>,
        upstream: String,
        every: usize,
        weather: Weather,
    ) -> Result<Response<Body>, std::io::Error> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| closed())?.to_bytes();
        let request = Request::from_parts(head, Full::new(body));
        if !number.is_multiple_of(every) {
            return forward(request, &upstream).await.map(|(head, body)| whole(head, body));
        }
        self.spoiled.fetch_add(1, Ordering::Relaxed);
        match weather {
            Weather::Echo => {
                let mut message = format!("{} {}", request.method(), request.uri());
                for (name, value) in request.headers() {
                    write!(message, "\n{name}: {}", String::from_utf8_lossy(value.as_bytes())).unwrap();
                }
                self.echoed.lock().unwrap().push_str(&message);
                Ok(text(403, format!("<Error><Code>AccessDenied</Code><Message>refused: {message}</Message></Error>")))
            }
            Weather::Status(status) => Ok(failure(status)),
            Weather::Done(status) => forward(request, &upstream).await.map(|_| failure(status)),
            Weather::Reset => Err(closed()),
            Weather::DoneReset => {
                forward(request, &upstream).await?;
                Err(closed())
            }
            Weather::HalfBody => {
                let (head, body) = forward(request, &upstream).await?;
                let half = body.slice(..body.len() / 2);
                let frames = [Ok(Frame::data(half)), Err(closed())];
                Ok(Response::from_parts(head, StreamBody::new(stream::iter(frames)).boxed()))
            }
            Weather::Hang(time) => {
                tokio::time::sleep(time).await;
                Err(closed())
            }
            Weather::Slow(time) => {
                tokio::time::sleep(time).await;
                forward(request, &upstream).await.map(|(head, body)| whole(head, body))
            }
        }
    }
}

fn whole(head: hyper::http::response::Parts, body: Bytes) -> Response<Body> {
    Response::from_parts(head, Full::new(body).map_err(|never: Infallible| match never {}).boxed())
}

async fn forward(
    request: Request<Full<Bytes>>,
    upstream: &str,
) -> Result<(hyper::http::response::Parts, Bytes), std::io::Error> {
    let socket = tokio::net::TcpStream::connect(upstream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.map_err(std::io::Error::other)?.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    Ok((head, body))
}
