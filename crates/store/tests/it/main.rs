//! The contract of the ports, against both engines, and what each engine must withstand.
//!
//! PostgreSQL is needed: install Debian's package postgresql, or run `cargo xtask test`.

mod contract;
mod faults;
mod following;
mod postgres;
mod rig;
mod schema;
mod sqlite;
mod use_cases;

/// Runs each of the functions named against both engines.
macro_rules! both_engines {
    ($($name:ident),* $(,)?) => {
        mod at_sqlite {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::rig::Rig::sqlite().await).await; } )*
        }
        mod at_postgres {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::rig::Rig::postgres().await).await; } )*
        }
    };
}
pub(crate) use both_engines;
