//! Messages that are kept instead of sent. Who may read them over the network stands in `roles.txt`.

use crate::client::{OnPort, OnSocket};
use crate::description::check_shape;
use crate::fakes::world;

#[tokio::test]
async fn a_list_shows_no_text_and_one_message_all() {
    let edge = OnSocket::start().await;
    let list = edge.get("/api/v1/mail").await;
    check_shape(&list.json(), "MailList");
    assert!(!list.body.contains("secret"), "{}", list.body);
    let numbers: Vec<_> =
        list.json()["messages"].as_array().unwrap().iter().map(|it| it["number"].clone()).collect();
    assert_eq!(numbers, [2, 1]);
    let one = edge.get("/api/v1/mail/1").await;
    check_shape(&one.json(), "Mail");
    assert_eq!(one.json()["to"], "ada@example.com");
    assert_eq!(one.json()["text"], "https://login.example/recover#secret");
    assert_eq!(one.header("cache-control"), Some("no-store"));
    for none in ["3", "0", "-1", "x", "99999999999999999999999"] {
        edge.get(&format!("/api/v1/mail/{none}")).await.problem(404, "api.not_found");
    }
}

#[tokio::test]
async fn over_the_network_nobody_reads_without_a_token() {
    let edge = OnPort::start_with(world(), None, control::Surface::ALL).await;
    for path in ["/api/v1/mail", "/api/v1/mail/1"] {
        let answer = edge.get(path).await;
        assert!(!answer.body.contains("secret") && !answer.body.contains("ada"), "{answer:?}");
        assert!([401, 404].contains(&answer.status), "{answer:?}");
    }
}
