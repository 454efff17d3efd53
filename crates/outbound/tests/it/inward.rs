//! A URL from outside never leads inward.

use crate::server::{Names, operator, refused};
use base::Fetch;
use outbound::HttpFetch;
use std::sync::atomic::Ordering;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_url_from_outside_never_leads_inward() {
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    for url in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/latest/meta-data",
        "https://169.254.169.254/latest/meta-data",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://[fd00:ec2::254]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:7f00:1::]/",
        "https://0.0.0.0/",
        "https://0/",
        "https://127.1/",
        "http://8.8.8.8/",
        "https://8.8.8.8:22/",
        "https://user@8.8.8.8/",
        "ftp://8.8.8.8/",
        "file:///etc/passwd",
    ] {
        let mut request = operator(url.to_owned());
        request.operator = false;
        let error = client.fetch(request).await.unwrap_err();
        assert!(refused(&error), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_name_from_outside_never_leads_inward() {
    // A listener stands where the name leads: that it is never reached is what this shows.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for list in [
        &["127.0.0.1"][..],
        &["8.8.8.8", "127.0.0.1"],
        &["8.8.8.8", "::ffff:10.0.0.1"],
        &["2606:4700::1111", "fd00::1"],
        &["169.254.169.254"],
    ] {
        let names = Names::new(&[list]);
        let client = HttpFetch::new(names.clone(), None).unwrap();
        let mut request = operator("https://rebind.test/".to_owned());
        request.operator = false;
        let error = client.fetch(request).await.unwrap_err();
        assert!(refused(&error), "{list:?}: {error:?}");
        assert_eq!(names.asked.load(Ordering::SeqCst), 1, "resolved once, never again");
    }
    let nobody = std::future::poll_fn(|context| {
        std::task::Poll::Ready(listener.poll_accept(context).is_pending())
    });
    assert!(nobody.await);
}

#[tokio::test]
async fn the_refusal_does_not_echo_the_url() {
    let client = HttpFetch::new(Names::new(&[]), None).unwrap();
    let mut request = operator("https://127.0.0.1/?token=hunter2".to_owned());
    request.operator = false;
    let error = client.fetch(request).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
