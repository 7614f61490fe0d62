//! The examples of the README and of the first pages print what those say. A test program of its own, because it changes its folder.

#[test]
fn the_first_pages_show_what_the_command_prints() {
    std::env::set_current_dir("../..").expect("the root of the source tree");
    trycmd::TestCases::new().case("README.md").case("docs/start.md").env("NO_COLOR", "1");
}
