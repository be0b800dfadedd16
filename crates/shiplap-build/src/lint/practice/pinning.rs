//! What comes from outside is to be the same tomorrow: versions of base images and packages,
//! checksums of downloads.

use shiplap_model::Reference;
use shiplap_model::dockerfile::{Kind, TransferSource};

use super::call::{Call, Manager};
use super::{File, Step};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};
use crate::lint::shell::{Command, Joint, Script, Word};

pub(super) static GUIDES: &[&Guide] = &[
    &UNTAGGED,
    &LATEST,
    &COPY_FROM,
    &PACKAGE,
    &LIBRARY,
    &ADD,
    &PIPED,
    &UNVERIFIED,
];

static UNTAGGED: Guide = Guide {
    name: "BaseImageUntagged",
    family: Family::Pinning,
    severity: Severity::Warning,
    codes: &["DL3006"],
    wants: "A base image is to have a tag or a digest",
    reason: "Without a tag it is `latest`: whatever was pushed last. Write the version that the program \
             was tried with, as in `debian:12-slim`; a digest behind it (`@sha256:…`) makes it the same bytes for ever.",
    is_mended: false,
    bad: "FROM debian\nCMD [\"bash\"]\n",
    good: "FROM debian:12-slim\nCMD [\"bash\"]\n",
};

static LATEST: Guide = Guide {
    name: "BaseImageLatest",
    family: Family::Pinning,
    severity: Severity::Warning,
    codes: &["DL3007"],
    wants: "A base image's tag is to be a version, not `latest`",
    reason: "`latest` moves: the same Dockerfile makes another image next month. Write the version that it stands for today.",
    is_mended: false,
    bad: "FROM debian:latest\n",
    good: "FROM debian:12\n",
};

static COPY_FROM: Guide = Guide {
    name: "CopyFromUntagged",
    family: Family::Pinning,
    severity: Severity::Warning,
    codes: &["DL3022"],
    wants: "What `COPY --from` names is to be a stage, or an image with a tag",
    reason: "A name that is no stage's is an image's, and is fetched as `latest`. If a stage is meant, it is misspelt \
             or stands further below; if an image, give it a version.",
    is_mended: false,
    bad: "FROM debian:12 AS build\nFROM debian:12-slim\nCOPY --from=builder /app /app\n",
    good: "FROM debian:12 AS build\nFROM debian:12-slim\nCOPY --from=build /app /app\n",
};

static PACKAGE: Guide = Guide {
    name: "PackageUnpinned",
    family: Family::Pinning,
    severity: Severity::Info,
    codes: &["DL3008", "DL3018", "DL3033", "DL3041", "DL3037"],
    wants: "Packages of the distribution are to have versions",
    reason: "Tomorrow's package is another one. Where that matters, write the version (`curl=7.88.1-10+deb12u8`, \
             `curl~=8.5`, `curl-8.5.0`); where the distribution's release holds them steady enough, ignore this rule.",
    is_mended: false,
    bad: "FROM alpine:3.20\nRUN apk add --no-cache curl\n",
    good: "FROM alpine:3.20\nRUN apk add --no-cache curl~=8.9\n",
};

static LIBRARY: Guide = Guide {
    name: "LibraryUnpinned",
    family: Family::Pinning,
    severity: Severity::Warning,
    codes: &["DL3013", "DL3016", "DL3028", "DL3062"],
    wants: "Libraries and programs from pip, npm, gem, go and cargo are to have versions",
    reason: "A new release of one of them breaks the build, or the program, on a day when nobody changed anything. \
             Write the version (`flask==3.0.3`, `pm2@5`), or install from a file that has them all.",
    is_mended: false,
    bad: "FROM python:3.12-slim\nRUN pip install --no-cache-dir flask\n",
    good: "FROM python:3.12-slim\nRUN pip install --no-cache-dir flask==3.0.3\n",
};

static ADD: Guide = Guide {
    name: "AddWithoutChecksum",
    family: Family::Pinning,
    severity: Severity::Info,
    codes: &[],
    wants: "What `ADD` fetches from the web is to have a checksum",
    reason: "What is at the address can change, or be changed. `ADD --checksum=sha256:…` refuses anything else.",
    is_mended: false,
    bad: "FROM debian:12\nADD https://example.com/tool.tar.gz /opt/\n",
    good: "FROM debian:12\nADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.com/tool.tar.gz /opt/\n",
};

static PIPED: Guide = Guide {
    name: "DownloadPipedToShell",
    family: Family::Pinning,
    severity: Severity::Warning,
    codes: &[],
    wants: "A downloaded script is to be checked before it is run",
    reason: "Whoever has the server, or the way to it, has the build. And if the download breaks off, half of the \
             script is run. Download to a file, compare its checksum, then run it.",
    is_mended: false,
    bad: "FROM debian:12\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN curl -fsSL https://example.com/install.sh | sh\n",
    good: "FROM debian:12\nRUN curl -fsSLo install.sh https://example.com/install.sh \\\n    && echo \"24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d  install.sh\" | sha256sum -c - \\\n    && sh install.sh && rm install.sh\n",
};

static UNVERIFIED: Guide = Guide {
    name: "VerificationDisabled",
    family: Family::Pinning,
    severity: Severity::Warning,
    codes: &[],
    wants: "Certificates and signatures are to be verified",
    reason: "With `curl -k`, `wget --no-check-certificate`, `--allow-unauthenticated` and the like anybody on the \
             way can put something else into the image. Install the missing certificate or key.",
    is_mended: false,
    bad: "FROM debian:12\nRUN curl -kfsSLo /tool https://example.com/tool\n",
    good: "FROM debian:12\nRUN curl -fsSLo /tool https://example.com/tool\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for view in &file.stages {
        let Some(base) = view.base.as_deref().filter(|base| *base != "scratch") else {
            continue;
        };
        let Ok(reference) = Reference::parse(base) else {
            continue;
        };
        if view.parent.is_some() || reference.digest().is_some() {
            continue;
        }
        let image = &view.stage.from.image;
        let (guide, detail) = match reference.tag() {
            None => (&UNTAGGED, format!("the base image {base} has no tag")),
            Some("latest") => {
                let detail = format!("{base} is another image whenever one is pushed");
                (&LATEST, detail)
            }
            Some(_) => continue,
        };
        let finding = view.note(file, guide, image, detail);
        // Of an argument it is the default only, which whoever builds is to replace.
        let severity = match image.contains('$') {
            true => Severity::Info,
            false => finding.severity,
        };
        found.push(Finding {
            severity,
            ..finding
        });
    }
    for (_, step) in file.steps() {
        copy_from(file, step, found);
        add(file, step, found);
        for (at, script) in &step.scripts {
            for call in Call::all(script) {
                packages(file, step, *at, &call, found);
            }
            piped(file, step, *at, script, found);
            for command in &script.commands {
                unverified(file, step, *at, command, found);
            }
        }
    }
}

fn copy_from(file: &File<'_>, step: &Step<'_>, found: &mut Vec<Finding>) {
    let Kind::Copy(transfer) = step.kind else {
        return;
    };
    let Some(from) = transfer.from.as_deref().filter(|from| !from.contains('$')) else {
        return;
    };
    let is_stage = file.find(from).is_some() || from.parse::<usize>().is_ok();
    if is_stage || file.input.named_context(from).is_some() {
        return;
    }
    let Ok(reference) = Reference::parse(from) else {
        return;
    };
    if reference.digest().is_none() && matches!(reference.tag(), None | Some("latest")) {
        let detail = format!("{from} is no stage above, and as an image it has no version");
        found.push(step.note_word(file, &COPY_FROM, from, detail));
    }
}

fn add(file: &File<'_>, step: &Step<'_>, found: &mut Vec<Finding>) {
    let Kind::Add(transfer) = step.kind else {
        return;
    };
    if transfer.checksum.is_some() {
        return;
    }
    for source in &transfer.sources {
        let TransferSource::Path(path) = source else {
            continue;
        };
        let is_web = path.starts_with("https://") || path.starts_with("http://");
        if is_web
            && !path
                .split(['#', '?'])
                .next()
                .is_some_and(|path| path.ends_with(".git"))
        {
            found.push(step.note_word(
                file,
                &ADD,
                path,
                "nothing says what is to be at this address".to_owned(),
            ));
        }
    }
}

/// Whether a word names something without its version.
fn is_unpinned(manager: Manager, word: &Word, command: &Command) -> bool {
    let Some(text) = word.literal() else {
        return false;
    };
    let is_file = text.starts_with(['.', '/']) || text.contains("://") || text == "-";
    match manager {
        Manager::Apt | Manager::AptGet => {
            !is_file
                && !text.contains('=')
                && !text.contains('/')
                && !text.ends_with('-')
                && !text.ends_with('+')
        }
        Manager::Apk => {
            !is_file && !text.contains(['=', '<', '>', '~', '@']) && !text.starts_with('!')
        }
        Manager::Dnf | Manager::Yum | Manager::Microdnf => {
            // `name-1.2`
            let is_versioned = text
                .split('-')
                .skip(1)
                .any(|part| part.starts_with(|char: char| char.is_ascii_digit()));
            !is_file && !is_versioned && !text.starts_with('@')
        }
        Manager::Zypper => !is_file && !text.contains(['=', '<', '>']),
        Manager::Pip => {
            let is_archive = [".whl", ".tar.gz", ".zip", ".txt"]
                .iter()
                .any(|end| text.ends_with(end));
            !is_file
                && !is_archive
                && !text.contains(['=', '<', '>', '~', '@', '/'])
                && !text.starts_with("git+")
        }
        Manager::Npm | Manager::Yarn => {
            let name = text.strip_prefix('@').unwrap_or(text);
            let is_path = is_file
                || text.contains(':')
                || text.ends_with(".tgz")
                || !text.starts_with('@') && text.contains('/');
            let version = name.split_once('@').map(|(_, version)| version);
            !is_path && matches!(version, None | Some("latest" | "next" | ""))
        }
        Manager::Gem => {
            !is_file
                && !text.contains(':')
                && !text.ends_with(".gem")
                && !command.has_option(&["--version"], &['v'])
        }
        Manager::Go => {
            let is_remote = text
                .split('/')
                .next()
                .is_some_and(|host| host.contains('.'))
                && !text.starts_with('.');
            let version = text.split_once('@').map(|(_, version)| version);
            is_remote && matches!(version, Some("latest"))
        }
        Manager::Cargo => {
            let says =
                command.has_option(&["--version", "--vers", "--git", "--path", "--locked"], &[]);
            !says && !is_file && !text.contains('@')
        }
    }
}

fn packages(
    file: &File<'_>,
    step: &Step<'_>,
    at: usize,
    call: &Call<'_>,
    found: &mut Vec<Finding>,
) {
    if !call.installs() || call.does() == "ci" {
        return;
    }
    let mut operands = call.operands.clone();
    // `yarn global add x`
    if call.does() == "global" {
        match operands.first() {
            Some(word) if word.is("add") => operands.remove(0),
            _ => return,
        };
    }
    let unpinned: Vec<&Word> = operands
        .into_iter()
        .filter(|word| is_unpinned(call.manager, word, call.command))
        .collect();
    let Some(first) = unpinned.first() else {
        return;
    };
    let (guide, code) = match call.manager {
        Manager::Apt | Manager::AptGet => (&PACKAGE, Some("DL3008")),
        Manager::Apk => (&PACKAGE, Some("DL3018")),
        Manager::Yum => (&PACKAGE, Some("DL3033")),
        Manager::Dnf | Manager::Microdnf => (&PACKAGE, Some("DL3041")),
        Manager::Zypper => (&PACKAGE, Some("DL3037")),
        Manager::Pip => (&LIBRARY, Some("DL3013")),
        Manager::Npm | Manager::Yarn => (&LIBRARY, Some("DL3016")),
        Manager::Gem => (&LIBRARY, Some("DL3028")),
        Manager::Go => (&LIBRARY, Some("DL3062")),
        Manager::Cargo => (&LIBRARY, None),
    };
    let name = call.manager.name();
    let detail = format!(
        "{name} installs without a version: {}",
        Call::names(&unpinned)
    );
    let finding = step.note(file, guide, Some(at + first.start..at + first.end), detail);
    found.push(Finding { code, ..finding });
}

/// `curl … | sh`.
fn piped(file: &File<'_>, step: &Step<'_>, at: usize, script: &Script, found: &mut Vec<Finding>) {
    for pair in script.commands.windows(2) {
        let [from, to] = pair else {
            continue;
        };
        let is_download = matches!(from.program(), Some("curl" | "wget"));
        let is_shell = matches!(
            to.program(),
            Some(
                "sh" | "bash"
                    | "ash"
                    | "dash"
                    | "zsh"
                    | "python"
                    | "python3"
                    | "perl"
                    | "ruby"
                    | "node"
            )
        );
        // A script that is given is not read from the pipe.
        let reads_pipe = to
            .arguments()
            .iter()
            .all(|word| word.value.starts_with('-'))
            || to.has_option(&[], &['s']);
        if from.after == Joint::Pipe
            && from.depth == to.depth
            && is_download
            && is_shell
            && reads_pipe
        {
            let part = at + from.start..at + to.end;
            let detail = "what comes from the network is run as it comes".to_owned();
            found.push(step.note(file, &PIPED, Some(part), detail));
        }
    }
}

fn unverified(
    file: &File<'_>,
    step: &Step<'_>,
    at: usize,
    command: &Command,
    found: &mut Vec<Finding>,
) {
    let (long, short): (&[&str], &[char]) = match command.program() {
        Some("curl") => (&["--insecure"], &['k']),
        Some("wget") => (&["--no-check-certificate"], &[]),
        Some("apt-get" | "apt") => (&["--allow-unauthenticated", "--force-yes"], &[]),
        Some("apk") => (&["--allow-untrusted"], &[]),
        Some("yum" | "dnf" | "microdnf") => (&["--nogpgcheck"], &[]),
        Some("zypper") => (&["--no-gpg-checks"], &[]),
        Some("pip" | "pip3") => (&["--trusted-host"], &[]),
        Some("git") => (&[], &[]),
        _ => return,
    };
    // Only what looks like joined letters is: `-option` of others has no `k`.
    let is_it = |word: &&Word| {
        let text = word.value.as_str();
        let is_long = long.iter().any(|name| {
            text == *name
                || text
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('='))
        });
        let letters = text.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        let before_value = letters.map(|letters| {
            letters
                .split(['o', 'H', 'd', 'u', 'x', 'T', 'e', 'A', 'b', 'X'])
                .next()
                .unwrap_or_default()
        });
        is_long
            || before_value
                .is_some_and(|letters| letters.chars().any(|letter| short.contains(&letter)))
    };
    let git = command.program() == Some("git")
        && command.arguments().iter().any(|word| {
            word.value.contains("http.sslVerify=false") || word.value == "http.sslVerify"
        });
    let culprit = command.arguments().iter().find(is_it);
    let place = match (culprit, git) {
        (Some(word), _) => at + word.start..at + word.end,
        (None, true) => at + command.start..at + command.end,
        (None, false) => return,
    };
    let program = command.program().unwrap_or_default();
    let detail = format!("{program} takes what anybody on the way may have put there");
    found.push(step.note(file, &UNVERIFIED, Some(place), detail));
}
