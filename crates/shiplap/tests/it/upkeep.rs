//! What keeps a store and a machine in order: `system prune` and `df`, `info`, `stats`, volumes.

use crate::harness::Store;
use crate::harness::container::{Containers, IMAGE, until};
use crate::harness::image::small;
use crate::push::load;

#[test]
fn system_prune_takes_what_nobody_uses() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    load(store, "spare:1", &small("spare"));
    load(store, "loose:1", &small("loose"));
    load(store, "loose:1", &small("loose, again"));
    boxes.start("live", &["-v", "kept:/v"], "sleep 1000");
    boxes.start("ended", &["-v", "/anonymous", "-v", "named:/v"], "true");
    store.ok(&["wait", "ended"]);
    // Nobody says yes.
    let ran = store.run_with(&["system", "prune", "--volumes"], b"n\n");
    ran.assert_ok();
    ran.assert_says(&[
        "WARNING! This will remove:",
        "all stopped containers",
        "all anonymous volumes",
        "all dangling images",
        "unused build cache",
    ]);
    let ran = store.run(&["system", "prune", "-f", "--filter", "label=nobody"]);
    ran.assert_ok();
    assert_eq!(ran.stdout, "Total reclaimed space: 0B\n");
    let refused = store.refused(&["system", "prune", "-f", "--volumes", "--filter", "until=1h"]);
    assert!(refused.contains("not supported"), "{refused}");
    store.refused(&["system", "prune", "-f", "--filter", "nothing=1"]);

    let said = store.ok(&["system", "prune", "--volumes", "-f"]);
    for part in ["Deleted Containers:", "Deleted Volumes:", "Deleted Images:"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("\nTotal reclaimed space: "), "{said}");
    assert_eq!(store.ok(&["ps", "-a", "--format", "{{.Names}}"]), "live\n");
    assert_eq!(store.ok(&["volume", "ls", "-q"]), "kept\nnamed\n");
    assert_eq!(store.names(), ["box:latest", "loose:1", "spare:1"]);
    store.ok(&["system", "prune", "-a", "-f"]);
    assert_eq!(store.names(), ["box:latest"], "the one in use stays");
    let idle = ["volume", "ls", "-q", "--filter", "dangling=true"];
    assert_eq!(store.ok(&idle), "named\n");
    let filters = ["volume", "prune", "-f", "--filter", "all=1"];
    let said = store.ok(&filters);
    assert!(said.contains("named"), "{said}");
    assert_eq!(store.ok(&["volume", "ls", "-q"]), "kept\n");
    store.assert_sound();
}

#[test]
fn df_counts_volumes_too() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    let words = "head -c 5000 /dev/zero > /v/file";
    boxes.shell(&["-v", "idle:/v"], words);
    boxes.start("user", &["-v", "used:/v"], &format!("{words}; sleep 1000"));
    let full = || store.ok(&["system", "df"]).contains("10kB");
    until("the file is there", full);
    let table = store.ok(&["system", "df"]);
    let line = table.lines().find(|line| line.starts_with("Local Volumes"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[2..], ["2", "1", "10kB", "5kB", "(50%)"]);
    let long = store.ok(&["system", "df", "-v"]);
    for title in ["Images", "Containers", "Local Volumes"] {
        assert!(long.contains(&format!("{title} space usage:\n")), "{long}");
    }
    let line = long.lines().find(|line| line.starts_with("used"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words, ["used", "1", "5kB"]);
}

#[test]
fn info_tells_what_runs_containers() {
    let store = Store::new();
    let page = store.ok(&["info"]);
    for line in [
        "Cgroup Version: ",
        "Runtimes: ",
        "Default Runtime: ",
        " seccomp\n",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    let info = store.json(&["info", "--format", "json"]);
    let version = info["CgroupVersion"].as_str().unwrap();
    assert!(["", "1", "2"].contains(&version), "{version}");
    let runtime = info["DefaultRuntime"].as_str().unwrap();
    let is_known = info["Runtimes"][runtime]["path"].is_string();
    assert!(runtime.is_empty() || is_known, "{info}");
}

#[test]
fn stats_count_what_a_container_uses() {
    let Some(boxes) = Containers::new() else {
        return;
    };
    let store = &boxes.store;
    boxes.start("busy", &["-m", "64m"], "while :; do :; done");
    boxes.start("idle", &[], "sleep 1000");
    boxes.start("ended", &[], "true");
    store.ok(&["wait", "ended"]);
    let table = store.ok(&["stats", "--no-stream"]);
    assert_eq!(
        table
            .lines()
            .next()
            .unwrap()
            .split("  ")
            .filter(|word| !word.trim().is_empty())
            .map(str::trim)
            .collect::<Vec<_>>(),
        [
            "CONTAINER ID",
            "NAME",
            "CPU %",
            "MEM USAGE / LIMIT",
            "MEM %",
            "NET I/O",
            "BLOCK I/O",
            "PIDS"
        ]
    );
    assert_eq!(table.lines().count(), 3, "{table}");
    let line = |name: &str| {
        let line = store.ok(&["stats", "--no-stream", "--format", "json", name]);
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    let busy = line("busy");
    if busy["PIDs"] == "--" {
        crate::harness::judge::skip("stats need control groups");
        return;
    }
    let percent = |value: &serde_json::Value| -> f64 {
        value
            .as_str()
            .unwrap()
            .trim_end_matches('%')
            .parse()
            .unwrap()
    };
    assert!(percent(&busy["CPUPerc"]) > 5.0, "{busy}");
    assert!(
        busy["MemUsage"].as_str().unwrap().ends_with(" / 64MiB"),
        "{busy}"
    );
    let idle = line("idle");
    assert!(percent(&idle["CPUPerc"]) < 5.0, "{idle}");
    assert_eq!(
        (&idle["Name"], &idle["NetIO"]),
        (&"idle".into(), &"0B / 0B".into())
    );
    assert_ne!(idle["PIDs"], "0");
    assert_eq!(line("ended")["PIDs"], "0");
    let all = store.ok(&["stats", "--no-stream", "-a", "--format", "{{.Name}}"]);
    assert_eq!(all, "ended\nidle\nbusy\n");
    let refused = store.refused(&["stats", "--no-stream", "nobody"]);
    assert!(refused.contains("No such container: nobody"), "{refused}");
    // A stream ends with the containers it is about.
    boxes.start("short", &["--rm"], "sleep 2");
    store.run(&["stats", "short"]);
    assert!(store.ok(&["image", "ls", "-q", IMAGE]).len() > 12);
}
