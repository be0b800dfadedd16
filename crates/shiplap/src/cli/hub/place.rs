//! Where a hub's things lie: its folder, its database, its bucket.

use std::path::PathBuf;

use clap::Args;
use shiplap_hub::admin::Admin;
use shiplap_hub::{Address, Bucket, Place};

use crate::face::Failure;
use crate::settings::Environment;

/// Which hub.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// Folder of the hub's database and blobs
    #[arg(long, value_name = "dir")]
    data: Option<PathBuf>,
    /// PostgreSQL database instead of one in the folder, as `postgres://user@host/database`
    ///
    /// SHIPLAP_HUB_DATABASE says it, too, and PGPASSWORD the password: nobody else sees those.
    #[arg(long, value_name = "url")]
    database: Option<String>,
}

impl Data {
    /// Where the hub is; its blobs are in the folder.
    pub(super) fn place(&self) -> Result<Place, Failure> {
        let environment = Environment::of_process();
        let database = self.database.clone().or(environment.hub_database());
        let password = environment.postgres_password();
        let address = |text: String| {
            Address::parse(&text, password.as_deref()).map_err(|error| {
                // The text may hold a password.
                Failure::plain(format!("failed to use the database's URL: {error}"))
            })
        };
        let database = database.map(address).transpose()?;
        let data = match &self.data {
            Some(folder) => folder.clone(),
            None => environment.hub_folder()?,
        };
        Ok(Place {
            data,
            database,
            storage: None,
        })
    }

    pub(super) fn admin(&self) -> Result<Admin, Failure> {
        Ok(Admin::open(&self.place()?)?)
    }
}

/// Where blobs are.
#[derive(Debug, Args)]
pub(crate) struct Blobs {
    /// Bucket for blobs instead of the folder, as `s3://bucket/prefix?endpoint=https://host`
    ///
    /// With region=NAME and path_style=true or false in the query, too. Credentials are those of
    /// AWS's own programs (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …); SHIPLAP_HUB_STORAGE says the
    /// bucket, too.
    #[arg(long, value_name = "url")]
    storage: Option<String>,
}

impl Blobs {
    pub(super) fn bucket(&self) -> Result<Option<Bucket>, Failure> {
        let environment = Environment::of_process();
        let Some(text) = self.storage.clone().or(environment.hub_storage()) else {
            return Ok(None);
        };
        let bucket = Bucket::parse(&text, Environment::of_aws());
        let bucket = bucket.map_err(|error| {
            Failure::plain(format!("failed to use the storage {text:?}: {error}"))
        });
        bucket.map(Some)
    }
}
