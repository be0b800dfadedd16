//! The words of states, and which states are told.

use super::*;

#[test]
fn speaks_docker() {
    let check = |state, want: &str, last| {
        assert_eq!(words(state), want);
        assert_eq!(is_final(state), last, "{want}");
    };
    check(LayerState::Queued, "Pulling fs layer", false);
    check(LayerState::Waiting, "Waiting", false);
    check(LayerState::Exists, "Already exists", true);
    check(
        LayerState::Downloading {
            done_bytes: 1,
            total_bytes: 2,
        },
        "Downloading",
        false,
    );
    check(LayerState::Pulled, "Pull complete", true);
    check(LayerState::Present, "Layer already exists", true);
    check(
        LayerState::Mounted {
            from: "library/python",
        },
        "Mounted from library/python",
        true,
    );
}
