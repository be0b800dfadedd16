use shiplap_model::Digest;

use super::*;
use crate::plan::tests::{amd64, input, plan_on, stand_in};

fn layer(name: &str, newest_secs: Option<i64>) -> ImageLayer {
    ImageLayer {
        diff_id: Digest::of(name.as_bytes()).into(),
        tar_bytes: 1024,
        newest_secs,
    }
}

/// The stand-in, with its one layer.
fn base() -> ImageConfig {
    let mut base = stand_in();
    base.rootfs.diff_ids.push(layer("base", None).diff_id);
    base
}

const DOCKERFILE: &str = "FROM busybox\nENV A=1\nCOPY a /\nCMD x\nRUN y\nLABEL a=b\n";

fn built(
    base: &ImageConfig,
    layers: &[ImageLayer],
    times: Times,
) -> Result<ImageConfig, ResultError> {
    let plan = plan_on(DOCKERFILE, &input(), &|_| base.clone()).unwrap();
    config(&plan.stages[0], Some(base), layers, times)
}

fn created(image: &ImageConfig) -> Vec<&str> {
    image
        .history
        .iter()
        .map(|entry| entry.created.as_deref().unwrap_or(""))
        .collect()
}

#[test]
fn layers_are_as_old_as_their_files() {
    let layers = [
        layer("base", None),
        layer("a", Some(1_800_000_000)),
        layer("y", Some(1_700_000_001)),
    ];
    let image = built(&base(), &layers, Times::Files).unwrap();
    let (base_time, time) = ("2023-11-14T22:13:20Z", "2027-01-15T08:00:00Z");
    assert_eq!(created(&image), [base_time, time, time, time, time, time]);
    assert_eq!(image.created.as_deref(), Some(time));
    image.check_history().unwrap();
    assert_eq!(image.rootfs.diff_ids.len(), 3);
}

#[test]
fn nothing_is_older_than_what_lies_below() {
    let layers = [layer("base", None), layer("a", Some(0)), layer("y", None)];
    let image = built(&base(), &layers, Times::Files).unwrap();
    assert_eq!(created(&image), ["2023-11-14T22:13:20Z"; 6]);
}

#[test]
fn a_given_time_is_that_of_all_that_is_new() {
    let layers = [layer("base", None), layer("a", Some(5)), layer("y", None)];
    let image = built(&base(), &layers, Times::Fixed(0)).unwrap();
    assert_eq!(created(&image)[0], "2023-11-14T22:13:20Z");
    assert_eq!(created(&image)[1..], ["1970-01-01T00:00:00Z"; 5]);
    assert_eq!(image.created.as_deref(), Some("1970-01-01T00:00:00Z"));
    let error = built(&base(), &layers, Times::Fixed(i64::MAX)).unwrap_err();
    assert_eq!(error, ResultError::Time(i64::MAX));
}

#[test]
fn an_image_as_it_was_keeps_its_time() {
    let plan = plan_on("FROM busybox", &input(), &|_| base()).unwrap();
    let layers = [layer("base", None)];
    let image = config(&plan.stages[0], Some(&base()), &layers, Times::Files).unwrap();
    assert_eq!(image.created, base().created);
    let empty = plan_on("FROM scratch", &input(), &|_| base()).unwrap();
    let image = config(&empty.stages[0], None, &[], Times::Files).unwrap();
    assert_eq!(image.created.as_deref(), Some("1970-01-01T00:00:00Z"));
}

#[test]
fn histories_of_bases_are_mended() {
    let layers = [layer("base", None), layer("a", None), layer("y", None)];
    let mut without = base();
    without.history.clear();
    let image = built(&without, &layers, Times::Files).unwrap();
    image.check_history().unwrap();
    assert_eq!(image.history.len(), 6);
    let mut with_more = base();
    with_more.history.push(with_more.history[0].clone());
    let image = built(&with_more, &layers, Times::Files).unwrap();
    image.check_history().unwrap();
    assert!(image.history[1].empty_layer);
}

#[test]
fn wants_a_layer_a_step() {
    let layers = [layer("base", None), layer("a", None)];
    let error = built(&base(), &layers, Times::Files).unwrap_err();
    assert_eq!(
        error,
        ResultError::Layers {
            steps: 2,
            layers: 1
        }
    );
}

#[test]
fn makes_documents_that_are_taken() {
    let layers = [
        layer("base", None),
        layer("a", Some(1)),
        layer("y", Some(2)),
    ];
    let image = built(&base(), &layers, Times::Files).unwrap();
    let config = serde_json::to_vec(&image).unwrap();
    ImageConfig::parse(&config).unwrap();
    let manifest = manifest(&config, &layers, &Annotations::default());
    let bytes = serde_json::to_vec(&manifest).unwrap();
    assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
    let index = index(
        &[(bytes, amd64(), Annotations::default())],
        &BTreeMap::new(),
    );
    let bytes = serde_json::to_vec(&index).unwrap();
    assert_eq!(Index::parse(&bytes).unwrap(), index);
    assert!(index.choose(&amd64()).is_some());
}
