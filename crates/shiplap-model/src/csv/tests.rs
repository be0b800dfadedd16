//! Lines and their fields.

use super::*;

#[test]
fn a_line_is_cut_at_its_commas() {
    let check = |line: &str, want: Option<&[&str]>| {
        let found = fields(line).ok();
        let want = want.map(|want| want.iter().map(|field| (*field).to_owned()).collect());
        assert_eq!(found, want, "{line}");
    };
    check("", Some(&[""]));
    check("a", Some(&["a"]));
    check("a,", Some(&["a", ""]));
    check("type=bind,source=/a", Some(&["type=bind", "source=/a"]));
    check("\"name=a,b\",push=true", Some(&["name=a,b", "push=true"]));
    check("\"say \"\"x\"\"\"", Some(&["say \"x\""]));
    check("a\"b\"", None);
    check("\"a\"b", None);
    check("\"a", None);
}
