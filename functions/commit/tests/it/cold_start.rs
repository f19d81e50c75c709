//! What the function says when it cannot start.

use std::process::Command;

#[track_caller]
fn check(variables: &[(&str, &str)], expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_commit"))
        .env_clear()
        .current_dir(directory.path())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    assert!(output.stdout.is_empty());
    let made = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(
        made, 0,
        "nothing is made before it is known that it can run"
    );
}

#[test]
fn a_misspelt_setting_stops_the_cold_start_with_its_name() {
    check(
        &[("CALVE_ZSTD_LEVLE", "3")],
        "error: cannot start `commit`\n  caused by: a setting is wrong: `CALVE_ZSTD_LEVLE` is not a setting\n\n\
         hint: did you mean `CALVE_ZSTD_LEVEL`?\n",
    );
}

#[test]
fn a_wrong_setting_stops_the_cold_start_with_value_and_what_would_be_right() {
    check(
        &[("CALVE_TARGET_FILE_BYTES", "128 MiBs")],
        "error: cannot start `commit`\n  caused by: a setting is wrong: `CALVE_TARGET_FILE_BYTES` cannot be `128 MiBs`\n\n\
         hint: write a size like `128 MiB` or `134217728`\n",
    );
}

#[test]
fn outside_of_lambda_it_says_how_it_is_run() {
    check(
        &[],
        "error: cannot start `commit`\n  caused by: `AWS_LAMBDA_RUNTIME_API` is not set: this is a Lambda function\n\n\
         hint: run it with `cargo lambda watch`\n",
    );
}
