//! The contract of the ports, against both engines, and what each engine must withstand.
//!
//! PostgreSQL is needed: install Debian's package postgresql, or run `cargo xtask test`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there and then"
)]

mod contract;
mod faults;
mod following;
mod oauth;
mod postgres;
mod rig;
mod schema;
mod sqlite;
mod use_cases;

/// Runs each of the functions named against both engines: a test each at SQLite, and one test at PostgreSQL
/// with a database each, since a server takes its time to start.
macro_rules! both_engines {
    ($($name:ident),* $(,)?) => {
        mod at_sqlite {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::rig::Rig::sqlite().await).await; } )*
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn at_postgres() {
            let server = $crate::rig::server();
            $(
                println!("{}", stringify!($name));
                $name($crate::rig::Rig::within(&server, stringify!($name)).await).await;
            )*
        }
    };
}
pub(crate) use both_engines;
