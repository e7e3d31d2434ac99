//! The pages over HTTP/1.1, with bounds on what a client may take: connections, time and size.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::serve::pages::{Pages, message};

/// Connections at once; more wait until one ends.
const CONNECTIONS: u32 = 512;
/// Time for the head of a request, the wait for it on an open connection included.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of the head of a request.
const HEAD_BYTES: usize = 16 << 10;
/// Time for the body of a request.
const BODY: Duration = Duration::from_secs(10);
/// Bytes of the body of a request; no page needs one.
const BODY_BYTES: usize = 16 << 10;
/// Time after which a connection takes no further request.
const CONNECTION: Duration = Duration::from_secs(60);
/// Time for the response that is under way then, whatever the client does.
const LAST_RESPONSE: Duration = Duration::from_secs(30);
/// Time for responses under way when the program stops.
pub(crate) const STOPPING: Duration = Duration::from_secs(3);
/// The wait after a connection could not be taken, for instance for want of file descriptors.
const REFUSED: Duration = Duration::from_millis(200);

/// Answers requests until told to stop, and lets those under way end.
pub(crate) async fn serve(listener: TcpListener, pages: Arc<Pages>, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS as usize));
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accepted => accepted,
        };
        let Ok((stream, _)) = accepted else {
            sleep(REFUSED).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (pages, stop) = (Arc::clone(&pages), stop.clone());
        tokio::spawn(async move {
            connection(stream, pages, stop).await;
            drop(place);
        });
    }
    drop(listener);
    let _ = timeout(STOPPING, room.acquire_many(CONNECTIONS)).await;
}

/// Serves one connection. It ends in time, whatever the client does or leaves undone.
async fn connection<I>(io: I, pages: Arc<Pages>, mut stop: watch::Receiver<bool>)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let answer = service_fn(move |request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(answer(request, &pages).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(io), answer);
    let mut connection = pin!(connection);
    let patience = tokio::select! {
        // What is wrong with a connection is the client's matter.
        _ = connection.as_mut() => return,
        () = sleep(CONNECTION) => LAST_RESPONSE,
        _ = stop.wait_for(|stop| *stop) => STOPPING,
    };
    connection.as_mut().graceful_shutdown();
    let _ = timeout(patience, connection).await;
}

async fn answer(request: Request<Incoming>, pages: &Pages) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    match timeout(BODY, Limited::new(body, BODY_BYTES).collect()).await {
        Ok(Ok(_)) => pages.answer(&head),
        Ok(Err(_)) => {
            message(StatusCode::PAYLOAD_TOO_LARGE, "the body of the request is too large; no page needs one")
        }
        Err(_) => message(StatusCode::REQUEST_TIMEOUT, "the body of the request did not come in time"),
    }
}

/// A listener at an address.
pub(crate) async fn listen(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    /// A connection to pages with a report of this size, and what stops it.
    fn connected(report: usize) -> (DuplexStream, watch::Sender<bool>) {
        let (client, server) = duplex(4096);
        let (stopper, stop) = watch::channel(false);
        tokio::spawn(connection(server, Arc::new(Pages::sample(report)), stop));
        (client, stopper)
    }

    /// What comes until the server closes the connection, and the seconds until then.
    async fn until_closed(client: &mut DuplexStream) -> (String, u64) {
        let begun = Instant::now();
        let mut all = Vec::new();
        let _ = client.read_to_end(&mut all).await;
        (String::from_utf8_lossy(&all).into_owned(), begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_ends_its_head_is_sent_away() {
        let (mut client, _stop) = connected(0);
        client.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
        let (said, seconds) = until_closed(&mut client).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
        assert_eq!(seconds, HEAD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_asks_is_sent_away() {
        let (mut client, _stop) = connected(0);
        let (_, seconds) = until_closed(&mut client).await;
        assert_eq!(seconds, HEAD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_loses_its_connection() {
        let (mut client, _stop) = connected(1 << 20);
        client.write_all(b"GET /report HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        sleep(CONNECTION + LAST_RESPONSE + Duration::from_secs(1)).await;
        let (said, _) = until_closed(&mut client).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        assert!(said.len() < 64 << 10, "the rest was never sent: {}", said.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_or_a_body_that_is_too_large_is_refused() {
        let (mut client, _stop) = connected(0);
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES));
        let _ = client.write_all(head.as_bytes()).await;
        let (said, _) = until_closed(&mut client).await;
        assert!(said.starts_with("HTTP/1.1 431"), "{said}");
        let (mut client, _stop) = connected(0);
        let length = 2 * BODY_BYTES;
        let head = format!("POST /run HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let _ = client.write_all("x".repeat(length).as_bytes()).await;
        let (said, _) = until_closed(&mut client).await;
        assert!(said.starts_with("HTTP/1.1 413"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let (mut client, _stop) = connected(0);
        client.write_all(b"POST /run HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").await.unwrap();
        let (said, seconds) = until_closed(&mut client).await;
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
        assert_eq!(seconds, BODY.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_connections_that_wait() {
        let (mut client, stop) = connected(0);
        client.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut first = [0; 15];
        client.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        stop.send(true).unwrap();
        let (_, seconds) = until_closed(&mut client).await;
        assert_eq!(seconds, 0);
    }
}
