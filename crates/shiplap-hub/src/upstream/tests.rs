use super::*;

#[test]
fn challenges_are_taken_apart() {
    let check = |text: &str, name: &str, want: Option<&str>| {
        assert_eq!(parameter(text, name).as_deref(), want, "{name} in {text}");
    };
    let docker = r#"realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
    check(docker, "realm", Some("https://auth.docker.io/token"));
    check(docker, "service", Some("registry.docker.io"));
    check(docker, "scope", Some("repository:a/b:pull,push"));
    check(docker, "error", None);
    check("realm=x, service=y", "service", Some("y"));
    check(r#"realm="unended"#, "realm", None);
    check("", "realm", None);
}

#[test]
fn origins_are_read() {
    let check = |text: &str, want: Option<(&str, &str)>| {
        let found = Origin::parse(text);
        let found = found.as_ref().map(|it| (it.host.as_str(), it.url.as_str()));
        assert_eq!(found, want, "{text}");
    };
    check(
        "docker.io",
        Some(("docker.io", "https://registry-1.docker.io")),
    );
    check("quay.io", Some(("quay.io", "https://quay.io")));
    check("a=http://127.0.0.1:5/", Some(("a", "http://127.0.0.1:5")));
    check("a/b=https://x", None);
    check("A=https://x", None);
    check("a=ftp://x", None);
    check("", None);
}
