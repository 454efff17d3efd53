//! Secret texts that the authority hands out, and the MACs by which it knows them again.
//!
//! Invariant: a MAC covers what the text is used for, so that no text passes for another kind.

use super::records::Mac;
use crate::error::Error;
use crate::sealing::Pepper;
use base::{Secret, random_array};
use protocol::b64;

/// What a secret text is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// An authorization code.
    Code,
    /// A refresh token.
    Refresh,
    /// An opaque access token.
    Access,
    /// A browser's session.
    Session,
    /// A pushed request's `request_uri`.
    Pushed,
    /// A device code.
    Device,
    /// A client's secret.
    ClientSecret,
    /// A registration access token (RFC 7592).
    Registration,
    /// An account's set-up text.
    Setup,
    /// The CSRF token of a session's forms.
    Csrf,
    /// An authorization request that waits for a person.
    Continue,
    /// Something that may happen once.
    Once,
    /// A recovery code in its normal form.
    Recovery,
    /// What a browser that has signed in before is known by.
    Browser,
    /// A code or link that was mailed.
    Letter,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Code => b"code\0",
            Self::Refresh => b"refresh\0",
            Self::Access => b"access\0",
            Self::Session => b"session\0",
            Self::Pushed => b"pushed\0",
            Self::Device => b"device\0",
            Self::ClientSecret => b"client-secret\0",
            Self::Registration => b"registration\0",
            Self::Setup => b"setup\0",
            Self::Csrf => b"csrf\0",
            Self::Continue => b"continue\0",
            Self::Once => b"once\0",
            Self::Recovery => b"recovery\0",
            Self::Browser => b"browser\0",
            Self::Letter => b"letter\0",
        }
    }

    /// What its texts begin with, so that leaked ones are recognised.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Code => "pcc_",
            Self::Refresh => "pcr_",
            Self::Access => "pca_",
            Self::Session => "pcs_",
            Self::Pushed => "pcp_",
            Self::Device => "pcd_",
            Self::ClientSecret => "pcx_",
            Self::Registration => "pcg_",
            Self::Setup => "pcu_",
            Self::Browser => "pcb_",
            Self::Letter => "pcm_",
            Self::Csrf | Self::Continue | Self::Once | Self::Recovery => "",
        }
    }

    /// A fresh text of 256 random bits.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn fresh(self) -> Result<Secret<String>, Error> {
        let bytes = Secret::new(random_array::<32>()?);
        Ok(Secret::new(format!("{}{}", self.prefix(), b64::encode(bytes.expose()))))
    }

    /// The MAC of a text.
    pub fn mac(self, pepper: &Pepper, text: &str) -> Mac {
        pepper.mac(&[b"oauth\0", self.label(), text.as_bytes()].concat())
    }
}

/// What secret texts begin with.
const PREFIXES: [&str; 9] =
    ["pcc_", "pcr_", "pca_", "pcs_", "pcp_", "pcd_", "pcx_", "pcg_", "pcu_"];

/// A text that came from outside, without the secret texts of ours in it: people mix up fields, and what they sent as a
/// client's id or a grant's name stands in records.
pub(crate) fn without_secrets(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, prefix)) =
        PREFIXES.iter().filter_map(|it| Some((rest.find(it)?, *it))).min()
    {
        let (before, after) = rest.split_at_checked(at + prefix.len()).unwrap_or((rest, ""));
        out.push_str(before);
        rest = after.trim_start_matches(is_part);
        if rest.len() < after.len() {
            out.push('…');
        }
    }
    out + rest
}

/// Whether two MACs are the same, in constant time.
pub fn same(a: &Mac, b: &Mac) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// A MAC that was kept as hexadecimal.
pub fn same_hex(kept: &str, mac: &Mac) -> bool {
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(kept, &mut bytes).is_ok() && same(&bytes, mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_in_the_wrong_field_is_hidden() {
        let check = |text: &str, expect: &str| assert_eq!(without_secrets(text), expect, "{text}");
        check(
            "the grant type `pcx_AbC-1_2` is not offered",
            "the grant type `pcx_…` is not offered",
        );
        check("pcr_a.b pcc_c", "pcr_… pcc_…");
        check("pcs_", "pcs_");
        check("pcb_x apc_y é", "pcb_x apc_y é");
        for purpose in [
            Purpose::Code,
            Purpose::Refresh,
            Purpose::Access,
            Purpose::Session,
            Purpose::Pushed,
            Purpose::Device,
            Purpose::ClientSecret,
            Purpose::Registration,
            Purpose::Setup,
        ] {
            let text = purpose.fresh().unwrap();
            check(text.expose(), &format!("{}…", purpose.prefix()));
        }
    }

    #[test]
    fn no_text_passes_for_another_kind() {
        let pepper = Pepper::new([7; 32]);
        let text = Purpose::Code.fresh().unwrap();
        assert!(text.expose().starts_with("pcc_") && text.expose().len() == 4 + 43);
        let kept = hex::encode(Purpose::Code.mac(&pepper, text.expose()));
        assert!(same_hex(&kept, &Purpose::Code.mac(&pepper, text.expose())));
        assert!(!same_hex(&kept, &Purpose::Refresh.mac(&pepper, text.expose())));
        assert!(!same_hex("", &Purpose::Code.mac(&pepper, text.expose())));
        assert_ne!(text.expose(), Purpose::Code.fresh().unwrap().expose());
    }
}
