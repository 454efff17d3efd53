//! The vector suites, and the table of what other standards ask for.

#[cfg(test)]
mod asvs;
#[cfg(test)]
mod ecdsa;
#[cfg(test)]
mod rfc7520;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod wycheproof;
