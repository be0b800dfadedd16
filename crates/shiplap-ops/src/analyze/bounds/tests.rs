use super::{Bounds, Share, part};

#[test]
fn bounds_of_dive() {
    let text = "rules:\n  # a comment\n  lowestEfficiency: 0.95\n  highestWastedBytes: 20MB # here\n  \
                highestUserWastedPercent: \"0.20\"\n";
    let expected = Bounds {
        lowest_efficiency: Some(0.95),
        highest_wasted_bytes: Some(20_000_000),
        highest_user_wasted: Some(0.2),
        max_waste: None,
    };
    assert_eq!(Bounds::of_dive_ci(text), Ok(expected));
    let off = "rules:\n  lowestEfficiency: disabled\n  highestWastedBytes: \"off\"\n";
    assert!(Bounds::of_dive_ci(off).unwrap().is_empty());
    let check = |text: &str, expected: &str| {
        assert_eq!(Bounds::of_dive_ci(text).unwrap_err().to_string(), expected);
    };
    check(
        "rules:\nlowest: 1",
        "read line 2 of the bounds: \"lowest: 1\" is no rule of dive's",
    );
    check(
        "lowestEfficiency: 2",
        "read the bound \"2\": want a part, as 0.95 or 95%",
    );
    check(
        "highestWastedBytes: much",
        "parse size \"much\": want a number and a unit, as 512, 10m or 1.5GB",
    );
}

#[test]
fn parts_and_shares() {
    assert_eq!(part("95%"), Ok(0.95));
    assert_eq!(part("0.5"), Ok(0.5));
    assert_eq!(part("1"), Ok(1.0));
    for wrong in ["", "x", "-1", "101%", "NaN", "inf"] {
        assert!(part(wrong).is_err(), "{wrong}");
    }
    assert_eq!("20MB".parse(), Ok(Share::Bytes(20_000_000)));
    assert_eq!("5%".parse(), Ok(Share::Part(0.05)));
}

#[test]
fn own_bounds_come_first() {
    let own = Bounds {
        lowest_efficiency: Some(0.5),
        ..Bounds::default()
    };
    let both = own.or(Bounds::DEFAULT);
    assert_eq!(
        (both.lowest_efficiency, both.highest_user_wasted),
        (Some(0.5), Some(0.1))
    );
}
