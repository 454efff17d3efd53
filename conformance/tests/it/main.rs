//! The vector suites.

#[cfg(test)]
mod rfc7520;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod wycheproof;
