//! The pages over HTTP/1.1, with bounds on what a client may take: connections, time and size.
//!
//! Clients that take all connections and never finish a request, or never read the answer, must not keep the kubelet from
//! `/healthz`: where there is no room, the connection that has waited longest for its request gives way, and where all have
//! asked, the oldest.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::time::{sleep, timeout};

use crate::serve::pages::{Pages, message};

/// Connections at once; one more takes the place of the one that has waited longest.
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

/// A connection as it is seen where there is no room.
#[derive(Default)]
struct Client {
    /// Whether a whole request has come.
    has_asked: AtomicBool,
    give_way: Notify,
}

/// The connections, the oldest first.
#[derive(Default)]
struct Clients(VecDeque<Weak<Client>>);

impl Clients {
    /// Takes one in; where there are as many as may be, another one gives way. Those are counted that were let in, be their
    /// tasks begun or not.
    fn enter(&mut self, most: u32) -> Arc<Client> {
        self.0.retain(|client| client.strong_count() > 0);
        if self.0.len() >= most as usize {
            self.make_room();
        }
        let client = Arc::default();
        self.0.push_back(Arc::downgrade(&client));
        client
    }

    /// Sends away the oldest one that never asked for anything; the oldest one where all have.
    fn make_room(&mut self) {
        let asked =
            |client: &Weak<Client>| client.upgrade().is_none_or(|c| c.has_asked.load(Ordering::Relaxed));
        let at = self.0.iter().position(|client| !asked(client)).unwrap_or(0);
        if let Some(client) = self.0.remove(at).and_then(|client| client.upgrade()) {
            client.give_way.notify_one();
        }
    }
}

/// Answers requests until told to stop, and lets those under way end.
pub(crate) async fn serve(listener: TcpListener, pages: Arc<Pages>, stop: watch::Receiver<bool>) {
    serve_at_once(CONNECTIONS, listener, pages, stop).await;
}

async fn serve_at_once(
    connections: u32,
    listener: TcpListener,
    pages: Arc<Pages>,
    mut stop: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(connections as usize));
    let mut clients = Clients::default();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            sleep(REFUSED).await;
            continue;
        };
        let client = clients.enter(connections);
        let _ = stream.set_nodelay(true);
        let (pages, stop, room) = (Arc::clone(&pages), stop.clone(), Arc::clone(&room));
        // Not here: nobody could come in until the one that gives way is gone.
        tokio::spawn(async move {
            if let Some(_place) = place(&room, &client).await {
                connection(stream, pages, stop, client).await;
            }
        });
    }
    drop(listener);
    let _ = timeout(STOPPING, room.acquire_many(connections)).await;
}

/// Room for a connection, as soon as there is some; none where it is sent away before.
async fn place<'r>(room: &'r Semaphore, client: &Client) -> Option<SemaphorePermit<'r>> {
    tokio::select! {
        biased;
        place = room.acquire() => place.ok(),
        () = client.give_way.notified() => None,
    }
}

/// Serves one connection. It ends in time, whatever the client does or leaves undone.
async fn connection<I>(io: I, pages: Arc<Pages>, mut stop: watch::Receiver<bool>, client: Arc<Client>)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let asking = Arc::clone(&client);
    let answer = service_fn(move |request| {
        let (pages, client) = (Arc::clone(&pages), Arc::clone(&asking));
        async move { Ok::<_, Infallible>(answer(request, &pages, &client).await) }
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
        () = client.give_way.notified() => return,
        () = sleep(CONNECTION) => LAST_RESPONSE,
        _ = stop.wait_for(|stop| *stop) => STOPPING,
    };
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = timeout(patience, connection) => {}
        () = client.give_way.notified() => {}
    }
}

async fn answer(request: Request<Incoming>, pages: &Pages, client: &Client) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    match timeout(BODY, Limited::new(body, BODY_BYTES).collect()).await {
        Ok(Ok(_)) => {
            client.has_asked.store(true, Ordering::Relaxed);
            pages.answer(&head)
        }
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
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;

    /// A connection to pages with a report of this size, and what stops it.
    fn connected(report: usize) -> (DuplexStream, watch::Sender<bool>) {
        connected_as(report, Arc::default())
    }

    fn connected_as(report: usize, seen: Arc<Client>) -> (DuplexStream, watch::Sender<bool>) {
        let (client, server) = duplex(4096);
        let (stopper, stop) = watch::channel(false);
        tokio::spawn(connection(server, Arc::new(Pages::sample(report)), stop, seen));
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
    async fn a_client_that_does_not_read_gives_way_also_in_its_last_response() {
        let seen = Arc::new(Client::default());
        let (mut client, _stop) = connected_as(1 << 20, Arc::clone(&seen));
        client.write_all(b"GET /report HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        sleep(CONNECTION + Duration::from_secs(1)).await;
        seen.give_way.notify_one();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(Arc::strong_count(&seen), 1, "its connection is gone");
        let (said, seconds) = until_closed(&mut client).await;
        assert!(said.starts_with("HTTP/1.1 200") && said.len() < 64 << 10, "{}", said.len());
        assert_eq!(seconds, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_room_is_sent_away_too() {
        let room = Semaphore::new(1);
        let (first, second) = (Client::default(), Client::default());
        let taken = place(&room, &first).await;
        assert!(taken.is_some());
        second.give_way.notify_one();
        assert!(place(&room, &second).await.is_none());
        drop(taken);
        assert!(place(&room, &Client::default()).await.is_some());
    }

    /// Four at once are served, with a report of so many bytes, while somebody asks.
    async fn while_serving(report: usize, asking: impl AsyncFnOnce(SocketAddr)) {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stopper, stop) = watch::channel(false);
        let serving = serve_at_once(4, listener, Arc::new(Pages::sample(report)), stop);
        tokio::select! {
            () = serving => unreachable!("nobody stops it"),
            () = asking(address) => {}
        }
    }

    /// A connection over which the probe was answered.
    async fn healthy(address: SocketAddr) -> TcpStream {
        let mut probe = TcpStream::connect(address).await.unwrap();
        let mut first = [0; 15];
        probe.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        probe.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        probe
    }

    /// They take all connections, ask for a report, and do not read it.
    #[tokio::test]
    async fn who_does_not_read_keeps_nobody_out() {
        while_serving(32 << 20, async |address| {
            let mut slow = Vec::new();
            for _ in 0..12 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET /report HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
                slow.push(stream);
            }
            healthy(address).await;
        })
        .await;
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

    /// No client ends its request, and nobody waits for a time-out.
    #[tokio::test]
    async fn who_never_asks_gives_way_to_who_does() {
        while_serving(0, async |address| {
            let mut patient = healthy(address).await;
            let mut slow = Vec::new();
            for _ in 0..8 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET /healthz HTTP/1.1\r\nX-Slow: ").await.unwrap();
                slow.push(stream);
            }
            healthy(address).await;
            // Who has asked before is still there.
            patient
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut rest = String::new();
            patient.read_to_string(&mut rest).await.unwrap();
            assert!(rest.contains("HTTP/1.1 200 OK"), "{rest}");
        })
        .await;
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
