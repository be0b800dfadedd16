//! BuildKit's checks: how grave what they find is, what other checkers call them, and examples.

use super::{Family, Guide, Severity};

const fn check(name: &'static str, severity: Severity, codes: &'static [&'static str]) -> Guide {
    Guide {
        name,
        family: Family::BuildKit,
        severity,
        codes,
        wants: "",
        reason: "",
        is_mended: false,
        bad: "",
        good: "",
    }
}

pub(super) static GUIDES: [Guide; 22] = [
    Guide {
        wants: "Stage names are to be in lower case",
        reason: "They are compared without regard to case; one way to write them is enough.",
        is_mended: true,
        bad: "FROM debian:12 AS Build\n",
        good: "FROM debian:12 AS build\n",
        ..check("StageNameCasing", Severity::Style, &[])
    },
    Guide {
        wants: "`AS` is to be in the case of its `FROM`",
        reason: "One way to write it is enough.",
        is_mended: true,
        bad: "FROM debian:12 as build\n",
        good: "FROM debian:12 AS build\n",
        ..check("FromAsCasing", Severity::Style, &[])
    },
    Guide {
        wants: "A continued line is not to be followed by a blank one",
        reason: "It is passed over today, and is to become an error.",
        is_mended: true,
        bad: "FROM debian:12\nRUN make \\\n\n    install\n",
        good: "FROM debian:12\nRUN make \\\n    install\n",
        ..check("NoEmptyContinuation", Severity::Warning, &[])
    },
    Guide {
        wants: "All instructions are to be in one case",
        reason: "One way to write them is enough.",
        is_mended: true,
        bad: "FROM debian:12\nCOPY a /a\nrun make\n",
        good: "FROM debian:12\nCOPY a /a\nRUN make\n",
        ..check("ConsistentInstructionCasing", Severity::Style, &[])
    },
    Guide {
        wants: "Stages are to have different names",
        reason: "A name means the last stage that has it.",
        bad: "FROM debian:12 AS build\nFROM debian:11 AS build\n",
        good: "FROM debian:12 AS build\nFROM debian:11 AS old\n",
        ..check("DuplicateStageName", Severity::Error, &["DL3024"])
    },
    Guide {
        wants: "A stage is not to be called `scratch` or `context`",
        reason: "These names mean something else wherever they are used.",
        bad: "FROM debian:12 AS scratch\n",
        good: "FROM debian:12 AS base\n",
        ..check("ReservedStageName", Severity::Error, &["DL3063"])
    },
    Guide {
        wants: "`CMD` and `ENTRYPOINT` are to be in JSON",
        reason: "Without it a shell is process 1, which hands no signals on: `stop` waits ten seconds and kills.",
        is_mended: true,
        bad: "FROM debian:12\nCMD sleep 60\n",
        good: "FROM debian:12\nCMD [\"sleep\", \"60\"]\n",
        ..check("JSONArgsRecommended", Severity::Warning, &["DL3025"])
    },
    Guide {
        wants: "A label is to say who the author is",
        reason: "`MAINTAINER` is deprecated.",
        is_mended: true,
        bad: "FROM debian:12\nMAINTAINER me@example.com\n",
        good: "FROM debian:12\nLABEL org.opencontainers.image.authors=\"me@example.com\"\n",
        ..check("MaintainerDeprecated", Severity::Warning, &["DL4000"])
    },
    Guide {
        wants: "`FROM` is to use arguments that are declared",
        reason: "An argument that nobody declares is empty.",
        bad: "FROM debian:$RELEASE\n",
        good: "ARG RELEASE=12\nFROM debian:$RELEASE\n",
        ..check("UndefinedArgInFrom", Severity::Error, &[])
    },
    Guide {
        wants: "The first `WORKDIR` is to be absolute",
        reason: "Where it leads depends on the base image, and moves when that does.",
        bad: "FROM debian:12\nWORKDIR app\n",
        good: "FROM debian:12\nWORKDIR /app\n",
        ..check("WorkdirRelativePath", Severity::Warning, &["DL3000"])
    },
    Guide {
        wants: "Variables are to be set before they are used",
        reason: "A variable that nobody sets is empty.",
        bad: "FROM debian:12\nCOPY $SOURCES /src\n",
        good: "FROM debian:12\nARG SOURCES=src\nCOPY $SOURCES /src\n",
        ..check("UndefinedVar", Severity::Warning, &[])
    },
    Guide {
        wants: "`CMD`, `ENTRYPOINT` and `HEALTHCHECK` are to be said once in a stage",
        reason: "Only the last one counts.",
        bad: "FROM debian:12\nCMD [\"a\"]\nCMD [\"b\"]\n",
        good: "FROM debian:12\nCMD [\"b\"]\n",
        ..check(
            "MultipleInstructionsDisallowed",
            Severity::Warning,
            &["DL4003", "DL4004", "DL3012"],
        )
    },
    Guide {
        wants: "`ENV` and `LABEL` are to be written with `=`",
        reason: "Without it all of the line is the value, with what was meant as the next one.",
        is_mended: true,
        bad: "FROM debian:12\nENV NAME a value\n",
        good: "FROM debian:12\nENV NAME=\"a value\"\n",
        ..check("LegacyKeyValueFormat", Severity::Info, &[])
    },
    Guide {
        wants: "A base image is to be for the platform that is built for",
        reason: "It is here for another one only. Told by `build --check`, which knows the images that are here.",
        ..check("InvalidBaseImagePlatform", Severity::Error, &[])
    },
    Guide {
        wants: "`--platform=$TARGETPLATFORM` is not to be said",
        reason: "It is what is taken anyway.",
        is_mended: true,
        bad: "FROM --platform=$TARGETPLATFORM debian:12\n",
        good: "FROM debian:12\n",
        ..check("RedundantTargetPlatform", Severity::Info, &["DL3065"])
    },
    Guide {
        wants: "Secrets are not to be in `ARG` or `ENV`",
        reason: "Both are in the image for everybody to read. Use `RUN --mount=type=secret`.",
        bad: "FROM debian:12\nENV API_TOKEN=abc\n",
        good: "FROM debian:12\nRUN --mount=type=secret,id=token /app/fetch\n",
        ..check("SecretsUsedInArgOrEnv", Severity::Warning, &["DL3064"])
    },
    Guide {
        wants: "An argument of `FROM` is to have a default that makes a name",
        reason: "Without `--build-arg` there is no base image.",
        bad: "ARG RELEASE\nFROM debian:$RELEASE\n",
        good: "ARG RELEASE=12\nFROM debian:$RELEASE\n",
        ..check("InvalidDefaultArgInFrom", Severity::Warning, &[])
    },
    Guide {
        wants: "`FROM --platform` is not to name one platform",
        reason: "Then the image is for that one, whatever `--platform` of the build says. Leave it away, or use `$BUILDPLATFORM`.",
        bad: "FROM --platform=linux/amd64 debian:12\n",
        good: "FROM debian:12\n",
        ..check(
            "FromPlatformFlagConstDisallowed",
            Severity::Warning,
            &["DL3029"],
        )
    },
    Guide {
        wants: "What is copied is not to be left out of the context",
        reason: "`.dockerignore` has it, so the copy fails.",
        ..check("CopyIgnoredFile", Severity::Warning, &[])
    },
    Guide {
        wants: "A comment before `ARG` or `FROM … AS` is to begin with its name",
        reason: "So that tools can show it. Only told if `# check=experimental=InvalidDefinitionDescription` asks for it.",
        ..check("InvalidDefinitionDescription", Severity::Style, &[])
    },
    Guide {
        wants: "A protocol in `EXPOSE` is to be in lower case",
        reason: "One way to write it is enough.",
        is_mended: true,
        bad: "FROM debian:12\nEXPOSE 53/UDP\n",
        good: "FROM debian:12\nEXPOSE 53/udp\n",
        ..check("ExposeProtoCasing", Severity::Style, &[])
    },
    Guide {
        wants: "`EXPOSE` is to name the container's port only",
        reason: "On which port of the host it is published, `run -p` says.",
        is_mended: true,
        bad: "FROM debian:12\nEXPOSE 8080:80\n",
        good: "FROM debian:12\nEXPOSE 80\n",
        ..check("ExposeInvalidFormat", Severity::Warning, &[])
    },
];
