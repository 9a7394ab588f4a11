//! What an object store's error means, and what to do about it, in one line.
//!
//! The answer's body is never shown: it may repeat parts of a signature. Its code is.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// An error as the callers know them: `NotFound` for an object that is not there, `TimedOut` for what may
/// pass when it is tried again later, `PermissionDenied`, `InvalidInput` for a wrong address or setting.
pub(super) fn explain(error: &Error) -> io::Error {
    let text = error.to_string();
    let code = code_of(&text);
    let known = code.and_then(by_code).or_else(|| by_text(&text));
    let (kind, what) = known.unwrap_or_else(|| by_kind(error, &text));
    let told = [code, status_of(&text)].into_iter().flatten().next();
    match told {
        Some(told) => io::Error::new(kind, format!("{what} ({told})")),
        None => io::Error::new(kind, what),
    }
}

/// Whether a body was cut short, which the client tries again by itself only where it has an `ETag`.
pub(super) fn is_interrupted(error: &Error) -> bool {
    matches!(error, Error::Generic { .. })
        && status_of(&error.to_string()).is_none()
        && http_kind(error).is_some_and(|kind| kind != HttpErrorKind::Connect)
}

const ACCOUNT: &str = "check the credentials in the environment (s3: AWS_ACCESS_KEY_ID and \
                       AWS_SECRET_ACCESS_KEY, with AWS_SESSION_TOKEN where they are temporary, or AWS_PROFILE; gs: \
                       GOOGLE_APPLICATION_CREDENTIALS; az: AZURE_STORAGE_ACCOUNT_NAME and \
                       AZURE_STORAGE_ACCOUNT_KEY)";

fn by_code(code: &str) -> Option<(ErrorKind, String)> {
    let (kind, what) = match code {
        "NoSuchBucket" | "ContainerNotFound" => (
            ErrorKind::InvalidInput,
            "there is no such bucket; check its name, and the endpoint if one is set \
             (AWS_ENDPOINT_URL)"
                .to_owned(),
        ),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => (
            ErrorKind::PermissionDenied,
            "the credentials have expired; get new ones and set them in the environment".to_owned(),
        ),
        "RequestTimeTooSkewed" => (
            ErrorKind::PermissionDenied,
            "the clock of this machine is wrong by too much for a signature; set it".to_owned(),
        ),
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "AuthenticationFailed" => (
            ErrorKind::PermissionDenied,
            format!("the credentials are not accepted; {ACCOUNT}"),
        ),
        "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException" => another_region(),
        "AccessDenied" | "AuthorizationPermissionMismatch" | "AllAccessDisabled" => no_permission(),
        _ => return None,
    };
    Some((kind, what))
}

fn by_text(text: &str) -> Option<(ErrorKind, String)> {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if has(&["incorrectly configured region", "301 Moved"]) {
        return Some(another_region());
    }
    // The last resort for credentials is the metadata service, whose address the client does not tell.
    if has(&[
        "169.254.169.254",
        "metadata.google.internal",
        // The last resort is the metadata service, whose address the client does not tell.
        "PUT REDACTED",
        "token request",
        "Missing account",
    ]) {
        let what = format!(
            "no credentials were found; {ACCOUNT}; for a public s3 bucket set AWS_SKIP_SIGNATURE=true"
        );
        return Some((ErrorKind::PermissionDenied, what));
    }
    if has(&["URL scheme is not allowed"]) {
        let what = "the endpoint is plain http, which is refused unless AWS_ALLOW_HTTP=true";
        return Some((ErrorKind::InvalidInput, what.to_owned()));
    }
    if has(&["non-partial response"]) {
        let what = "this server does not serve parts of objects (range requests); copy the store \
                    to a folder, or serve it by another server";
        return Some((ErrorKind::Unsupported, what.to_owned()));
    }
    None
}

fn by_kind(error: &Error, text: &str) -> (ErrorKind, String) {
    let owned = |kind, what: &str| (kind, what.to_owned());
    let status = status_of(text).unwrap_or_default();
    match error {
        Error::NotFound { .. } => owned(ErrorKind::NotFound, "there is no such object"),
        Error::AlreadyExists { .. } => owned(ErrorKind::AlreadyExists, "it is there already"),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => no_permission(),
        Error::NotImplemented { .. } | Error::NotSupported { .. } => {
            owned(ErrorKind::Unsupported, "this object store cannot do that")
        }
        _ if status.starts_with("503") || status.starts_with("429") => owned(
            ErrorKind::TimedOut,
            "the object store is busy and stayed so; try again later, with fewer processes at once",
        ),
        _ if status.starts_with('5') => owned(
            ErrorKind::TimedOut,
            "the object store failed and went on failing; try again later",
        ),
        _ => match http_kind(error) {
            Some(HttpErrorKind::Connect) => owned(
                ErrorKind::TimedOut,
                "the object store cannot be reached; check the address, the network and the proxy",
            ),
            Some(HttpErrorKind::Timeout) => owned(
                ErrorKind::TimedOut,
                "the object store did not answer in time; try again later",
            ),
            Some(_) => owned(
                ErrorKind::TimedOut,
                "the connection to the object store broke again and again; try again later",
            ),
            None => (ErrorKind::Other, first_line(text)),
        },
    }
}

fn no_permission() -> (ErrorKind, String) {
    let what = "no permission; reading needs to get and list objects, writing also to put and delete \
                them (and where listing is not allowed, an object that is not there looks like this)";
    (ErrorKind::PermissionDenied, what.to_owned())
}

fn another_region() -> (ErrorKind, String) {
    let what = "the bucket lies in another region; set AWS_REGION to it";
    (ErrorKind::InvalidInput, what.to_owned())
}

/// The code in an answer's body: `<Code>NoSuchKey</Code>`.
fn code_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain = code.len() < 60 && code.chars().all(|c| c.is_ascii_alphanumeric());
    plain.then_some(code)
}

/// The status of an answer, such as `503 Service Unavailable`.
fn status_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("status code: ")?;
    let end = rest.find([':', '\n']).unwrap_or(rest.len());
    Some(rest[..end].trim()).filter(|s| s.len() < 60)
}

fn http_kind(error: &Error) -> Option<HttpErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        cause = error.source();
    }
    None
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    #[test]
    fn every_usual_failure_has_one_line_with_its_remedy_and_no_body() {
        for (text, kind, remedy) in [
            (
                "404 Not Found: <Code>NoSuchBucket</Code>",
                ErrorKind::InvalidInput,
                "check its name",
            ),
            (
                "403 Forbidden: <Code>AccessDenied</Code>",
                ErrorKind::PermissionDenied,
                "needs to get",
            ),
            (
                "400 Bad Request: <Code>ExpiredToken</Code>",
                ErrorKind::PermissionDenied,
                "get new ones",
            ),
            (
                "403 Forbidden: <Code>RequestTimeTooSkewed</Code>",
                ErrorKind::PermissionDenied,
                "set it",
            ),
            (
                "403 Forbidden: <Code>SignatureDoesNotMatch</Code>",
                ErrorKind::PermissionDenied,
                "AWS_SECRET",
            ),
            (
                "400 Bad Request: <Code>AuthorizationHeaderMalformed</Code>",
                ErrorKind::InvalidInput,
                "AWS_REGION",
            ),
            (
                "301 Moved Permanently: ",
                ErrorKind::InvalidInput,
                "AWS_REGION",
            ),
            (
                "503 Slow Down: <Code>SlowDown</Code>",
                ErrorKind::TimedOut,
                "try again later",
            ),
            (
                "500 Internal Server Error: ",
                ErrorKind::TimedOut,
                "try again later",
            ),
        ] {
            let body = "<StringToSign>secret</StringToSign>\n<x>";
            let error = explain(&generic(&format!(
                "Server returned non-2xx status code: {text}{body}"
            )));
            let line = error.to_string();
            assert_eq!(error.kind(), kind, "{line}");
            assert!(line.contains(remedy), "{line}");
            assert!(!line.contains('\n') && !line.contains("secret"), "{line}");
        }
    }
}
