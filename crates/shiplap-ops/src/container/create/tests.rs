use super::*;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn what_runs() {
    let check = |image: [&str; 2], entrypoint: Option<&str>, command: &str, runs: &str| {
        let some = |text: &str| Some(words(text)).filter(|words| !words.is_empty());
        let config = ContainerConfig {
            entrypoint: some(image[0]),
            cmd: some(image[1]),
            ..ContainerConfig::default()
        };
        let options = ContainerOptions {
            process: ProcessOptions {
                command: words(command),
                entrypoint: entrypoint.map(words),
                ..ProcessOptions::default()
            },
            ..ContainerOptions::default()
        };
        let effective = effective(config, &options);
        let all = effective.entrypoint.iter().chain(&effective.cmd).flatten();
        let all: Vec<_> = all.cloned().collect();
        assert_eq!(all, words(runs), "{image:?} {entrypoint:?} {command}");
    };
    check(["", "sh"], None, "", "sh");
    check(["", "sh"], None, "ls -l", "ls -l");
    check(["entry", "arg"], None, "", "entry arg");
    check(["entry", "arg"], None, "other", "entry other");
    check(["entry", "arg"], Some("mine"), "", "mine");
    check(["entry", "arg"], Some("mine"), "x", "mine x");
    check(["entry", "arg"], Some(""), "x", "x");
    check(["entry", "arg"], Some(""), "", "");
}

#[test]
fn variables() {
    let check = |image: &str, wanted: &str, found: &str| {
        let process = ProcessOptions {
            env: words(wanted),
            ..ProcessOptions::default()
        };
        assert_eq!(
            environment(words(image), &process),
            words(found),
            "{image} {wanted}"
        );
    };
    check("PATH=/bin A=1 B=2", "A=3 C=4", "PATH=/bin A=3 B=2 C=4");
    check("PATH=/bin A=1", "A", "PATH=/bin");
    check("PATH=/bin", "A", "PATH=/bin");
    check("PATH=/bin A=x=y", "A=", "PATH=/bin A=");
    check("", "", &format!("PATH={DEFAULT_PATH}"));
}

#[test]
fn paths_that_are_the_same() {
    let check = |path: &str, same: &str| assert_eq!(clean(path), same, "{path}");
    check("/data", "/data");
    check("/data/", "/data");
    check("//data/./x//", "/data/x");
    check("/", "/");
}
