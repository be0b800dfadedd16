//! What is annotated.

use super::*;

fn amd64() -> Platform {
    Platform::new("linux", "amd64")
}

#[test]
fn says_what_is_annotated() {
    let given: Vec<(String, String)> = [
        ("plain", "1"),
        ("index:i", "2"),
        ("manifest[linux/arm64]:arm", "3"),
        ("index,manifest:both", "4"),
        ("manifest-descriptor:d", "5"),
        ("org.example:name", "6"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let annotations = Annotations::of(&given, &amd64()).unwrap();
    let names = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&annotations.manifest),
        ["both", "org.example:name", "plain"]
    );
    assert_eq!(names(&annotations.descriptor), ["d"]);
    assert_eq!(
        names(&Annotations::of_index(&given).unwrap()),
        ["both", "i"]
    );
    let arm = Annotations::of(&given, &Platform::new("linux", "arm64")).unwrap();
    assert!(arm.manifest.contains_key("arm"));
    for wrong in ["manifests:a", "manifest[x y]:a", "index:"] {
        let given = [(wrong.to_owned(), String::new())];
        assert!(Annotations::of(&given, &amd64()).is_err(), "{wrong}");
    }
    for (text, want) in [
        ("plain", true),
        ("index:i", false),
        ("index,manifest[linux/arm64]:x", true),
    ] {
        assert_eq!(is_for_manifests(text).unwrap(), want, "{text}");
    }
}
