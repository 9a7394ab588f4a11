//! An object store on this machine: moto, from the Python registry, in an environment of its own below the
//! target folder.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/remote/requirements.txt");

/// What must never be seen: the secret key of the tests.
pub(crate) const SECRET: &str = "THESECRETKEYOFTHETESTS0123456789";

/// What the server takes for one.
pub(crate) const SIGNATURE: &str = "Authorization: AWS4-HMAC-SHA256 \
    Credential=TESTKEY/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// A running server with one bucket, `bucket`.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one, or says why there is none.
    pub(crate) fn start() -> Result<Self, String> {
        let python = python()?;
        let free = TcpListener::bind(("127.0.0.1", 0)).map_err(|e| e.to_string())?;
        let port = free.local_addr().map_err(|e| e.to_string())?.port();
        drop(free);
        let mut command = Command::new(python);
        command
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().map_err(|e| format!("moto: {e}"))?;
        let server = Self { process, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > Duration::from_secs(60) {
                return Err("moto did not start within a minute".to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server.request("PUT", "/bucket");
        Ok(server)
    }

    /// The body of an answer; the server wants a signature and does not check it.
    pub(crate) fn request(&self, method: &str, path: &str) -> Vec<u8> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).expect("moto listens");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\n\
             {SIGNATURE}\r\nConnection: close\r\n\r\n",
            self.port
        );
        connection.write_all(head.as_bytes()).expect("a request");
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n");
        answer.split_off(end.expect("a head") + 4)
    }

    /// The environment in which the program finds this server, or a proxy of it.
    pub(crate) fn environment(port: u16) -> [(&'static str, String); 6] {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", "TESTKEY".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An interpreter with moto, made on first use and kept; who comes second waits.
fn python() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let needed = fs::read(REQUIREMENTS).map_err(|e| e.to_string())?;
    let version = blake3::hash(&needed).to_hex();
    let folder = target.join(format!("moto-{}", &version[..12]));
    let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
    let lock = File::create(target.join("moto.lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if complete.exists() {
        return Ok(python);
    }
    let run = |command: &mut Command, name: &str| {
        let output = command.output().map_err(|e| format!("{name}: {e}"))?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = text.trim().lines().last().unwrap_or_default().to_owned();
        output
            .status
            .success()
            .then_some(())
            .ok_or(format!("{name} failed: {last}"))
    };
    let mut venv = Command::new("python3");
    run(
        venv.args(["-m", "venv", "--clear"]).arg(&folder),
        "python3 -m venv",
    )?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ]);
    run(pip.arg(REQUIREMENTS), "pip install moto")?;
    fs::write(&complete, b"").map_err(|e| e.to_string())?;
    Ok(python)
}
