//! `manifest`: manifests and indexes of registries, and lists of them that are made here.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use serde::Serialize;
use shiplap_model::{Descriptor, Document, Manifest, Reference};
use shiplap_ops::manifest::{
    self, Found, ManifestError,
    list::{self, Facts, Member},
};

use super::inspect::indented;
use crate::face::{Face, Failure, Session};

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum ManifestCommand {
    Annotate(ManifestAnnotate),
    Create(ManifestCreate),
    Inspect(ManifestInspect),
    Push(ManifestPush),
    Rm(ManifestRm),
}

impl ManifestCommand {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        match self {
            Self::Annotate(verb) => verb.run(face),
            Self::Create(verb) => verb.run(face),
            Self::Inspect(verb) => verb.run(face),
            Self::Push(verb) => verb.run(face),
            Self::Rm(verb) => verb.run(face),
        }
    }
}

/// The flag for registries without a certificate.
#[derive(Debug, Args)]
struct Insecure {
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
}

impl Insecure {
    /// A way into ops that trusts the registries of `names` if that was asked for.
    fn session(&self, face: &Face, quiet: bool, names: &[&Reference]) -> Result<Session, Failure> {
        let registries = names.iter().filter(|_| self.insecure);
        let registries: Vec<&str> = registries
            .map(|name| name.repository().registry())
            .collect();
        face.session_trusting(quiet, &registries)
    }
}

/// Add additional information to a local image manifest
#[derive(Debug, Args)]
pub(crate) struct ManifestAnnotate {
    /// Set architecture
    #[arg(long, value_name = "string")]
    arch: Option<String>,
    /// Set operating system
    #[arg(long, value_name = "string")]
    os: Option<String>,
    /// Set operating system feature
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    os_features: Vec<String>,
    /// Set operating system version
    #[arg(long, value_name = "string")]
    os_version: Option<String>,
    /// Set architecture variant
    #[arg(long, value_name = "string")]
    variant: Option<String>,
    #[arg(value_name = "MANIFEST_LIST")]
    list: Reference,
    #[arg(value_name = "MANIFEST")]
    manifest: Reference,
}

impl ManifestAnnotate {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let facts = Facts {
            architecture: self.arch,
            os: self.os,
            os_version: self.os_version,
            os_features: self.os_features,
            variant: self.variant,
        };
        let session = face.session(true)?;
        list::annotate(&session.context, &self.list, &self.manifest, &facts)?;
        Ok(())
    }
}

/// Create a local manifest list for annotating and pushing to a registry
///
/// A manifest that is an index itself gives all that it names.
#[derive(Debug, Args)]
pub(crate) struct ManifestCreate {
    /// Amend an existing manifest list
    #[arg(short, long)]
    amend: bool,
    #[command(flatten)]
    insecure: Insecure,
    #[arg(value_name = "MANIFEST_LIST")]
    list: Reference,
    #[arg(value_name = "MANIFEST", required = true)]
    manifests: Vec<Reference>,
}

impl ManifestCreate {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let names: Vec<&Reference> = self.manifests.iter().collect();
        let session = self.insecure.session(face, true, &names)?;
        list::create(&session.context, &self.list, &self.manifests, self.amend)?;
        let list = self.list.or_latest();
        Ok(face.output.line(&format!("Created manifest list {list}"))?)
    }
}

/// Display an image manifest, or manifest list
#[derive(Debug, Args)]
pub(crate) struct ManifestInspect {
    #[command(flatten)]
    insecure: Insecure,
    /// Output additional info including layers and platform
    #[arg(short, long)]
    verbose: bool,
    /// The manifest; before it, the list that is kept here and has it
    #[arg(value_name = "MANIFEST", num_args = 1..=2, required = true)]
    names: Vec<Reference>,
}

/// What `--verbose` tells of a manifest, in Docker's words.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Verbose<'f> {
    r#ref: String,
    descriptor: Descriptor,
    raw: String,
    #[serde(rename = "SchemaV2Manifest", skip_serializing_if = "Option::is_none")]
    docker: Option<&'f Manifest>,
    #[serde(rename = "OCIManifest", skip_serializing_if = "Option::is_none")]
    oci: Option<&'f Manifest>,
}

impl ManifestInspect {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let names: Vec<&Reference> = self.names.iter().collect();
        let session = self.insecure.session(face, true, &names)?;
        let context = &session.context;
        let text = match self.names.as_slice() {
            [list, member] => {
                let member = list::member_of(context, &list.or_latest(), &member.or_latest())?;
                let found = [self.found(&session, &member)?];
                self.manifest(&session, &found[0], Some(&member.descriptor))?
            }
            [name, ..] => match list::members_of(context, &name.or_latest())? {
                Some(members) => self.list(&session, &members)?,
                None => self.remote(&session, name)?,
            },
            [] => return Ok(()),
        };
        Ok(face.output.line(&text)?)
    }

    /// What the registry has of that name.
    fn remote(&self, session: &Session, name: &Reference) -> Result<String, Failure> {
        let found = manifest::find(&session.context, name)?;
        let Document::Index(index) = &found.document else {
            return self.manifest(session, &found, None);
        };
        if !self.verbose {
            return Ok(indented(index, b"   ")?);
        }
        let parts = manifest::parts(&session.context, &found)?;
        let parts = parts.iter().zip(&index.manifests);
        let told = parts.map(|(part, entry)| self.told(session, part, Some(entry)));
        Ok(indented(&told.collect::<Result<Vec<_>, _>>()?, b"\t")?)
    }

    /// A list that is kept here, as it would be pushed.
    fn list(&self, session: &Session, members: &[Member]) -> Result<String, Failure> {
        if !self.verbose {
            return Ok(indented(&list::index(members), b"   ")?);
        }
        let found: Vec<Found> = members
            .iter()
            .map(|member| self.found(session, member))
            .collect::<Result<_, _>>()?;
        let told = found
            .iter()
            .zip(members)
            .map(|(found, member)| self.told(session, found, Some(&member.descriptor)));
        Ok(indented(&told.collect::<Result<Vec<_>, _>>()?, b"\t")?)
    }

    /// What an entry names, under the name that it was given.
    fn found(&self, session: &Session, member: &Member) -> Result<Found, ManifestError> {
        let repository = member.reference.repository();
        let digest = member.descriptor.digest.clone();
        Ok(Found {
            reference: member.reference.clone(),
            ..manifest::find(&session.context, &repository.at(digest))?
        })
    }

    fn manifest(
        &self,
        session: &Session,
        found: &Found,
        entry: Option<&Descriptor>,
    ) -> Result<String, Failure> {
        if self.verbose {
            return Ok(indented(&self.told(session, found, entry)?, b"\t")?);
        }
        Ok(match &found.document {
            Document::Manifest(manifest) => indented(manifest, b"\t")?,
            Document::Index(index) => indented(index, b"   ")?,
        })
    }

    fn told<'f>(
        &self,
        session: &Session,
        found: &'f Found,
        entry: Option<&Descriptor>,
    ) -> Result<Verbose<'f>, ManifestError> {
        let descriptor = match entry {
            Some(entry) => entry.clone(),
            None => manifest::described(&session.context, found)?,
        };
        let manifest = match &found.document {
            Document::Manifest(manifest) => Some(manifest),
            Document::Index(_) => None,
        };
        let is_docker = found.document.media_type().contains(".docker.");
        Ok(Verbose {
            r#ref: found.reference.to_string(),
            descriptor,
            raw: STANDARD.encode(&found.fetched.bytes),
            docker: manifest.filter(|_| is_docker),
            oci: manifest.filter(|_| !is_docker),
        })
    }
}

/// Push a manifest list to a repository
#[derive(Debug, Args)]
pub(crate) struct ManifestPush {
    #[command(flatten)]
    insecure: Insecure,
    /// Remove the local manifest list after push
    #[arg(short, long)]
    purge: bool,
    #[arg(value_name = "MANIFEST_LIST")]
    list: Reference,
}

impl ManifestPush {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let session = self.insecure.session(face, false, &[&self.list])?;
        let digest = list::push(&session.context, &self.list, self.purge, &*session.teller)?;
        Ok(face.output.line(&digest.to_string())?)
    }
}

/// Delete one or more manifest lists from local storage
#[derive(Debug, Args)]
pub(crate) struct ManifestRm {
    #[arg(value_name = "MANIFEST_LIST", required = true)]
    lists: Vec<Reference>,
}

impl ManifestRm {
    fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        face.each(&self.lists, |list| {
            list::remove(&session.context, list)?;
            Ok(None)
        })
    }
}
