//! What the command says to a user who makes a mistake or asks for help, word by word.

#[test]
fn the_command_says_what_is_written_in_tests_cli() {
    trycmd::TestCases::new().case("tests/cli/*.trycmd").env("NO_COLOR", "1");
}
