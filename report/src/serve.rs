//! A report over HTTP, drawn again whenever its folder has changed: for watching a run or a comparison
//! at work. Read-only, on this machine alone.
//!
//! Only what a report is made of can be asked for, by exact name, from memory: no path of a request ever
//! reaches the file system.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Cursor;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use maud::html;
use tiny_http::{Header, Method, Request, Response, Server};

use crate::compare::{self, ComparisonFolder, is_comparison};
use crate::error::ReportError;
use crate::read::RunFolder;

/// A folder is read again at most this often.
const READ_EVERY: Duration = Duration::from_secs(2);
/// How soon a stop is noticed.
const WAKE_EVERY: Duration = Duration::from_millis(200);

/// Asks every few seconds whether the page has changed, and loads it again then; what is open and
/// ticked stays so.
const SCRIPT: &str = include_str!("serve/live.js");
const WITHOUT_SCRIPT: &str = "<noscript><meta http-equiv=\"refresh\" content=\"15\"></noscript>";
/// The page may run its own script and ask its own server, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src \
                      'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// A server of one folder's report.
pub struct Live {
    server: Server,
    address: SocketAddr,
    folder: PathBuf,
    content: Option<(Instant, Content)>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("address", &self.address)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// What can be asked for.
#[derive(Debug)]
struct Content {
    status: u16,
    page: String,
    digest: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Live {
    /// Listens on 127.0.0.1; port 0 takes a free one.
    ///
    /// # Errors
    /// [`ReportError::NotARun`] when the folder is neither a run nor a comparison,
    /// [`ReportError::Listen`] when the port cannot be had.
    pub fn bind(folder: &Path, port: u16) -> Result<Self, ReportError> {
        if !is_comparison(folder) {
            RunFolder::read(folder)?;
        }
        let failed = |message: String| ReportError::Listen { port, message };
        let server =
            Server::http((Ipv4Addr::LOCALHOST, port)).map_err(|e| failed(e.to_string()))?;
        let address = server.server_addr().to_ip();
        let address = address.ok_or_else(|| failed("no address was given".to_owned()))?;
        Ok(Self {
            server,
            address,
            folder: folder.to_path_buf(),
            content: None,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is set.
    ///
    /// # Errors
    /// [`ReportError::Listen`] when the listening socket fails. A client that goes away is no error.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), ReportError> {
        while !stop.load(Ordering::Relaxed) {
            let next = self.server.recv_timeout(WAKE_EVERY);
            let next = next.map_err(|e| ReportError::Listen {
                port: self.address.port(),
                message: e.to_string(),
            })?;
            if let Some(request) = next {
                let response = self.answer(&request);
                // The client may have gone.
                let _ = request.respond(response);
            }
        }
        Ok(())
    }

    fn answer(&mut self, request: &Request) -> Response<Cursor<Vec<u8>>> {
        if !is_local(request) {
            return text(403, "this server answers to 127.0.0.1 and localhost only");
        }
        if !matches!(request.method(), Method::Get | Method::Head) {
            return text(405, "read-only: GET and HEAD");
        }
        let path = request.url().split(['?', '#']).next().unwrap_or_default();
        let content = self.content();
        match path.trim_start_matches('/') {
            "" | "report.html" => response(
                content.status,
                "text/html; charset=utf-8",
                content.page.clone().into_bytes(),
            ),
            "digest" => text(200, &content.digest),
            name => match content.files.iter().find(|(known, _)| known == name) {
                Some((name, bytes)) => response(200, kind(name), bytes.clone()),
                None => text(404, "no such file of the report"),
            },
        }
    }

    /// The report as it is now, or as it was a moment ago.
    fn content(&mut self) -> &Content {
        let fresh = |(since, _): &(Instant, Content)| since.elapsed() < READ_EVERY;
        let kept = self.content.take().filter(fresh);
        let folder = &self.folder;
        let kept = kept.unwrap_or_else(|| (Instant::now(), Content::of(folder)));
        &self.content.insert(kept).1
    }
}

impl Content {
    fn of(folder: &Path) -> Self {
        let rendered = if is_comparison(folder) {
            ComparisonFolder::read(folder).map(|f| {
                let rendered = compare::render(&f);
                (rendered.page, rendered.files)
            })
        } else {
            RunFolder::read(folder).map(|run| (crate::html::page(&run), crate::files(&run)))
        };
        let (status, (page, files)) = match rendered {
            Ok(rendered) => (200, rendered),
            Err(error) => (500, (failure(&error), Vec::new())),
        };
        let mut hasher = DefaultHasher::new();
        page.hash(&mut hasher);
        let digest = format!("{:016x}", hasher.finish());
        let script = SCRIPT.replace("DIGEST", &digest);
        let page = page
            .replacen("</head>", &format!("{WITHOUT_SCRIPT}</head>"), 1)
            .replace("</body>", &format!("<script>{script}</script></body>"));
        Self {
            status,
            page,
            digest,
            files,
        }
    }
}

/// A file may be in the middle of being written: the page says so, and goes on asking.
fn failure(error: &ReportError) -> String {
    let page = html! {
        (maud::DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "chipmill report" } link rel="icon" href="data:,"; }
            body { h1 { "The report cannot be drawn now" } p { (error) } }
        }
    };
    page.into_string()
}

/// Whether the request was meant for this server, and not sent by a page from elsewhere whose name was
/// made to point here.
fn is_local(request: &Request) -> bool {
    let host = request.headers().iter().find(|h| h.field.equiv("Host"));
    host.is_some_and(|h| {
        let value = h.value.as_str();
        let name = value.rsplit_once(':').map_or(value, |(name, _)| name);
        name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")
    })
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("csv") => "text/csv; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn text(status: u16, body: &str) -> Response<Cursor<Vec<u8>>> {
    let body = format!("{body}\n").into_bytes();
    response(status, "text/plain; charset=utf-8", body)
}

fn response(status: u16, kind: &str, body: Vec<u8>) -> Response<Cursor<Vec<u8>>> {
    let mut response = Response::from_data(body).with_status_code(status);
    for (name, value) in [
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", POLICY),
        ("Allow", "GET, HEAD"),
    ] {
        // Names and values here are our own, and plain ASCII.
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    response
}
