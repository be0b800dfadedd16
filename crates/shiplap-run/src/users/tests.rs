//! runc's own cases (`testdata/user-lookup.json`), and what its table leaves out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a table that can't be read fails its test"
)]

use serde_json::Value;

use super::*;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n  web:x:33:34::/srv:\nweb:x:99:99::/other:\n\
    far:x:4294967295:1::/:\nfargroup:x:5:-1::/:\nshort:x:7\n1000:x:2000:2000::/home/number:\n";
const GROUP: &str = "# root:x:5:web\nroot:x:0:\nwww:x:34:\r\nlog:x:40:root,web\nlog2:x:41:web\n\
    far:x:2147483648:\n";

fn ids(value: &Value) -> Vec<u32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|id| u32::try_from(id.as_u64().unwrap()).unwrap())
        .collect()
}

fn exec_user(value: &Value, defaults: &ExecUser) -> ExecUser {
    let field = |name: &str| u32::try_from(value[name].as_u64().unwrap()).unwrap();
    ExecUser {
        uid: field("uid"),
        gid: field("gid"),
        additional_gids: if value["sgids"].is_array() {
            ids(&value["sgids"])
        } else {
            defaults.additional_gids.clone()
        },
        home: value["home"].as_str().unwrap().to_owned(),
    }
}

fn wrong(case: &Value) -> Option<String> {
    let expect = &case["expect"];
    let members: Vec<String> = (1..=7500).map(|n| format!("user{n}")).collect();
    let large = format!("largegroup:x:1000:{}\n", members.join(","));
    let group = case["group"].as_str().map(|text| format!("{text}{large}"));
    let group = group.as_deref();
    let (found, wanted) = if case["op"] == "exec_user" {
        let defaults = exec_user(&case["default"], &ExecUser::default());
        let user = case["user"].as_str().unwrap();
        let found = lookup(user, case["passwd"].as_str(), group, &defaults);
        let wanted = expect["uid"]
            .is_u64()
            .then(|| format!("{:?}", exec_user(expect, &defaults)));
        (found.map(|user| format!("{user:?}")), wanted)
    } else {
        let groups: Vec<String> = case["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group.as_str().unwrap().to_owned())
            .collect();
        let found = additional_groups(&groups, group);
        let wanted = expect["gids"]
            .is_array()
            .then(|| format!("{:?}", ids(&expect["gids"])));
        (found.map(|gids| format!("{gids:?}")), wanted)
    };
    match (found, wanted) {
        (Err(_), None) => None,
        (Ok(found), Some(wanted)) if found == wanted => None,
        (found, wanted) => Some(format!(
            "{}: found {found:?}, wanted {wanted:?}",
            case["id"]
        )),
    }
}

#[test]
fn runc_and_we_agree() {
    let table: Value =
        serde_json::from_str(include_str!("../../../../testdata/user-lookup.json")).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert_eq!(
        Some(cases.len() as u64),
        table["header"]["cases_in_this_part"].as_u64()
    );
    let failures: Vec<String> = cases.iter().filter_map(wrong).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_first_line_wins_and_numbers_are_ids() {
    let range = |id: &str| Err(UserError::Range { id: id.to_owned() });
    let user = |uid, gid, groups: &[u32], home: &str| {
        Ok(ExecUser {
            uid,
            gid,
            additional_gids: groups.to_vec(),
            home: home.to_owned(),
        })
    };
    let cases = [
        ("web", user(33, 34, &[40, 41], "/srv")),
        ("web:www", user(33, 34, &[], "/srv")),
        ("web:7", user(33, 7, &[], "/srv")),
        ("", user(0, 0, &[40], "/root")),
        (":log", user(0, 40, &[], "/root")),
        ("33:", user(33, 34, &[40, 41], "/srv")),
        ("+33", user(33, 34, &[40, 41], "/srv")),
        ("1000", user(1000, 0, &[], "/")),
        ("2000", user(2000, 2000, &[], "/home/number")),
        ("short", user(7, 0, &[], "")),
        ("far", range("4294967295")),
        ("fargroup", range("-1")),
        ("root:far", range("2147483648")),
        ("2147483648", range("2147483648")),
        ("99999999999999999999", range("9223372036854775807")),
        ("-99999999999999999999", range("-9223372036854775808")),
        (
            "web:www:x",
            Err(UserError::Group {
                name: "www:x".to_owned(),
            }),
        ),
    ];
    for (name, wanted) in cases {
        let found = lookup(name, Some(PASSWD), Some(GROUP), &ExecUser::default());
        assert_eq!(found, wanted, "{name:?}");
    }
}

#[test]
fn a_file_too_long_is_refused() {
    let text = "x".repeat(usize::try_from(USER_FILE_BYTES).unwrap() + 1);
    let bytes = text.len();
    assert_eq!(
        lookup("a", Some(&text), None, &ExecUser::default()),
        Err(UserError::TooLong {
            file: "passwd",
            bytes
        })
    );
    assert_eq!(
        additional_groups(&["a".to_owned()], Some(&text)),
        Err(UserError::TooLong {
            file: "group",
            bytes
        })
    );
}
