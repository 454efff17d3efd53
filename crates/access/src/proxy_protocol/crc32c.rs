//! CRC-32C (RFC 3720 appendix B.4), bit by bit: at most a kilobyte, once a connection.

const POLYNOMIAL_REFLECTED: u32 = 0x82f6_3b78;

pub(super) fn checksum(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL_REFLECTED } else { crc >> 1 }
        })
    })
}
