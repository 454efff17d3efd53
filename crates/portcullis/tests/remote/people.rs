//! The administration of people: rules of signing in, and what administrators do to accounts.

use crate::setup::{Home, ROUTE, person};
use testkit::{Arrival, Gate};

#[test]
fn a_rule_for_a_group_leads_a_person_without_a_second_factor_to_the_page_to_add_one() {
    let rule = "[[sign_in]]\nname = \"operators\"\ngroups = [\"ops\"]\nacr = \"aal2\"\n";
    let gate = Gate::start(&format!("{ROUTE}{rule}"));
    let lands = |name: &str, group: &str| {
        let (mut asking, prompt) = Home::new().ask(&gate.control());
        let page = prompt["verification_uri_complete"].as_str().expect("an address");
        let arrival = person(&gate, name, &[group]).go(page);
        asking.kill().and_then(|()| asking.wait()).expect("it ends");
        let Arrival::Page(page) = arrival else { panic!("it leads elsewhere") };
        assert_eq!(page.response.status, 200, "{}", page.response.text());
        page.title()
    };
    assert_eq!(lands("Ada", "ops"), "How you sign in");
    // Who is not of the group is asked for nothing more.
    assert_eq!(lands("Eve", "sales"), "Connected");
}
