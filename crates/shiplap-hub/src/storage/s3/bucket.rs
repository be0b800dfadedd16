//! Which bucket: `s3://bucket/prefix?endpoint=…&region=…&path_style=…`, and who asks it.
//!
//! Credentials are those of AWS's own programs: variables that begin with `AWS_`. Never shows one.

use std::fmt;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use percent_encoding::percent_decode_str;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest time between two pieces of an answer.
const IDLE: Duration = Duration::from_secs(30);

/// For how long a request is tried anew that failed by a fault that passes. Shorter than clients wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// The region that is told to stores which have none.
const REGION: &str = "us-east-1";

/// Why a text names no bucket, or a bucket can't be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// Not a URL of this kind.
    #[error("it does not begin with s3://, with a bucket behind it")]
    Scheme,
    /// A key that is not one.
    #[error("{0} is not one of endpoint, region, path_style")]
    Key(String),
    /// A value that is not one.
    #[error("path_style={0} is neither true nor false")]
    Flag(String),
    /// What the client of the store says.
    #[error("{0}")]
    Client(String),
}

/// A bucket and where in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    name: String,
    /// What names of objects begin with; empty, or ending in no slash.
    pub(super) prefix: String,
    endpoint: Option<String>,
    region: Option<String>,
    path_style: Option<bool>,
    /// Settings of AWS's own programs, as `aws_access_key_id` and its value.
    settings: Vec<(String, String)>,
}

impl Bucket {
    /// Reads the URL; `settings` are AWS's variables in lower case, with their values.
    ///
    /// # Errors
    /// [`BucketError`].
    pub fn parse(text: &str, settings: Vec<(String, String)>) -> Result<Self, BucketError> {
        let rest = text.strip_prefix("s3://").ok_or(BucketError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() {
            return Err(BucketError::Scheme);
        }
        let mut bucket = Self {
            name: name.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint: None,
            region: None,
            path_style: None,
            settings,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match key {
                "endpoint" => bucket.endpoint = Some(value),
                "region" => bucket.region = Some(value),
                "path_style" => {
                    let flag = value.parse();
                    bucket.path_style = Some(flag.map_err(|_| BucketError::Flag(value))?);
                }
                other => return Err(BucketError::Key(other.to_owned())),
            }
        }
        Ok(bucket)
    }

    /// Whether somebody gave a key for it.
    #[must_use]
    pub fn has_key(&self) -> bool {
        let mut settings = self.settings.iter();
        settings.any(|(name, _)| name == "aws_access_key_id")
    }

    /// Where it is, without a secret.
    pub(super) fn place(&self) -> String {
        let (name, prefix) = (&self.name, &self.prefix);
        if prefix.is_empty() {
            return format!("s3://{name}");
        }
        format!("s3://{name}/{prefix}")
    }

    /// A client of it.
    pub(super) fn client(&self) -> Result<AmazonS3, BucketError> {
        let mut builder = AmazonS3Builder::new();
        for (key, value) in &self.settings {
            // AWS has variables for programs that are not like this one.
            if let Ok(key) = key.parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let said = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
        let region = said(AmazonS3ConfigKey::Region).or(said(AmazonS3ConfigKey::DefaultRegion));
        let region = self.region.clone().or(region);
        let endpoint = said(AmazonS3ConfigKey::S3Endpoint).or(said(AmazonS3ConfigKey::Endpoint));
        let endpoint = self.endpoint.clone().or(endpoint);
        let is_plain = endpoint
            .as_deref()
            .is_some_and(|it| it.starts_with("http://"));
        // A store with an address of its own mostly has no names for its buckets.
        let path_style = self.path_style.unwrap_or(endpoint.is_some());
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let options = ClientOptions::new()
            .with_allow_http(is_plain)
            .with_connect_timeout(CONNECT)
            .with_read_timeout(IDLE)
            // A whole blob may take any time.
            .with_timeout_disabled();
        let retry = RetryConfig {
            backoff: BackoffConfig {
                max_backoff: Duration::from_secs(2),
                ..BackoffConfig::default()
            },
            retry_timeout: PATIENCE,
            ..RetryConfig::default()
        };
        builder
            .with_bucket_name(&self.name)
            .with_region(region.unwrap_or_else(|| REGION.to_owned()))
            .with_virtual_hosted_style_request(!path_style)
            .with_client_options(options)
            .with_retry(retry)
            .build()
            .map_err(|error| BucketError::Client(error.to_string()))
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}
