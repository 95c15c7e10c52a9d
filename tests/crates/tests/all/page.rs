//! The page on crates shows the recipes as they are.

use go_crates::world::World;

use crate::Named;

const PAGE: &str = include_str!("../../../../docs/crates.md");

pub(crate) const ALL: &[Named] = &[("the page shows the recipes as they are", &[], shown)];

fn shown(_: &'static World) {
    for (name, recipe) in [
        (
            "axum_front.rs",
            include_str!("../../src/recipes/axum_front.rs"),
        ),
        ("pool.rs", include_str!("../../src/recipes/pool.rs")),
        (
            "redis_net.rs",
            include_str!("../../src/recipes/redis_net.rs"),
        ),
        ("ureq_net.rs", include_str!("../../src/recipes/ureq_net.rs")),
    ] {
        let (_, code) = recipe.split_once("\n\n").expect("a heading, then code");
        assert!(
            PAGE.contains(&format!("```rust,ignore\n{code}```\n")),
            "docs/crates.md does not show {name} as it is"
        );
    }
}
