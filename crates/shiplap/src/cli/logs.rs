//! `logs` and `top`.

use std::io::Write as _;

use clap::Args;
use jiff::Timestamp;
use shiplap_ops::{
    container::{
        self,
        logs::{self, Entry, LogsOptions, Stream},
        top,
    },
    when,
};

use crate::{
    face::{Face, Failure},
    table,
};

/// Fetch the logs of a container
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Show extra details provided to logs
    #[arg(long, hide = true)]
    details: bool,
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
    #[arg(long, value_name = "string")]
    since: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(
        short = 'n',
        long,
        value_name = "string",
        default_value = "all",
        allow_negative_numbers = true
    )]
    tail: String,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
    #[arg(long, value_name = "string")]
    until: Option<String>,
    /// Container whose logs are wanted
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Logs {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let now = Timestamp::now();
        let time = |text: &Option<String>| {
            let parsed = text.as_deref().map(|text| when::parse(text, now));
            parsed.transpose()
        };
        let options = LogsOptions {
            follow: self.follow,
            // As Docker: what is no number is all.
            tail: self.tail.parse().ok(),
            since: time(&self.since)?,
            until: time(&self.until)?,
        };
        let session = face.session(true)?;
        let container = container::find(&session.context, &self.container)?;
        let (mut data, mut errors) = (face.output.stream(), face.output.error_stream());
        let mut take = |entry: &Entry| {
            let text = if self.timestamps {
                format!("{} {}", entry.time, entry.log)
            } else {
                entry.log.clone()
            };
            match entry.stream {
                Stream::Stdout => data.write_all(text.as_bytes())?,
                Stream::Stderr => errors.write_all(text.as_bytes())?,
            }
            if self.follow { data.flush() } else { Ok(()) }
        };
        Ok(logs::logs(&container, &options, &mut take)?)
    }
}

/// Display the running processes of a container
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Container whose processes are wanted, and options of ps(1)
    #[arg(
        value_names = ["CONTAINER", "ps OPTIONS"],
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    call: Vec<String>,
}

impl Top {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let mut call = self.call.into_iter();
        let name = call.next().unwrap_or_default();
        let options: Vec<String> = call.collect();
        let session = face.session(true)?;
        let container = container::find(&session.context, &name)?;
        let listing = top::top(&session.context, &container, &options)?;
        let rows = std::iter::once(&listing.titles).chain(&listing.rows);
        let lines: String = rows.map(|row| row.join("\t") + "\n").collect();
        Ok(face.output.data(&table::align(&lines))?)
    }
}
