//! `login` and `logout`.

use clap::Args;
use shiplap_ops::login::{self, Credential, Kept, Secret};

use crate::face::{Face, Failure};

/// Authenticate to a registry
///
/// Defaults to Docker Hub if no server is specified.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Password or Personal Access Token (PAT)
    #[arg(short, long, value_name = "string", conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Take the Password or Personal Access Token (PAT) from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Username
    #[arg(short, long, value_name = "string")]
    username: Option<String>,
    /// Registry
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

impl Login {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let session = face.session(true)?;
        let server = self.server.as_deref();
        let credential = self.credential(face, &session.context)?;
        let kept = login::login(&session.context, server, &credential)?;
        if let Kept::File(path) = kept {
            let path = path.display();
            face.output.warn(&format!(
                "your credentials are stored unencrypted in {path}; a credential helper keeps them safer"
            ));
        }
        Ok(face.output.line("Login Succeeded")?)
    }

    fn credential(
        &self,
        face: &Face,
        context: &shiplap_ops::Context,
    ) -> Result<Credential, Failure> {
        if self.password_stdin && self.username.is_none() {
            return Err(Failure::plain(
                "the --password-stdin option requires --username to be set",
            ));
        }
        let is_bare = self.username.is_none() && self.password.is_none();
        if is_bare && let Some(kept) = login::kept(context, self.server.as_deref())? {
            face.output
                .talk("Authenticating with existing credentials...");
            return Ok(kept);
        }
        let username = match &self.username {
            Some(username) => username.clone(),
            None => face.output.ask("Username: ", false)?,
        };
        let password = match &self.password {
            Some(password) => {
                face.output
                    .warn("using --password is insecure: other users see it; use --password-stdin");
                password.clone()
            }
            None if self.password_stdin => face
                .output
                .all_input()?
                .trim_end_matches(['\r', '\n'])
                .to_owned(),
            None => face.output.ask("Password: ", true)?,
        };
        if username.is_empty() || password.is_empty() {
            return Err(Failure::plain("a username and a password are required"));
        }
        Ok(Credential::Password {
            username,
            password: Secret::new(password),
        })
    }
}

/// Log out from a registry
///
/// Defaults to Docker Hub if no server is specified.
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// Registry
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

impl Logout {
    pub(crate) fn run(self, face: &Face) -> Result<(), Failure> {
        let server = self.server.as_deref();
        let name = login::registry_name(server);
        let session = face.session(true)?;
        if login::logout(&session.context, server)? {
            face.output
                .line(&format!("Removing login credentials for {name}"))?;
        } else {
            face.output.line(&format!("Not logged in to {name}"))?;
        }
        Ok(())
    }
}
