//! What the page of an authenticator app shows: the QR code of its address.

use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write as _;

/// Bytes of an address at most; the longest that [`super::TotpSecret::uri`] makes is shorter, and a denser code cannot
/// be read from a screen.
const URI_BYTES: usize = 1400;
/// Light modules around the code (ISO/IEC 18004 §6.3.8).
const QUIET: usize = 4;

/// A QR code as an SVG element for the page itself: no style, no script and no reference in it, so that it stands under
/// the strictest content security policy, and black on white in every theme, since readers want it so. The picture
/// holds the secret. `None` when the text is too long.
#[must_use]
pub fn qr_svg(uri: &str) -> Option<String> {
    if uri.len() > URI_BYTES {
        return None;
    }
    let code = QrCode::with_error_correction_level(uri, EcLevel::M).ok()?;
    let width = code.width();
    let side = width + 2 * QUIET;
    // One line a row of modules, half a module below its upper edge: a third of what a shape for each run takes.
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        write!(path, "M{QUIET} {}.5", y + QUIET).ok()?;
        for run in row.chunk_by(|a, b| a == b) {
            let length = run.len();
            match run.first() {
                Some(Color::Dark) => write!(path, "h{length}").ok()?,
                _ => write!(path, "m{length} 0").ok()?,
            }
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"qr\" role=\"img\" width=\"240\" height=\"240\" \
         viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <title>QR code for an authenticator app</title>\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path stroke=\"#000\" d=\"{path}\"/></svg>"
    ))
}
