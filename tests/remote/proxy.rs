//! A network that is slow and breaks: between the program and an object store on this machine.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::server::SIGNATURE;

/// What becomes of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Pass,
    /// The answer breaks off after so many bytes.
    Cut(usize),
    /// This answer, status line and body, in place of the store's.
    Answer(&'static str, &'static str),
    /// As if the store did not know of conditions.
    WithoutCondition,
    /// As if the store answered everybody: the server wants a signature and does not check it.
    Signed,
    /// As Google's, whose protocol is that of S3 but for the word for "only if there is none"; unsigned.
    Google,
}

type Judge = dyn Fn(u64, &str) -> Fate + Send + Sync;

/// Passes requests on, one a connection.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    requests: AtomicU64,
    latency: Mutex<Duration>,
    judge: Mutex<Box<Judge>>,
    ended: AtomicBool,
}

impl Proxy {
    /// In front of a server on this machine; at first a fast and faithful one.
    pub(crate) fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            upstream,
            requests: AtomicU64::new(0),
            latency: Mutex::new(Duration::ZERO),
            judge: Mutex::new(Box::new(|_, _| Fate::Pass)),
            ended: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if of_thread.ended.load(SeqCst) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                // A broken connection is what the client is to live with.
                std::thread::spawn(move || drop(shared.serve(client)));
            }
        });
        Self { port, shared }
    }

    /// Decides over requests by their number, from 0, and their first line.
    pub(crate) fn judge(&self, judge: impl Fn(u64, &str) -> Fate + Send + Sync + 'static) {
        *self.shared.judge.lock().expect("a judge") = Box::new(judge);
        self.shared.requests.store(0, SeqCst);
    }

    /// How long every answer takes longer from now on.
    pub(crate) fn latency(&self, latency: Duration) {
        *self.shared.latency.lock().expect("a duration") = latency;
    }

    /// Requests since the last judge came.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let request = read_request(&mut client)?;
        let end = request.iter().position(|&b| b == b'\r').unwrap_or(0);
        let line = String::from_utf8_lossy(&request[..end]).into_owned();
        let number = self.requests.fetch_add(1, SeqCst);
        let fate = (self.judge.lock().expect("a judge"))(number, &line);
        let latency = *self.latency.lock().expect("a duration");
        std::thread::sleep(latency);
        if let Fate::Answer(status, body) = fate {
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n");
            // HEAD has no body, whatever its length.
            let body = if line.starts_with("HEAD") { "" } else { body };
            return write!(client, "{head}Connection: close\r\n\r\n{body}");
        }
        let mut upstream = TcpStream::connect(("127.0.0.1", self.upstream))?;
        upstream.write_all(&closing(&request, &fate))?;
        let mut left = match fate {
            Fate::Cut(bytes) => bytes,
            _ => usize::MAX,
        };
        let mut piece = vec![0; 1 << 16];
        loop {
            let n = upstream.read(&mut piece)?;
            let now = n.min(left);
            client.write_all(&piece[..now])?;
            left -= now;
            if n == 0 || left == 0 {
                return client.shutdown(Shutdown::Both);
            }
        }
    }
}

/// Head and body of a request; the client says how long the body is.
fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let n = client.read(&mut piece)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&piece[..n]);
        let Some(head) = head_end(&request) else {
            continue;
        };
        let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
        let length = text.lines().find_map(|l| l.strip_prefix("content-length:"));
        let length = length.map_or(0, |n| n.trim().parse().unwrap_or(0));
        if request.len() >= head + length {
            return Ok(request);
        }
    }
}

fn head_end(request: &[u8]) -> Option<usize> {
    let end = request.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some(end + 4)
}

/// The request with a head that asks for one answer on this connection.
fn closing(request: &[u8], fate: &Fate) -> Vec<u8> {
    let conditional = *fate != Fate::WithoutCondition;
    let head = head_end(request).unwrap_or(request.len());
    let text = String::from_utf8_lossy(&request[..head]);
    let is_open = matches!(fate, Fate::Signed | Fate::Google);
    let keep = |line: &&str| {
        let line = line.to_lowercase();
        if is_open && line.starts_with("authorization:") {
            return false;
        }
        let is_condition = line.starts_with("if-none-match:");
        !line.is_empty() && !line.starts_with("connection:") && (conditional || !is_condition)
    };
    let translated = |line| match line {
        "x-goog-if-generation-match: 0" if *fate == Fate::Google => "If-None-Match: *",
        line => line,
    };
    let lines = text.split("\r\n").filter(keep);
    let mut lines: Vec<&str> = lines.map(translated).collect();
    if is_open {
        lines.push(SIGNATURE);
    }
    lines.push("Connection: close\r\n\r\n");
    [lines.join("\r\n").as_bytes(), &request[head..]].concat()
}
