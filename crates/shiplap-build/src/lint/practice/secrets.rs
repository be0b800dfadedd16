//! What everybody who has the image can read: keys and passwords in files, addresses and commands.

use shiplap_model::dockerfile::{Kind, TransferSource};

use super::{File, Step};
use crate::lint::finding::Finding;
use crate::lint::guide::{Family, Guide, Severity};

pub(super) static GUIDES: &[&Guide] = &[&FILE, &ADDRESS, &TEXT];

static FILE: Guide = Guide {
    name: "SecretFileCopied",
    family: Family::Secrets,
    severity: Severity::Warning,
    codes: &[],
    wants: "Files with keys or passwords are not to be copied into an image",
    reason: "Whoever can pull the image can read them, in a layer below even if they are removed again. A step gets them \
             by `RUN --mount=type=secret`, a running container by a volume or its environment.",
    is_mended: false,
    bad: "FROM debian:12\nCOPY .env /app/.env\n",
    good: "FROM debian:12\nRUN --mount=type=secret,id=env,target=/run/secrets/env /app/configure\n",
};

static ADDRESS: Guide = Guide {
    name: "PasswordInAddress",
    family: Family::Secrets,
    severity: Severity::Error,
    codes: &[],
    wants: "Addresses are not to have a password in them",
    reason: "It is in the image's history, for everybody to read. Take it as a secret: `RUN --mount=type=secret,id=netrc,target=/root/.netrc`. \
             And change it: it is known now.",
    is_mended: false,
    bad: "FROM debian:12\nRUN git clone --depth 1 https://joe:s3cr3tpw@example.com/tool.git\n",
    good: "FROM debian:12\nRUN --mount=type=secret,id=netrc,target=/root/.netrc git clone --depth 1 https://example.com/tool.git\n",
};

static TEXT: Guide = Guide {
    name: "SecretWritten",
    family: Family::Secrets,
    severity: Severity::Error,
    codes: &[],
    wants: "Keys and tokens are not to be written into a Dockerfile",
    reason: "What is written here is in the image's history and in the repository. Take it as a secret: \
             `RUN --mount=type=secret`. And revoke it: it is known now.",
    is_mended: false,
    bad: "FROM debian:12\nENV GITHUB=ghp_0123456789abcdefghijABCDEFGHIJ012345\n",
    good: "FROM debian:12\nRUN --mount=type=secret,id=github,env=GITHUB /app/fetch\n",
};

pub(super) fn look(file: &File<'_>, found: &mut Vec<Finding>) {
    for (_, step) in file.steps() {
        copied(file, step, found);
        addresses(file, step, found);
        tokens(file, step, found);
    }
}

fn copied(file: &File<'_>, step: &Step<'_>, found: &mut Vec<Finding>) {
    const NAMES: [&str; 14] = [
        ".env",
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
        ".pgpass",
        ".htpasswd",
        "id_rsa",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        ".aws",
        ".ssh",
        ".kube",
    ];
    let (Kind::Copy(transfer) | Kind::Add(transfer)) = step.kind else {
        return;
    };
    if transfer.from.is_some() {
        return;
    }
    for source in &transfer.sources {
        let TransferSource::Path(path) = source else {
            continue;
        };
        let name = path
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default();
        let is_environment = name.strip_prefix(".env.").is_some_and(|rest| {
            !matches!(
                rest,
                "example" | "sample" | "template" | "dist" | "defaults"
            )
        });
        let is_key = name.ends_with(".p12")
            || name.ends_with(".pfx")
            || name.ends_with(".jks")
            || name.ends_with("_rsa")
            || name.ends_with(".ppk");
        if NAMES.contains(&name) || is_environment || is_key {
            let detail = format!("{name} may hold what nobody else is to know");
            found.push(step.note_word(file, &FILE, path, detail));
        }
    }
}

/// `https://user:password@host`.
fn addresses(file: &File<'_>, step: &Step<'_>, found: &mut Vec<Finding>) {
    let text = &step.joined.text;
    for (at, _) in text.match_indices("://") {
        let rest = text.get(at + 3..).unwrap_or_default();
        let end = rest
            .find(|char: char| char.is_whitespace() || "/\"'`;|&)(<>".contains(char))
            .unwrap_or(rest.len());
        let Some((user, _)) = rest.get(..end).and_then(|host| host.rsplit_once('@')) else {
            continue;
        };
        let Some((_, password)) = user.split_once(':') else {
            continue;
        };
        // What is put in by a variable, or stands for something, is none.
        let is_example = matches!(
            password,
            "" | "password" | "pass" | "secret" | "xxx" | "***" | "token"
        ) || password.contains(['$', '{', '<', '*', '%'])
            && !password.contains("%2")
            && !password.contains("%4");
        if is_example {
            continue;
        }
        let start = at + 3 + user.len() - password.len();
        let detail = "this password is in the image's history".to_owned();
        found.push(step.note(file, &ADDRESS, Some(start..start + password.len()), detail));
    }
}

/// How tokens of well-known services begin, and how many letters follow at least.
const TOKENS: [(&str, usize); 17] = [
    ("ghp_", 36),
    ("gho_", 36),
    ("ghs_", 36),
    ("ghu_", 36),
    ("github_pat_", 40),
    ("glpat-", 20),
    ("AKIA", 16),
    ("ASIA", 16),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("npm_", 36),
    ("dckr_pat_", 20),
    ("sk_live_", 20),
    ("hf_", 34),
    ("pypi-AgEIcHlwaS5vcmc", 30),
    ("AIza", 35),
    ("SG.", 50),
];

fn tokens(file: &File<'_>, step: &Step<'_>, found: &mut Vec<Finding>) {
    let text = &step.joined.text;
    let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    for (prefix, least) in TOKENS {
        for (at, _) in text.match_indices(prefix) {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let rest = text.get(at + prefix.len()..).unwrap_or_default();
            let length = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
            let token = rest.get(..length).unwrap_or_default();
            let is_mixed = token.chars().any(|char| char.is_ascii_digit())
                && token.chars().any(char::is_alphabetic);
            if length < least
                || !is_mixed
                || before.is_some_and(is_part)
                || prefix.starts_with("A") && prefix != "AIza" && length != least
            {
                continue;
            }
            let detail = "this looks like a key that opens something".to_owned();
            found.push(step.note(file, &TEXT, Some(at..at + prefix.len() + length), detail));
        }
    }
    if let Some(at) = text
        .find("PRIVATE KEY-----")
        .filter(|_| text.contains("-----BEGIN "))
    {
        let detail = "a private key is written here".to_owned();
        found.push(step.note(file, &TEXT, Some(at..at + 11), detail));
    }
}
