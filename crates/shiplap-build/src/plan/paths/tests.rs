use super::*;

#[test]
fn seen_from_a_directory() {
    let check = |directory: &str, path: &str, workdir: &str, wanted: &str| {
        assert_eq!(joined(directory, path), workdir, "{directory} {path}");
        assert_eq!(destination(directory, path), wanted, "{directory} {path}");
    };
    check("/", "app", "/app", "/app");
    check("", "app", "/app", "/app");
    check("/app", "", "/app", "/app/");
    check("/app", ".", "/app", "/app/");
    check("/app", "./", "/app", "/app/");
    check("/app", "a/../b/", "/app/b", "/app/b/");
    check("/app", "a/.", "/app/a", "/app/a/.");
    check("/app", "../../x", "/x", "/x");
    check("/app", "/x/../y/", "/x/../y/", "/x/../y/");
    check("/", ".", "/", "/");
    check("/", "x/..", "/", "/");
    check("/", "./.", "/", "/.");
}
