//! Flags that decide what a container may do.

use clap::Args;
use shiplap_model::container::{
    Seccomp, SecurityOptions, capability,
    security::{self, SecurityOption},
};

use super::FlagError;

#[derive(Debug, Args)]
#[command(next_help_heading = "Security Options")]
pub(super) struct SecurityFlags {
    /// Add Linux capabilities
    #[arg(long, value_name = "list")]
    cap_add: Vec<String>,
    /// Drop Linux capabilities
    #[arg(long, value_name = "list")]
    cap_drop: Vec<String>,
    /// Give extended privileges to this container
    #[arg(long)]
    privileged: bool,
    /// Security Options: seccomp=FILE|unconfined, no-new-privileges, mask=PATHS,
    /// unmask=PATHS|ALL
    #[arg(long, value_name = "list", value_parser = security::parse)]
    security_opt: Vec<SecurityOption>,
}

impl SecurityFlags {
    pub(super) fn into_options(
        self,
        warnings: &mut Vec<String>,
    ) -> Result<SecurityOptions, FlagError> {
        let (cap_add, cap_drop) = capability::effective(&self.cap_add, &self.cap_drop);
        let mut options = SecurityOptions {
            privileged: self.privileged,
            cap_add,
            cap_drop,
            ..SecurityOptions::default()
        };
        for option in self.security_opt {
            match option {
                SecurityOption::SeccompDefault => options.seccomp = Seccomp::Default,
                SecurityOption::SeccompUnconfined => options.seccomp = Seccomp::Unconfined,
                SecurityOption::SeccompFile(path) => {
                    let profile =
                        std::fs::read_to_string(&path).map_err(|source| FlagError::Read {
                            flag: "--security-opt seccomp",
                            path: path.into(),
                            source,
                        })?;
                    options.seccomp = Seccomp::Profile(profile);
                }
                SecurityOption::NoNewPrivileges(wanted) => {
                    options.no_new_privileges = Some(wanted);
                }
                SecurityOption::Unmask(paths) => options.unmask.push(paths),
                SecurityOption::Mask(paths) => options.mask.push(paths),
                SecurityOption::Nothing => {}
                SecurityOption::Ignored(word) => warnings.push(format!(
                    "containers are not labelled for SELinux or AppArmor: --security-opt {word} \
                     has no effect"
                )),
            }
        }
        Ok(options)
    }
}
