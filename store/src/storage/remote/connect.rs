//! From an address to a client. Credentials come from the environment and the profile files, as each provider's
//! tools read them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::address::{Address, Scheme};
use super::explain::explain;
use super::profile;
use super::traffic::{FAILED, REQUESTS, count};

/// Tries after the first one; with the pauses between them about six seconds, at most a minute.
const RETRIES: usize = 5;

pub(super) fn client(address: &Address) -> io::Result<Arc<dyn ObjectStore>> {
    install_tls();
    let profile = match address.scheme {
        Scheme::S3 => profile::settings()?,
        _ => Vec::new(),
    };
    built(address, profile).map_err(|e| explain(&e))
}

fn aws(profile: Vec<(AmazonS3ConfigKey, String)>) -> AmazonS3Builder {
    let set = |builder: AmazonS3Builder, (key, value)| builder.with_config(key, value);
    profile.into_iter().fold(AmazonS3Builder::from_env(), set)
}

fn built(
    address: &Address,
    profile: Vec<(AmazonS3ConfigKey, String)>,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let name = &*address.name;
    Ok(match address.scheme {
        Scheme::S3 => Arc::new(
            aws(profile)
                .with_bucket_name(name)
                .with_retry(retries())
                .with_http_connector(Counting)
                .build()?,
        ),
        Scheme::Gs => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(name)
                .with_retry(retries())
                .with_http_connector(Counting)
                .build()?,
        ),
        Scheme::Az => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_container_name(name)
                .with_retry(retries())
                .with_http_connector(Counting)
                .build()?,
        ),
        Scheme::Http => Arc::new(
            HttpBuilder::new()
                .with_url(&address.place)
                .with_retry(retries())
                .with_client_options(ClientOptions::new().with_allow_http(true))
                .with_http_connector(Counting)
                .build()?,
        ),
        Scheme::Memory => {
            return Err(object_store::Error::NotSupported {
                source: "memory:// is for tests".into(),
            });
        }
    })
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(4),
            base: 2.0,
        },
        max_retries: RETRIES,
        retry_timeout: Duration::from_secs(60),
    }
}

/// Without a provider of its own, rustls would panic at the first connection. A program that has chosen
/// one already keeps it.
fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// The usual connector, whose requests are counted.
#[derive(Debug)]
struct Counting;

#[derive(Debug)]
struct Counted(HttpClient);

impl HttpConnector for Counting {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Counted(inner)))
    }
}

impl HttpService for Counted {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            count(&REQUESTS, 1);
            let answer = self.0.execute(request).await;
            let may_pass = match &answer {
                Ok(answer) => answer.status().is_server_error() || answer.status() == 429,
                Err(_) => true,
            };
            count(&FAILED, usize::from(may_pass));
            answer
        })
    }
}
