//! What the names of base images, and the commands for them, say of what is in them.

use shiplap_model::Reference;
use shiplap_model::dockerfile::{Kind, Stage};

/// Whether an image is one of Windows, by its name.
pub(super) fn is_of_windows(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "nanoserver",
        "servercore",
        "mcr.microsoft.com/windows",
        "windows/server",
    ]
    .iter()
    .any(|part| name.contains(part))
}

/// Whether commands are PowerShell's, or have paths with a drive, whatever the base image is called.
pub(super) fn speaks_of_windows(stage: &Stage) -> bool {
    const SIGNS: [&str; 6] = ["$env:", "$null", " c:/", " c:\\", "'c:\\", "\"c:\\"];
    let runs = { stage.instructions.iter() }.filter(|own| matches!(own.kind, Kind::Run(_)));
    let mut texts = runs.map(|own| own.text.to_ascii_lowercase());
    texts.any(|text| SIGNS.iter().any(|sign| text.contains(sign)))
}

/// Whether `sh` of a base image has what bash has, as far as its name says.
pub(super) fn shell_of_base(name: &str) -> Option<bool> {
    let reference = Reference::parse(name).ok()?;
    let path = reference.repository().path().rsplit('/').next()?.to_owned();
    let tag = reference.tag().unwrap_or_default();
    const WITH_DASH: [&str; 26] = [
        "debian",
        "ubuntu",
        "buildpack-deps",
        "python",
        "node",
        "ruby",
        "golang",
        "rust",
        "php",
        "perl",
        "openjdk",
        "eclipse-temurin",
        "postgres",
        "mysql",
        "mariadb",
        "redis",
        "nginx",
        "httpd",
        "gcc",
        "haskell",
        "tomcat",
        "maven",
        "gradle",
        "wordpress",
        "rabbitmq",
        "memcached",
    ];
    const OTHERS: [&str; 7] = [
        "alpine", "busybox", "ubi", "oracle", "amazon", "centos", "fedora",
    ];
    let has_dash =
        WITH_DASH.contains(&path.as_str()) && !OTHERS.iter().any(|other| tag.contains(other));
    has_dash.then_some(false)
}
