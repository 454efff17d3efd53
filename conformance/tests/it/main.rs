//! The vector suites.

#[cfg(test)]
mod ecdsa;
#[cfg(test)]
mod rfc7520;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod wycheproof;
