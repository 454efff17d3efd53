//! What several fuzz targets share.

#[cfg(feature = "audit")]
pub mod ledger;
