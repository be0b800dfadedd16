//! Why a request is not done: facts, and how they are told in the distribution API's words.
//!
//! What goes wrong inside is logged, and told outside as no more than that.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use shiplap_model::Digest;
use shiplap_model::digest::DigestError;
use shiplap_model::distribution::{ErrorBody, code};
use shiplap_model::manifest::DocumentError;
use shiplap_model::reference::Problem;

use crate::database::DatabaseError;
use crate::storage::StorageError;

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing at this path")]
    NoRoute,
    #[error("this path does not take {method}")]
    Method {
        method: Method,
        allowed: Vec<Method>,
    },
    #[error("sign in to do this")]
    Challenge {
        /// What the `WWW-Authenticate` header says.
        challenge: String,
    },
    #[error("the name or the password is wrong")]
    Credential { challenge: String },
    #[error("sign in first")]
    SignIn {
        /// The page that leads back here.
        location: String,
    },
    #[error("the form is too old or no page of this hub made it; load the page again")]
    Form,
    #[error("show the page: {0}")]
    Template(#[from] askama::Error),
    #[error("you may not do this")]
    Denied,
    #[error("{0}")]
    Name(#[from] Problem),
    #[error("there is no such repository")]
    NameUnknown,
    #[error("there is no user and no organisation {namespace:?}")]
    NamespaceUnknown { namespace: String },
    #[error("there is no blob {0}")]
    BlobUnknown(Digest),
    #[error("there is no manifest {0}")]
    ManifestUnknown(String),
    #[error("{0}")]
    Manifest(#[from] DocumentError),
    #[error("{0}")]
    ManifestSaid(String),
    #[error("it names {} blobs or manifests that the repository does not have", .0.len())]
    Parts(Vec<Digest>),
    #[error("there is no such upload")]
    UploadUnknown,
    #[error("the upload is written to by another request")]
    UploadBusy,
    #[error("the chunk does not begin at byte {offset}, where the upload ends")]
    Range { offset: u64, location: String },
    #[error("the range lies outside of the blob's {size_bytes} bytes")]
    Unsatisfiable { size_bytes: u64 },
    #[error("{0}")]
    Digest(#[from] DigestError),
    #[error("{said} bytes were announced, {found} came")]
    Size { said: u64, found: u64 },
    #[error("the body ended too early")]
    Broken,
    #[error("the body is longer than {limit} bytes")]
    Long { limit: u64 },
    #[error("{what} in this repository needs it")]
    Needed { what: &'static str },
    #[error("{namespace} would hold more than the {quota_bytes} bytes it may")]
    Quota { namespace: String, quota_bytes: u64 },
    #[error("{name} is {reason}")]
    Parameter {
        name: &'static str,
        reason: &'static str,
    },
    #[error("too many requests; try again later")]
    Busy,
    #[error("the upstream registry can't be asked: {message}")]
    Upstream { message: String },
    /// One refusal of several requests that waited for the same thing.
    #[error("{0}")]
    Shared(Arc<Refusal>),
    #[error("{0}")]
    Database(#[from] DatabaseError),
    #[error("{0}")]
    Storage(#[from] StorageError),
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute
            | Self::NameUnknown
            | Self::NamespaceUnknown { .. }
            | Self::BlobUnknown(_)
            | Self::ManifestUnknown(_)
            | Self::UploadUnknown => StatusCode::NOT_FOUND,
            Self::Method { .. } | Self::Needed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Challenge { .. } | Self::Credential { .. } => StatusCode::UNAUTHORIZED,
            Self::SignIn { .. } => StatusCode::SEE_OTHER,
            Self::Denied | Self::Form | Self::Quota { .. } => StatusCode::FORBIDDEN,
            Self::Name(_)
            | Self::Manifest(_)
            | Self::ManifestSaid(_)
            | Self::Parts(_)
            | Self::Digest(_)
            | Self::Size { .. }
            | Self::Broken
            | Self::Parameter { .. } => StatusCode::BAD_REQUEST,
            Self::UploadBusy => StatusCode::CONFLICT,
            Self::Range { .. } | Self::Unsatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Long { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Upstream { .. } => StatusCode::BAD_GATEWAY,
            Self::Shared(refusal) => refusal.status(),
            Self::Database(DatabaseError::Full { .. })
            | Self::Storage(
                StorageError::Full { .. } | StorageError::Database(DatabaseError::Full { .. }),
            ) => StatusCode::INSUFFICIENT_STORAGE,
            _ if self.is_unavailable() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Storage(StorageError::Overtaken { .. }) => StatusCode::CONFLICT,
            Self::Database(_) | Self::Storage(_) | Self::Template(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Challenge { .. } | Self::Credential { .. } | Self::SignIn { .. } => {
                code::UNAUTHORIZED
            }
            Self::Form | Self::Denied | Self::Quota { .. } => code::DENIED,
            Self::Name(_) => code::NAME_INVALID,
            Self::NameUnknown | Self::NamespaceUnknown { .. } => code::NAME_UNKNOWN,
            Self::BlobUnknown(_) => code::BLOB_UNKNOWN,
            Self::ManifestUnknown(_) => code::MANIFEST_UNKNOWN,
            Self::Manifest(_) | Self::ManifestSaid(_) => code::MANIFEST_INVALID,
            Self::Parts(_) => code::MANIFEST_BLOB_UNKNOWN,
            Self::UploadUnknown => code::BLOB_UPLOAD_UNKNOWN,
            Self::UploadBusy | Self::Range { .. } | Self::Unsatisfiable { .. } | Self::Broken => {
                code::BLOB_UPLOAD_INVALID
            }
            Self::Digest(_) => code::DIGEST_INVALID,
            Self::Size { .. } | Self::Long { .. } => code::SIZE_INVALID,
            Self::Busy => code::TOOMANYREQUESTS,
            Self::Shared(refusal) => refusal.code(),
            Self::NoRoute
            | Self::Method { .. }
            | Self::Needed { .. }
            | Self::Upstream { .. }
            | Self::Parameter { .. } => code::UNSUPPORTED,
            _ if self.is_unavailable() => "UNAVAILABLE",
            Self::Storage(StorageError::Overtaken { .. }) => code::BLOB_UPLOAD_INVALID,
            Self::Database(_) | Self::Storage(_) | Self::Template(_) => "UNKNOWN",
        }
    }

    /// Whether something that the hub needs can't be had now, but may be later.
    fn is_unavailable(&self) -> bool {
        match self {
            Self::Shared(refusal) => refusal.is_unavailable(),
            Self::Database(error) | Self::Storage(StorageError::Database(error)) => {
                matches!(error, DatabaseError::Unavailable { .. })
            }
            Self::Storage(error) => matches!(error, StorageError::Unavailable { .. }),
            _ => false,
        }
    }

    /// Whether it is a fault of the hub's own.
    pub(crate) fn is_internal(&self) -> bool {
        match self {
            Self::Shared(refusal) => refusal.is_internal(),
            Self::Storage(StorageError::Overtaken { .. }) => false,
            _ => matches!(
                self,
                Self::Database(_) | Self::Storage(_) | Self::Template(_)
            ),
        }
    }

    /// What is told outside.
    pub(crate) fn message(&self) -> String {
        match self {
            _ if self.status() == StatusCode::INSUFFICIENT_STORAGE => {
                "there is no room left".to_owned()
            }
            _ if self.is_unavailable() => {
                "the hub can't reach its database or storage now; try again".to_owned()
            }
            _ if self.is_internal() => "something went wrong inside".to_owned(),
            _ => self.to_string(),
        }
    }

    /// How it is told.
    pub(crate) fn response(&self) -> Response {
        let (status, code) = (self.status(), self.code());
        let mut body = ErrorBody::of(code, self.message());
        if let (Self::Parts(digests), Some(entry)) = (self, body.errors.first_mut()) {
            let digests = digests.iter().take(100).map(Digest::as_str);
            entry.detail = digests.collect::<Vec<_>>().into();
        }
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// Headers that tell the rest of it.
    pub(crate) fn headers(&self) -> Vec<(HeaderName, String)> {
        match self {
            Self::Challenge { challenge } | Self::Credential { challenge } => {
                vec![(header::WWW_AUTHENTICATE, challenge.clone())]
            }
            Self::SignIn { location } => vec![(header::LOCATION, location.clone())],
            Self::Method { allowed, .. } => {
                let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
                vec![(header::ALLOW, allowed.join(", "))]
            }
            Self::Range { offset, location } => vec![
                (header::RANGE, format!("0-{}", offset.saturating_sub(1))),
                (header::LOCATION, location.clone()),
            ],
            Self::Unsatisfiable { size_bytes } => {
                vec![(header::CONTENT_RANGE, format!("bytes */{size_bytes}"))]
            }
            Self::Busy => vec![(header::RETRY_AFTER, "5".to_owned())],
            _ if self.is_unavailable() => vec![(header::RETRY_AFTER, "5".to_owned())],
            _ => Vec::new(),
        }
    }
}
