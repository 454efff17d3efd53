use super::*;
#[test]
fn the_built_in_configuration_is_sound() {
    let report = Config::embedded_default();
    assert_eq!(report.problems, []);
    assert!(report.config.is_some());
}
