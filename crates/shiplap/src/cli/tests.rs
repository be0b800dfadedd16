//! The command line's definition, and what is told of mistakes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use super::*;

fn parse(line: &str) -> Result<clap::ArgMatches, clap::Error> {
    let mut command = definition("docker");
    let arguments = line.split(' ').map(OsString::from).collect();
    let arguments = mistake::plain_switches(&command, arguments);
    command.try_get_matches_from_mut(arguments)
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
    definition("docker").debug_assert();
}

#[test]
fn takes_what_docker_takes() {
    for line in [
        "docker pull -q --platform linux/arm64/v8 python:3.11",
        "docker pull -a python",
        "docker build -t app .",
        "docker build -q --rm=true --force-rm=false --no-cache=true --pull=false .",
        "docker build -f ls -t prune logs",
        "docker build ./ls",
        "docker build ls --no-trunc -q",
        "docker build logs",
        "docker build logs abc",
        "docker build prune -af --keep-storage 1g",
        "docker build rm --all",
        "docker image build .",
        "docker builder build -t x .",
        "docker builder prune --force --filter until=24h",
        "docker buildx build --builder x --load --provenance=false .",
        "docker buildx build ls",
        "docker buildx create --use --name x",
        "docker buildx du --verbose",
        "docker buildx history logs abc",
        "docker buildx inspect --bootstrap",
        "docker buildx imagetools create -t x:1 --tag x:2 --append --dry-run x:a sha256:0",
        "docker buildx imagetools create --prefer-index=false --progress plain --builder b -t x -f d.json",
        "docker buildx imagetools inspect --raw x",
        "docker buildx imagetools inspect --format {{.Name}} x",
        "docker manifest create --insecure -a x:1 x:amd64 x:arm64",
        "docker manifest annotate --os linux --arch arm --variant v7 --os-features a,b x:1 x:arm",
        "docker manifest inspect -v x",
        "docker manifest inspect --insecure x:1 x:arm",
        "docker manifest push -p x:1",
        "docker manifest rm x:1 x:2",
        "docker buildx ls",
        "docker buildx version",
        "docker push --all-tags localhost:5000/x",
        "docker copy --all docker://a oci:/tmp/x:y",
        "docker images",
        "docker images -aq --no-trunc -f dangling=true -f label=x --format {{.ID}}",
        "docker images -fdangling=true py*",
        "docker images --filter=reference=x --digests",
        "docker images --no-trunc=true --quiet=false",
        "docker image ls x /etc -R",
        "docker image list",
        "docker image rm -f x y",
        "docker image remove x",
        "docker rmi --force x",
        "docker history -H=false --no-trunc x",
        "docker history --human x",
        "docker save -o x.tar a b",
        "docker load -i x.tar -q",
        "docker import - x:y",
        "docker import --message hi x.tar",
        "docker search --limit 5 -f stars=3 x",
        "docker login -u me --password-stdin localhost:5000",
        "docker inspect -f {{.Id}} --type image x y",
        "docker --debug --root /x --config /y images",
        "docker -H unix:///x images",
        "docker image prune -af --filter until=24h --keep-last 3 --dry-run",
        "docker mount",
        "docker mount x /mnt",
        "docker system df -v",
        "docker version --format {{.Server.Version}}",
        "docker -v",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn refuses_what_docker_refuses() {
    use clap::error::ErrorKind as Kind;
    let check =
        |line: &str, want: Kind| assert_eq!(parse(line).unwrap_err().kind(), want, "{line}");
    check("docker pull", Kind::MissingRequiredArgument);
    check("docker build", Kind::MissingRequiredArgument);
    check("docker build -t x", Kind::MissingRequiredArgument);
    check("docker build a b", Kind::ArgumentConflict);
    check("docker image build a b", Kind::UnknownArgument);
    check("docker build ls .", Kind::UnknownArgument);
    check("docker build rm", Kind::MissingRequiredArgument);
    check("docker buildx build", Kind::MissingRequiredArgument);
    check("docker pull a b", Kind::UnknownArgument);
    check("docker images --nope", Kind::UnknownArgument);
    check("docker nope", Kind::InvalidSubcommand);
    check("docker image nope", Kind::InvalidSubcommand);
    check("docker images --filter", Kind::InvalidValue);
    check("docker images --sort nope", Kind::InvalidValue);
    check("docker history --human=foo x", Kind::InvalidValue);
    check("docker search --limit x y", Kind::ValueValidation);
    check("docker mount x", Kind::MissingRequiredArgument);
    check("docker images -- --quiet=true x", Kind::UnknownArgument);
    check("docker pull --help", Kind::DisplayHelp);
}

#[test]
fn switches_take_values_as_dockers_do() {
    let check = |line: &str, want: &str| {
        let arguments = line.split(' ').map(OsString::from).collect();
        let plain = mistake::plain_switches(&definition("docker"), arguments);
        let plain: Vec<_> = plain.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(plain.join(" "), want);
    };
    check("images --quiet=true", "images --quiet");
    check("images --quiet=false -a", "images -a");
    check("images --quiet=maybe", "images --quiet=maybe");
    check("history --human=false", "history --human=false");
    check("images --filter=true", "images --filter=true");
    check("images -- --quiet=true", "images -- --quiet=true");
    check("images --nope=true", "images --nope=true");
    check("docker run -it --rm=true x", "docker run -it --rm x");
    check("run x --rm=true", "run x --rm=true");
    check(
        "run -e a -itw /x --net host x --rm=false",
        "run -e a -itw /x --net host x --rm=false",
    );
    check("run -ea --rm=true x --rm=true", "run -ea --rm x --rm=true");
    check(
        "run --env --rm=true --rm=true x",
        "run --env --rm=true --rm x",
    );
    check("exec --tty=true x --tty=false y", "exec --tty x y");
    check("exec x y --tty=false", "exec x y --tty=false");
    check("container run x --rm=true", "container run x --rm=true");
}

/// The definition of every verb, with the words that call it.
fn every_verb(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
    found.push((path.to_owned(), command.clone()));
    for verb in command.get_subcommands() {
        every_verb(verb, &format!("{path} {}", verb.get_name()), found);
    }
}

#[test]
fn help_fits_80_columns() {
    let mut command = definition("docker");
    command.build();
    let mut verbs = Vec::new();
    every_verb(&command, "docker", &mut verbs);
    assert!(verbs.len() > 40);
    for (path, mut verb) in verbs {
        let help = verb.render_help().to_string();
        let usage = help.lines().next().unwrap();
        assert!(usage.starts_with(&format!("Usage:  {path}")), "{usage}");
        if let Some(line) = help.lines().find(|line| line.chars().count() > 80) {
            panic!("{path}: {line}");
        }
    }
}

#[test]
fn usage_is_dockers() {
    let mut verbs = Vec::new();
    let mut command = definition("docker");
    command.build();
    every_verb(&command, "docker", &mut verbs);
    let check = |want: &str| {
        let found = verbs
            .iter_mut()
            .any(|(_, verb)| verb.render_usage().to_string() == format!("Usage: {want}"));
        assert!(found, "{want}");
    };
    [
        "docker [OPTIONS] COMMAND",
        "docker image COMMAND",
        "docker build [OPTIONS] PATH | URL | -",
        "docker buildx build [OPTIONS] PATH | URL | -",
        "docker build prune [OPTIONS]",
        "docker pull [OPTIONS] NAME[:TAG|@DIGEST]",
        "docker image pull [OPTIONS] NAME[:TAG|@DIGEST]",
        "docker images [OPTIONS] [REPOSITORY[:TAG]]",
        "docker rmi [OPTIONS] IMAGE [IMAGE...]",
        "docker save [OPTIONS] IMAGE [IMAGE...]",
        "docker tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
        "docker logout [SERVER]",
        "docker run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    ]
    .into_iter()
    .for_each(check);
}

#[test]
fn the_program_is_called_by_its_name() {
    let check = |first: &str, want: &str| assert_eq!(mistake::program(Some(&first.into())), want);
    check("/usr/bin/docker", "docker");
    check("shiplap", "shiplap");
    check("", "shiplap");
    assert_eq!(mistake::program(None), "shiplap");
}
