//! `analyze` and `diff` of images: what an image's bytes are, counted by hand or by dive; from a
//! store, archives and a registry; for people, programs and pipelines.

use std::fs;

use serde_json::{Value, json};

use crate::harness::Store;
use crate::harness::image::{Image, noise, recipe};
use crate::harness::registry::Registry;
use crate::harness::tar::Entry;
use crate::harness::terminal::Session;
use crate::save_load::archives;

/// A name that would clear a terminal, begin a line and a page's script.
const EVIL: &str = "evil\u{1b}[2J\n<script>alert(1)";

/// An image with one piece of each kind of waste, all sizes told.
fn wasteful() -> Image {
    let archive = noise(1, 50_000);
    let script = noise(2, 3000);
    let created =
        |created_by: &str, empty: bool| json!({"created_by": created_by, "empty_layer": empty});
    recipe(&[
        &[
            Entry::directory("etc"),
            Entry::file("etc/os-release", b"ID=none\n"),
            Entry::directory("tmp"),
        ],
        &[
            Entry::file("var/lib/apt/lists/debian_InRelease", &[b'l'; 20_000]),
            Entry::file("opt/archive.tar", &archive),
            Entry::file("usr/bin/tool", &[b't'; 4000]),
        ],
        &[
            Entry::whiteout("opt", "archive.tar"),
            Entry::file("opt/twin", &[b't'; 4000]),
            Entry::file(&format!("opt/{EVIL}"), b"x"),
        ],
        &[Entry::file("srv/run.sh", &script)],
        &[Entry::file("srv/run.sh", &script).owner(7, 7).mode(0o755)],
    ])
    .extra(json!({"history": [
        created("/bin/sh -c #(nop) ADD file:ab in / ", false),
        created("RUN /bin/sh -c apt-get update && fetch # buildkit", false),
        created("RUN /bin/sh -c unpack && rm /opt/archive.tar # buildkit", false),
        created("ENV A=b", true),
        created("COPY run.sh /srv/ # buildkit", false),
        created("RUN /bin/sh -c chown -R 7:7 /srv && chmod 755 /srv/run.sh # buildkit", false),
    ]}))
    .make()
}

fn archive(store: &Store, name: &str, image: &Image) -> String {
    let path = store.path(name);
    fs::write(&path, image.docker_archive(&["wasteful:1"])).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn known_answers() {
    let store = Store::new();
    let path = archive(&store, "image.tar", &wasteful());
    store.ok(&["load", "-i", &path]);
    let found = store.json(&["analyze", "--json", "wasteful:1"]);
    assert_eq!(found["schema"], "shiplap-analyze/1");
    // 8 + 20,000 + 50,000 + 4,000 + 4,000 + 1 + 3,000 + 3,000.
    assert_eq!(found["size_bytes"], 84_009);
    assert_eq!(
        found["size_bytes"].to_string(),
        store.field("wasteful:1", "{{.Size}}")
    );
    // Twice are there only the script, and the archive with nothing in its place.
    assert_eq!(found["score"]["wasted_bytes"], 56_000);
    assert_eq!(found["score"]["user_size_bytes"], 84_001);
    let efficiency = found["score"]["efficiency"].as_f64().unwrap();
    assert!(
        (efficiency - 31_009.0 / 84_009.0).abs() < 1e-12,
        "{efficiency}"
    );
    assert_eq!(found["certain_waste_bytes"], 73_000);
    assert_eq!(found["waste_bytes"], 77_000);
    let proposals = found["proposals"].as_array().unwrap();
    let told: Vec<_> = proposals
        .iter()
        .map(|one| (&one["kind"], &one["saves_bytes"], &one["layer"]))
        .collect();
    let told = serde_json::to_value(told).unwrap();
    assert_eq!(
        told,
        json!([
            ["deleted", 50_000, 1],
            ["package-lists", 20_000, 1],
            ["duplicate", 4000, 2],
            ["rewritten", 3000, 3],
        ])
    );
    let instead = |number: usize| proposals[number]["instead"].as_str().unwrap();
    assert_eq!(
        instead(0),
        "RUN apt-get update && fetch && unpack && rm /opt/archive.tar"
    );
    assert!(
        instead(1).contains("rm -rf /var/lib/apt/lists/*"),
        "{}",
        instead(1)
    );
    assert_eq!(instead(3), "COPY --chown=7:7 --chmod=755 run.sh /srv/");
    assert_eq!(proposals[2]["paths"][0]["twin"], "/usr/bin/tool");
    let layer = &found["layers"][2];
    assert_eq!(layer["added"], json!({"paths": 2, "bytes": 4001}));
    assert_eq!(layer["removed"], json!({"paths": 1, "bytes": 50_000}));
    assert_eq!(found["steps"][4]["layer"], 3);
    let with_files = store.json(&["analyze", "--json", "--files", "wasteful:1"]);
    let files = with_files["files"].as_array().unwrap();
    let is_gone = |file: &&Value| file["path"] == "/opt/archive.tar" && file["live"] == false;
    assert_eq!(files.iter().filter(is_gone).count(), 2);
}

/// What dive's own test says of its image.
#[test]
fn as_dive_says() {
    let Some(folder) = archives() else {
        eprintln!("skipped: set SHIPLAP_IMAGE_FIXTURES to the folder of the archives");
        return;
    };
    let path = folder.join("dive__test-docker-image.tar");
    let store = Store::new();
    let found = store.json(&["analyze", "--json", path.to_str().unwrap()]);
    let score = &found["score"];
    assert_eq!(score["size_bytes"], 1_220_598);
    assert_eq!(score["user_size_bytes"], 66_237);
    assert_eq!(score["wasted_bytes"], 32_025);
    let check = |field: &str, expected: f64| {
        let found = score[field].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-15, "{field}: {found}");
    };
    check("efficiency", 0.984_421_213_418_430_9);
    check("wasted_user_ratio", 0.483_491_100_140_404_9);
}

#[test]
fn lines_of_the_dockerfile() {
    let store = Store::new();
    let path = archive(&store, "image.tar", &wasteful());
    let dockerfile = "FROM base\nRUN apt-get update && fetch\nRUN unpack && \\\n  rm /opt/archive.tar\n\
                      ENV A=b\nCOPY run.sh /srv/\nRUN chown -R 7:7 /srv && chmod 755 /srv/run.sh\n";
    fs::write(store.path("Dockerfile"), dockerfile).unwrap();
    let found = store.json(&["analyze", "--json", "-f", "Dockerfile", &path]);
    let proposals = found["proposals"].as_array().unwrap();
    assert_eq!(
        (&proposals[0]["line"], &proposals[0]["hidden_line"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(
        (&proposals[3]["line"], &proposals[3]["hidden_line"]),
        (&json!(6), &json!(7))
    );
    assert_eq!(found["layers"][0]["line"], Value::Null);
}

/// The same from wherever an image can be, and nothing of it stays in the store.
#[test]
fn from_anywhere() {
    let store = Store::new();
    let image = wasteful();
    let docker = archive(&store, "docker.tar", &image);
    let layout = store.path("layout");
    fs::create_dir(&layout).unwrap();
    image.write_layout(&layout, "1");
    fs::write(store.path("oci.tar"), image.oci_archive("1")).unwrap();
    let mut places = vec![
        docker.clone(),
        "docker.tar".to_owned(),
        "./oci.tar".to_owned(),
        format!("docker-archive:{docker}"),
        "oci-archive:oci.tar:1".to_owned(),
        "oci:layout:1".to_owned(),
        layout.to_str().unwrap().to_owned(),
    ];
    let registry = Registry::start();
    if let Some(registry) = &registry {
        registry.fill("wasteful:1", &image);
        places.push(registry.reference("wasteful:1"));
    }
    for place in places {
        let found = store.json(&["analyze", "--json", &place]);
        assert_eq!(found["waste_bytes"], 77_000, "{place}");
        assert_eq!(found["id"], image.id(), "{place}");
    }
    assert_eq!(store.names(), [] as [&str; 0]);
    assert_eq!(store.kept_files(), [] as [std::path::PathBuf; 0]);
    let nowhere = store.refused(&["analyze", "127.0.0.1:1/nothing:1"]);
    assert!(nowhere.contains("it is not here"), "{nowhere}");
    let missing = store.refused(&["analyze", "./missing.tar"]);
    assert!(missing.contains("missing.tar"), "{missing}");
}

#[test]
fn for_pipes() {
    let store = Store::new();
    let path = archive(&store, "image.tar", &wasteful());
    let report = store.ok(&["analyze", &path]);
    for line in report.lines() {
        assert!(line.chars().count() <= 80, "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    for expected in [
        "Efficiency  36.91 %",
        "RUN unpack && rm /opt/archive.tar",
        "1. 50kB  deleted in a later layer, 1 file",
        "COPY --chown=7:7 --chmod=755 run.sh /srv/",
    ] {
        assert!(report.contains(expected), "no {expected:?} in {report}");
    }
    let one = store.ok(&["analyze", "--top", "1", &path]);
    assert!(one.contains("3 more would save 27kB"), "{one}");
}

#[test]
fn for_browsers() {
    let store = Store::new();
    let image = wasteful();
    let path = archive(&store, "image.tar", &image);
    assert_eq!(store.ok(&["analyze", "--html", "page.html", &path]), "");
    let page = fs::read_to_string(store.path("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>"));
    assert!(page.trim_end().ends_with("</html>"));
    assert!(!page.contains("<script"), "a name became markup");
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("url("));
    let visible = "evil\\x1b[2J\\n&lt;script&gt;alert(1)";
    assert!(page.contains(visible), "the name is not shown");
    assert!(!page.contains('\u{1b}'));
    assert!(page.contains("<svg ") && page.contains("/usr/bin/tool"));
    store.refused(&["analyze", "--html", "/proc/nothing/page.html", &path]);
}

#[test]
fn for_pipelines() {
    let store = Store::new();
    let path = archive(&store, "image.tar", &wasteful());
    let check = |arguments: &[&str], code: i32, words: &str| {
        let all = [&["analyze", "--ci"][..], arguments, &[path.as_str()]].concat();
        let ran = store.run(&all);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stdout.contains(words), "{words:?} is not in {ran:?}");
    };
    check(
        &[],
        1,
        "FAIL  efficiency          36.91 %  at least 90.00 %",
    );
    check(&["--min-efficiency", "30%"], 0, "PASS  efficiency");
    check(&["--min-efficiency", "0.37"], 1, "FAIL  efficiency");
    check(&["--max-waste", "73kB"], 0, "PASS  waste");
    check(&["--max-waste", "72.9kB"], 1, "FAIL  waste");
    check(&["--max-waste", "50%"], 1, "FAIL  waste");
    check(
        &["--lowestEfficiency", "0.3", "--highestWastedBytes", "56kB"],
        0,
        "PASS  wasted bytes",
    );
    check(
        &["--highestUserWastedPercent", "0.5"],
        1,
        "FAIL  wasted user part",
    );
    fs::write(store.path(".dive-ci"), "rules:\n  lowestEfficiency: 0.3\n").unwrap();
    check(&[], 0, "PASS  efficiency");
    fs::write(store.path("strict"), "rules:\n  highestWastedBytes: 1KB\n").unwrap();
    check(&["--ci-config", "strict"], 1, "FAIL  wasted bytes");
    fs::remove_file(store.path(".dive-ci")).unwrap();
    let found = store.run(&["analyze", "--ci", "--json", "--max-waste", "1", &path]);
    assert_eq!(found.code, Some(1));
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(found["verdicts"][0]["passed"], false);
    fs::write(store.path("wrong"), "rules:\n  best: 1\n").unwrap();
    for arguments in [
        &["analyze", "--ci", "./missing.tar"][..],
        &["analyze", "--ci", "--ci-config", "wrong", &path],
    ] {
        let ran = store.run(arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(!ran.stderr.is_empty());
    }
}

#[test]
fn on_a_terminal() {
    let store = Store::new();
    let path = archive(&store, "image.tar", &wasteful());
    let mut session = Session::new(&store, &["analyze", &path], 30, 100);
    session.draws("36.91 %");
    session.draws("COPY run.sh");
    session.draws(" Layer 4 ");
    session.types("k");
    session.draws(" Layer 3 ");
    // The tree is open where the layer did something; the name is shown, and not obeyed.
    session.types("k");
    session.draws("evil\\x1b[2J\\n");
    session.draws("-     archive.tar");
    session.types("\t/twin");
    session.draws("filter: twin");
    session.types("\r");
    session.draws("Files with \"twin\"");
    session.draws("+     twin");
    session.types("\x1b");
    session.draws("-     archive.tar");
    session.types("r");
    session.draws("(no removed)");
    session.types("?");
    session.draws("show or hide what is added");
    session.types("x");
    session.draws("Files");
    session.types("s");
    session.draws(", largest first");
    session.types("p");
    session.draws("package lists and packages (apt)");
    session.types("j");
    session.draws("keep what apt leaves");
    // To the file, in the layer that has it, whatever was hidden.
    session.types("\r");
    session.draws(" Layer 1 ");
    session.draws("/var/lib/apt/lists/debian_InRelease  -rw-r--r-- 0:0");
    session.types("p\x1b");
    session.draws("tab files");
    session.types("q");
    session.ends_with(0);
}

/// Whatever size a terminal has, what is looked at is there, and the way out is told.
#[test]
fn on_a_small_terminal() {
    let store = Store::new();
    let path = archive(&store, "image.tar", &wasteful());
    let mut session = Session::new(&store, &["analyze", &path], 15, 60);
    session.draws("q quit  ? help  tab files");
    session.draws(" Layers: size, waste, step ");
    session.draws("4      3kB        -  RUN chown");
    session.types("\t");
    session.draws("3kB ~     run.sh");
    session.types("?");
    session.draws("Keys: ↑↓ for more");
    session.types(&"j".repeat(30));
    session.draws("only you know what it is for.");
    session.types("x");
    session.draws("tab layers");
    session.types("p");
    session.draws("50kB  layer 1   deleted in a later layer");
    session.draws("RUN apt-get update && fetch && unpack && rm \\");
    session.types("q");
    session.ends_with(0);
}

/// Without colours the line that is looked at is still told from the others: where they are unwanted, the library
/// that draws would put an end to all attributes with each colour.
#[test]
fn without_colours() {
    let store = Store::new().with("NO_COLOR", "1");
    let path = archive(&store, "image.tar", &wasteful());
    let mut session = Session::new(&store, &["analyze", &path], 30, 100);
    session.shows("\u{1b}[7m");
    session.types("q");
    let (screen, code) = session.all();
    assert!(!screen.contains("[;m"), "{screen:?}");
    assert_eq!(code, Some(0));
}

/// A terminal that can't be drawn on, or a wish that only a report can fulfil.
#[test]
fn a_report_on_a_terminal() {
    let store = Store::new();
    let path = archive(&store, "image.tar", &wasteful());
    let dumb = Store::new().with("TERM", "dumb");
    for (store, arguments) in [
        (&store, &["analyze", "--top", "1", &path][..]),
        (&store, &["analyze", "--no-trunc", &path]),
        (&store, &["analyze", "--plain", &path]),
        (&dumb, &["analyze", &path]),
    ] {
        let (screen, code) = Session::new(store, arguments, 30, 100).all();
        assert!(screen.contains("WHAT TO CHANGE"), "{screen:?}");
        assert!(!screen.contains('\u{1b}'), "{screen:?}");
        assert_eq!(code, Some(0));
    }
}

/// Smaller forms of the base that are here are proposed; the registry's if it is asked.
#[test]
fn a_smaller_base() {
    let store = Store::new();
    let big: &[Entry] = &[Entry::file("etc/big", &[b'b'; 5000])];
    let small: &[Entry] = &[Entry::file("etc/small", &[b's'; 1000])];
    let load = |image: &Image, name: &str| {
        let path = store.path("image.tar");
        fs::write(&path, image.docker_archive(&[name])).unwrap();
        store.ok(&["load", "-q", "-i", path.to_str().unwrap()]);
    };
    let on = |base: &str, name: &str| {
        let labels = json!({"Labels": {"org.opencontainers.image.base.name": base}});
        load(
            &recipe(&[big, &[Entry::file("app", b"1")]])
                .config(labels)
                .make(),
            name,
        );
    };
    let proposal = |found: &Value| {
        let proposals = found["proposals"].as_array().unwrap();
        let is_it = |one: &&Value| one["kind"] == "smaller-base";
        proposals.iter().find(is_it).cloned().unwrap_or(Value::Null)
    };
    load(&recipe(&[big]).make(), "base:1");
    on("base:1", "own:1");
    let found = store.json(&["analyze", "--json", "own:1"]);
    assert_eq!(
        (&found["suggestion"], &proposal(&found)),
        (&Value::Null, &Value::Null)
    );
    load(&recipe(&[small]).make(), "base:1-slim");
    let found = store.json(&["analyze", "--json", "own:1"]);
    let proposed = proposal(&found);
    assert_eq!(proposed["saves_bytes"], 4000);
    assert_eq!(proposed["instead"], "FROM base:1-slim");
    assert_eq!(found["suggestion"]["smaller"][0]["here_bytes"], 1000);
    assert_eq!(found["waste_bytes"], 0);
    let report = store.ok(&["analyze", "own:1"]);
    assert!(
        report.contains("1. 4kB  a smaller base\n   FROM base:1\n"),
        "{report}"
    );
    // Nobody is asked unless that is wanted; who can't be asked is no reason to fail.
    on("127.0.0.1:1/base:1", "far:1");
    let quiet = store.run(&["analyze", "far:1"]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
    let asking = store.run(&["analyze", "--ask-registry", "far:1"]);
    assert_eq!(asking.code, Some(0), "{asking:?}");
    asking.assert_says(&["only smaller bases that are here are told", "127.0.0.1:1"]);
    let Some(registry) = Registry::start() else {
        return;
    };
    let base = registry.reference("base:1");
    registry.fill(
        "base:1",
        &recipe(&[&[Entry::file("etc/big", &noise(4, 50_000))]]).make(),
    );
    registry.fill("base:1-slim", &recipe(&[small]).make());
    on(&base, "near:1");
    assert_eq!(
        proposal(&store.json(&["analyze", "--json", "near:1"])),
        Value::Null
    );
    let proposed = proposal(&store.json(&["analyze", "--json", "--ask-registry", "near:1"]));
    assert_eq!(proposed["instead"], format!("FROM {base}-slim"));
    assert!(
        proposed["saves_bytes"].as_u64().unwrap() > 40_000,
        "{proposed}"
    );
    assert!(
        proposed["advice"]
            .as_str()
            .unwrap()
            .contains("compressed in the registry")
    );
    // The image itself, from there.
    let place = format!("docker://{base}");
    let proposed = proposal(&store.json(&["analyze", "--json", "--ask-registry", &place]));
    assert_eq!(proposed["instead"], format!("FROM {base}-slim"));
}

/// What an image of the store brings that this one was built on is told at once.
#[test]
fn of_a_base() {
    let store = Store::new();
    let base: &[&[Entry]] = &[
        &[Entry::file("tmp/a", &[b'a'; 100])],
        &[Entry::file("tmp/b", &[b'b'; 200])],
    ];
    let own: &[Entry] = &[
        Entry::file("tmp/c", &[b'c'; 50]),
        Entry::whiteout("tmp", "a"),
    ];
    let layers = [base, &[own]].concat();
    for (name, image) in [
        ("base:1", recipe(base).make()),
        ("own:1", recipe(&layers).make()),
    ] {
        let path = store.path("image.tar");
        fs::write(&path, image.docker_archive(&[name])).unwrap();
        store.ok(&["load", "-q", "-i", path.to_str().unwrap()]);
    }
    let found = store.json(&["analyze", "--json", "own:1"]);
    assert_eq!(found["base"], json!({"name": "base:1", "layers": 2}));
    let proposals = found["proposals"].as_array().unwrap();
    let told: Vec<_> = proposals
        .iter()
        .map(|one| (&one["saves_bytes"], &one["base"]))
        .collect();
    let expected = json!([[200, "base:1"], [100, "base:1"], [50, null]]);
    assert_eq!(serde_json::to_value(told).unwrap(), expected);
    let report = store.ok(&["analyze", "own:1"]);
    assert!(
        report.contains("Base        base:1 (layers 0 to 1)"),
        "{report}"
    );
    assert!(report.contains("FROM base:1"), "{report}");
    assert_eq!(
        store.json(&["analyze", "--json", "base:1"])["base"],
        Value::Null
    );
}

/// Whatever an archive holds, the answer is bounded, or an error in words.
#[test]
fn bad_archives() {
    let store = Store::new();
    let whole = wasteful().docker_archive(&["wasteful:1"]);
    let refused = |name: &str, bytes: &[u8]| {
        let path = store.path(name);
        fs::write(&path, bytes).unwrap();
        let words = store.refused(&["analyze", path.to_str().unwrap()]);
        assert!(words.contains("failed to"), "{words}");
    };
    refused("empty.tar", b"");
    refused("noise.tar", &noise(3, 10_000));
    refused("half.tar", &whole[..whole.len() / 2]);
    let mut changed = whole.clone();
    let at = changed.windows(8).position(|at| at == b"tttttttt").unwrap();
    changed[at] = b'u';
    refused("changed.tar", &changed);
    fs::create_dir(store.path("directory")).unwrap();
    store.refused(&["analyze", "./directory"]);
    assert_eq!(store.kept_files(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn many_layers() {
    let store = Store::new();
    let contents: Vec<String> = (0..500).map(|layer| format!("{layer:04}")).collect();
    let layers: Vec<[Entry; 2]> = contents
        .iter()
        .map(|content| {
            [
                Entry::file("same", content.as_bytes()),
                Entry::file(&format!("own/{content}"), content.as_bytes()),
            ]
        })
        .collect();
    let layers: Vec<&[Entry]> = layers.iter().map(|layer| &layer[..]).collect();
    let image = recipe(&layers).make();
    let path = archive(&store, "many.tar", &image);
    let check = |place: &str| {
        let found = store.json(&["analyze", "--json", place]);
        assert_eq!(found["layers"].as_array().unwrap().len(), 500);
        // Of the file in all layers one copy is needed.
        assert_eq!(found["certain_waste_bytes"], 499 * 4);
        assert_eq!(found["score"]["wasted_bytes"], 500 * 4);
    };
    check(&path);
    store.ok(&["load", "-q", "-i", &path]);
    check("wasteful:1");
}

#[test]
fn two_images() {
    let store = Store::new();
    let base: &[Entry] = &[
        Entry::file("etc/same", b"same"),
        Entry::file("etc/more", b"1"),
        Entry::file("etc/mode", b"same").mode(0o600),
        Entry::symlink("etc/link", "same"),
        Entry::file("old", b"333"),
    ];
    let one = recipe(&[base]).make();
    let other = recipe(&[
        base,
        &[
            Entry::file("etc/same", b"same").mtime(5),
            Entry::file("etc/more", b"22"),
            Entry::file("etc/mode", b"same").mode(0o644),
            Entry::symlink("etc/link", "more"),
            Entry::whiteout("", "old"),
            Entry::file("new", b"4444"),
        ],
    ])
    .config(json!({"Env": ["PATH=/bin", "A=b"], "Cmd": ["sh"]}))
    .make();
    for (name, image) in [("one", &one), ("other", &other)] {
        let path = store.path(name);
        fs::write(&path, image.docker_archive(&[&format!("{name}:1")])).unwrap();
        store.ok(&["load", "-q", "-i", path.to_str().unwrap()]);
    }
    let found = store.json(&["diff", "--json", "one:1", "other:1"]);
    assert_eq!(found["shared_layers"], 1);
    // In another order, too.
    let turned = recipe(&[&[Entry::file("first", b"1")], base]).make();
    let path = store.path("turned");
    fs::write(&path, turned.docker_archive(&["turned:1"])).unwrap();
    store.ok(&["load", "-q", "-i", path.to_str().unwrap()]);
    let moved = store.json(&["diff", "--json", "one:1", "turned:1"]);
    assert_eq!(moved["shared_layers"], 1);
    let moved = moved["files"].as_array().unwrap();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!(moved[0]["path"], "/first");
    let files = found["files"].as_array().unwrap();
    let told: Vec<_> = files
        .iter()
        .map(|file| (&file["change"], &file["path"]))
        .collect();
    assert_eq!(
        serde_json::to_value(told).unwrap(),
        json!([
            ["changed", "/etc/link"],
            ["changed", "/etc/mode"],
            ["changed", "/etc/more"],
            ["added", "/new"],
            ["removed", "/old"],
        ])
    );
    let config = json!([
        {"name": "Env.A", "before": null, "after": "b"},
        {"name": "Env.PATH", "before": "/usr/bin:/bin", "after": "/bin"},
    ]);
    assert_eq!(found["config"], config);
    let report = store.ok(&["diff", "one:1", "other:1"]);
    for expected in [
        "FILES  1 added, 3 changed, 1 removed",
        "~ Env.PATH",
        "~       ±0B  /etc/mode  (-rw------- → -rw-r--r--)",
        "/etc/link  (to same → more)",
    ] {
        assert!(report.contains(expected), "no {expected:?} in {report}");
    }
    let same = store.ok(&["diff", "one:1", "one:1"]);
    assert!(same.contains("The files are the same."), "{same}");
    store.refused(&["diff", "one:1", "127.0.0.1:1/nothing"]);
}

/// A directory that went is one line, and what weighs most is the first one.
#[test]
fn what_weighs_most_of_two_images() {
    let store = Store::new();
    let many: Vec<Entry> = (0..30)
        .map(|number| Entry::file(&format!("usr/share/doc/{number}/readme"), &[b'x'; 100]))
        .chain([Entry::file("usr/bin/tool", &[b't'; 9000])])
        .collect();
    let few: &[Entry] = &[
        Entry::directory("usr/share"),
        Entry::file("usr/bin/tool", &[b'u'; 9000]),
        Entry::file("etc/new", b"1"),
    ];
    for (name, image) in [
        ("many", recipe(&[&many]).make()),
        ("few", recipe(&[few]).make()),
    ] {
        let path = store.path(name);
        fs::write(&path, image.docker_archive(&[&format!("{name}:1")])).unwrap();
        store.ok(&["load", "-q", "-i", path.to_str().unwrap()]);
    }
    let report = store.ok(&["diff", "many:1", "few:1"]);
    let (_, files) = report.split_once("FILES").unwrap();
    let lines: Vec<&str> = files.lines().skip(1).take(2).collect();
    let expected = [
        "~       ±0B  /usr/bin/tool",
        "-       3kB  /usr/share/doc/  (with 60 more)",
    ];
    assert_eq!(lines, expected);
    let short = store.ok(&["diff", "--top", "1", "many:1", "few:1"]);
    assert!(short.contains("more with "), "{short}");
    let all = store.json(&["diff", "--json", "many:1", "few:1"]);
    assert!(all["files"].as_array().unwrap().len() > 60);
}

#[test]
fn packages_of_two_images() {
    let store = Store::new();
    let status = |packages: &[(&str, &str)]| {
        let stanza = |(name, version): &(&str, &str)| {
            format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
            )
        };
        packages.iter().map(stanza).collect::<String>()
    };
    let make = |debian: &str, python: &str| {
        let metadata = format!("Metadata-Version: 2.1\nName: flask\nVersion: {python}\n");
        let folder = format!("usr/lib/python3/dist-packages/flask-{python}.dist-info/METADATA");
        recipe(&[&[
            Entry::file("etc/os-release", b"ID=debian\nVERSION_ID=12\n"),
            Entry::file("var/lib/dpkg/status", debian.as_bytes()),
            Entry::file(&folder, metadata.as_bytes()),
        ]])
        .make()
    };
    let images = [
        (
            "one:1",
            make(&status(&[("bash", "5.2"), ("gone", "1")]), "2.0"),
        ),
        (
            "two:1",
            make(&status(&[("bash", "5.3"), ("new", "2")]), "3.0"),
        ),
    ];
    for (name, image) in &images {
        let path = store.path("image.tar");
        fs::write(&path, image.docker_archive(&[name])).unwrap();
        store.ok(&["load", "-q", "-i", path.to_str().unwrap()]);
    }
    let found = store.json(&["diff", "--json", "one:1", "two:1"]);
    let expected = json!([
        {"ecosystem": "deb", "name": "bash", "before": ["5.2"], "after": ["5.3"]},
        {"ecosystem": "deb", "name": "gone", "before": ["1"], "after": []},
        {"ecosystem": "deb", "name": "new", "before": [], "after": ["2"]},
        {"ecosystem": "python", "name": "flask", "before": ["2.0"], "after": ["3.0"]},
    ]);
    assert_eq!(found["packages"], expected);
    let report = store.ok(&["diff", "one:1", "two:1"]);
    for expected in [
        "PACKAGES  1 added, 2 in other versions, 1 removed",
        "~ deb     bash 5.2 → 5.3",
        "+ deb     new 2",
    ] {
        assert!(report.contains(expected), "no {expected:?} in {report}");
    }
    let same = store.ok(&["diff", "one:1", "one:1"]);
    assert!(same.contains("The packages are the same."), "{same}");
}
