//! The README's examples print what the README says. A test program of its own, because it changes its folder.

#[test]
fn the_readme_shows_what_the_command_prints() {
    std::env::set_current_dir("../..").expect("the root of the source tree");
    trycmd::TestCases::new().case("README.md").env("NO_COLOR", "1");
}
