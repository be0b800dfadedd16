//! What builds come to.

use std::fs;

use shiplap_build::options::{Output, Secret, SecretSource};
use shiplap_model::Platform;

use crate::world::World;

pub(crate) fn from_other_stages() {
    let world = World::new();
    world.file("given", "given\n");
    let (report, _) = world.build(
        "FROM base AS made\nRUN echo made > /made\nFROM base\n\
         COPY --from=made /made /copied\n\
         RUN --mount=type=bind,from=made,target=/m --mount=type=bind,target=/ctx \
         cat /m/made /ctx/given > /both\nCOPY <<E /inline\nhello\nE\n",
    );
    assert_eq!(world.read(&report, "copied").unwrap(), "made\n");
    assert_eq!(world.read(&report, "both").unwrap(), "made\ngiven\n");
    assert_eq!(world.read(&report, "inline").unwrap(), "hello\n");
    assert!(world.read(&report, "ctx/given").is_none());
}

pub(crate) fn secrets_are_nowhere() {
    let world = World::new();
    let mut options = world.options(
        "FROM base\nRUN --mount=type=secret,id=key cat /run/secrets/key | wc -c > /length\n",
    );
    options.execution.secrets.push(Secret {
        id: "key".to_owned(),
        source: SecretSource::Value("hush-hush-hush".to_owned()),
    });
    let (report, _) = world.ok(&options);
    assert_eq!(world.read(&report, "length").unwrap().trim(), "14");
    let found = std::process::Command::new("grep")
        .args(["-rl", "hush-hush-hush"])
        .arg(world.temp.path().join("store"))
        .output()
        .unwrap();
    assert!(found.stdout.is_empty(), "{found:?}");
}

pub(crate) fn files_and_archives() {
    let world = World::new();
    world.file("a", "one\n");
    let mut options = world.options("FROM scratch\nCOPY a /sub/a\n");
    let at = |name: &str| world.temp.path().join(name);
    options.result.outputs = vec![
        Output::Local {
            directory: at("files"),
            split: None,
        },
        Output::Tar {
            file: Some(at("files.tar")),
            split: None,
        },
        Output::Docker(Some(at("docker.tar"))),
        Output::Oci {
            destination: Some(at("layout")),
            is_archive: false,
        },
    ];
    let (report, _) = world.ok(&options);
    assert_eq!(fs::read_to_string(at("files/sub/a")).unwrap(), "one\n");
    assert!(at("files.tar").is_file() && at("docker.tar").is_file());
    assert!(at("layout/index.json").is_file());
    let store = world.ops.store().unwrap();
    let kept = store.image_of_manifest(&report.images[0].manifest.digest);
    assert!(kept.unwrap().is_none(), "only the outputs were wanted");
}

pub(crate) fn for_two_platforms() {
    let world = World::new();
    let mut options =
        world.options("FROM scratch\nARG TARGETARCH\nCOPY <<E /arch\n$TARGETARCH\nE\n");
    options.input.platforms = ["amd64", "arm64"]
        .map(|arch| Platform::new("linux", arch))
        .into();
    let (report, _) = world.ok(&options);
    assert_eq!(report.images.len(), 2);
    assert!(report.index.is_some());
    assert_eq!(world.read(&report, "arch").unwrap(), "amd64\n");
}
